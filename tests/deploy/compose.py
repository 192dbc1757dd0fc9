#!/usr/bin/env python3
"""The compose files of deploy/compose, as they are, with the real image and real daemons. Each is copied to a folder
and gets what a user gives it: .env, api_key, repos.json. What a test machine needs besides is in a second file."""

import os
import re
import shutil
import urllib.request

from daemons import privileged_or_like_it
from harness import (
    KEY, PATIENCE, ROOT, Packages, Server, Suite, docker, expect, free_port, inspect, repos, run, wait_for,
)

GROUP = str(os.stat("/var/run/docker.sock").st_gid)
NIGHT = 900


class Project:
    """A copy of one folder of deploy/compose, started with docker-compose."""

    def __init__(self, suite, case, env, more):
        self.folder = suite.work / case
        shutil.copytree(ROOT / "deploy/compose" / case, self.folder)
        self.folder.chmod(0o755)
        (self.folder / ".env").write_text("".join(f"{name}={value}\n" for name, value in env.items()))
        key = self.folder / "api_key"
        key.write_text(KEY + "\n")
        # As the how-to says: readable for the image's user and nobody else.
        os.chown(key, 10001, 10001)
        key.chmod(0o400)
        (self.folder / "test.yaml").write_text(more)
        self.command = ["docker-compose", "--project-name", f"{suite.id}-{case}", "--file", "compose.yaml", "--file", "test.yaml"]
        suite.undo(lambda: self("down", "--volumes", "--timeout", "30"))

    def __call__(self, *command, **options):
        return run(*self.command, *command, cwd=self.folder, **options)

    def id_of(self, service):
        return self("ps", "--quiet", service).stdout.strip()

    def logs(self, service="vieter"):
        result = run("docker", "logs", self.id_of(service))
        return result.stdout + result.stderr


def tests_only(image, builder, **more):
    """The second compose file: the image under test, and names of its own on a shared daemon."""
    lines = "".join(f"      {name}: '{value}'\n" for name, value in ({"VIETER_IMAGE_NAME": builder} | more).items())
    return f"services:\n  vieter:\n    image: {image}\n    environment:\n{lines}"


def health(project):
    return run("docker", "exec", project.id_of("vieter"), "vieter", "healthcheck", check=False).stdout


def nightly(suite, packages, builder):
    server = Server(suite, packages.add("compose-nightly"))
    env = {"DOCKER_GID": GROUP, "VIETER_ADDRESS": server.url, "VIETER_SCHEDULE": "* * * * *"}
    project = Project(suite, "nightly", env, tests_only(suite.image, builder))
    with suite.check("nightly: a whole night"):
        project("up", "--detach")
        wait_for("the package", NIGHT, lambda: server.has("compose-nightly"))
        wait_for("the end of the run", PATIENCE, lambda: "the run has ended" in project.logs())
    with suite.check("nightly: the container is healthy, read-only, without capabilities, and knows its report"):
        container = project.id_of("vieter")
        wait_for("healthy", PATIENCE, lambda: inspect(container, ".State.Health.Status") == "healthy")
        said = docker("exec", container, "sh", "-c", "ls /reports; grep CapBnd /proc/1/status; touch /x 2>&1; cat /run/secrets/api_key")
        expect("report.json" in said and "CapBnd:\t0000000000000000" in said and "Read-only" in said and KEY in said, said)
    with suite.check("nightly: the key is in no log, no environment and no label"):
        seen = project.logs() + docker("inspect", container)
        expect(KEY not in seen, "the key can be seen")
    with suite.check("nightly: `stop` ends it with 143"):
        project("stop")
        expect(inspect(container, ".State.ExitCode") == 143, project.logs()[-1000:])
    with suite.check("nightly: a new container, and one that is started again, know how the last run ended"):
        # No new run may hide what they know.
        settings = project.folder / ".env"
        settings.write_text(settings.read_text().replace("* * * * *", "0 0 1 1 *"))
        for commands in (["up", "--detach", "--force-recreate"],), (["stop"], ["start"]):
            for command in commands:
                project(*command)
            said = wait_for("the scheduler", PATIENCE, lambda: "next run" in health(project) and health(project))
            expect("the last run ended at" in said, f"{commands}: {said}")
        expect(project.id_of("vieter") != container, "it is the same container")
    project("down", "--volumes")


def in_docker(suite, packages, builder):
    server = Server(suite, packages.add("compose-dind"))
    rights = privileged_or_like_it(compose=True)
    more = tests_only(suite.image, builder) + rights
    project = Project(suite, "docker-in-docker", {"VIETER_ADDRESS": server.url}, more)
    with suite.check("docker-in-docker: the daemon becomes healthy"):
        project("up", "--detach", "docker")
        daemon = project.id_of("docker")
        wait_for("healthy", PATIENCE, lambda: inspect(daemon, ".State.Health.Status") == "healthy")
        print(f"       Docker {docker('exec', daemon, 'docker', 'version', '--format', '{{.Server.Version}}')}")
        # There is no registry here to pull it from.
        run("sh", "-c", f"docker save archlinux:latest | docker exec -i {daemon} docker load", timeout=600)
    with suite.check("docker-in-docker: one run over TLS builds a package and ends with 0"):
        result = project("up", "--abort-on-container-exit", "--exit-code-from", "vieter", check=False, timeout=NIGHT)
        expect(result.returncode == 0 and server.has("compose-dind"), result.stdout[-3000:] + result.stderr[-1000:])
    with suite.check("docker-in-docker: the second run finds everything up to date"):
        result = project("up", "--abort-on-container-exit", "--exit-code-from", "vieter", check=False, timeout=NIGHT)
        expect(result.returncode == 0 and "up to date" in result.stdout, result.stdout[-3000:])
    with suite.check("docker-in-docker: a failed package is exit status 1 of compose too"):
        packages.add("compose-dind", body="build() {\n  false\n}", version="2.0")
        result = project("run", "--rm", "vieter", check=False, timeout=NIGHT)
        expect(result.returncode == 1 and '"failed":1' in result.stdout + result.stderr, result.stdout[-2000:] + result.stderr[-2000:])
    with suite.check("docker-in-docker: nothing of it is on this machine's daemon"):
        expect(not docker("images", "--quiet", builder), docker("images"))
    project("down", "--volumes", "--timeout", "30")


def home(suite, packages, builder):
    port = free_port()
    env = {"DOCKER_GID": GROUP, "WEB_PORT": port, "VIETER_PACKAGER": "Jane Doe <jane@example.org>"}
    project = Project(suite, "home", env, tests_only(suite.image, builder))
    repos(project.folder / "repos.json", packages.add("compose-home"))
    url = f"http://{suite.gateway}:{port}"

    def served(path):
        try:
            with urllib.request.urlopen(f"{url}/{path}", timeout=5) as answer:
                return answer.read()
        except OSError:
            return None
    with suite.check("home: the first run starts with the container, and the web server serves the package"):
        project("up", "--detach")
        wait_for("the database", NIGHT, lambda: served("home/x86_64/home.db"))
        expect(served("home/x86_64/compose-home-1.0-1-any.pkg.tar.zst"), project.logs()[-3000:])
        expect(not served("index.html"), "nginx's own page is in the repository")
    with suite.check("home: real pacman installs from it, as the how-to's pacman.conf says"):
        lines = re.search(r"```ini\n(\[home\].*?)```", (ROOT / "docs/nightly.md").read_text(), re.S).group(1)
        conf = suite.work / "pacman.conf.d"
        conf.write_text(re.sub(r"http://[^/]+", url, lines))
        script = (
            "cat /extra >>/etc/pacman.conf; cat /extra; options=--noconfirm; "
            "if pacman -S --help | grep -q disable-sandbox; then options=\"$options --disable-sandbox\"; fi; "
            "pacman -Sy $options compose-home && pacman -Qi compose-home && cat /usr/share/compose-home/greeting"
        )
        said = docker("run", "--rm", "--volume", f"{conf}:/extra:ro", "archlinux:latest", "bash", "-c", script)
        expect("hello" in said and "Jane Doe" in said, said)
    with suite.check("home: a change of the list and a new version are in the next night"):
        packages.add("compose-home", version="2.0")
        repos(project.folder / "repos.json", f"git://{packages.host}:{packages.port}/compose-home.git", packages.add("compose-home-too"))
        project("run", "--rm", "vieter", "build", timeout=NIGHT)
        expect(served("home/x86_64/compose-home-2.0-1-any.pkg.tar.zst") and served("home/x86_64/compose-home-too-1.0-1-any.pkg.tar.zst"), "not served")
        expect(served("home/x86_64/compose-home-1.0-1-any.pkg.tar.zst") is None, "the old version is still there")
    project("down", "--volumes")


def examples(suite):
    with suite.check("the files are valid as they are, with env.example for .env"):
        for case in ("nightly", "docker-in-docker", "home"):
            folder = suite.work / f"example-{case}"
            shutil.copytree(ROOT / "deploy/compose" / case, folder)
            (folder / "env.example").rename(folder / ".env")
            run("docker-compose", "--file", "compose.yaml", "config", "--quiet", cwd=folder)
    with suite.check("what must be said and is not is asked for by name"):
        for case, name in {"nightly": "VIETER_ADDRESS", "docker-in-docker": "VIETER_ADDRESS", "home": "DOCKER_GID"}.items():
            folder = suite.work / f"bare-{case}"
            shutil.copytree(ROOT / "deploy/compose" / case, folder)
            result = run("docker-compose", "--file", "compose.yaml", "config", "--quiet", cwd=folder, check=False)
            expect(result.returncode != 0 and name in result.stderr, result)


def body(suite):
    packages = Packages(suite)
    builder = suite.forget(f"{suite.id}-builder")
    examples(suite)
    home(suite, packages, builder)
    nightly(suite, packages, builder)
    in_docker(suite, packages, f"{builder}-inside")


Suite("compose").main(body)
