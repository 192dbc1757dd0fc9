#!/usr/bin/env python3
"""DOCKER_HOST on a Podman socket, as root and without root, with the image run by Podman itself as docs/podman.md
says. Storage, sockets and the user without root are the test's own."""

import os
import pwd
import re
import shutil
import signal
from pathlib import Path

from daemons import tun_for_everybody
from harness import HERE, KEY, PATIENCE, Packages, Server, Suite, docker, environment, expect, log_lines, run, wait_for

# A build on a busy machine.
NIGHT = 600
USER = f"vieter-podman-{os.getpid()}"


class Podman:
    """One Podman with a storage of its own and its service."""

    def __init__(self, suite, name, user=None):
        self.suite, self.name, self.user = suite, name, user
        self.folder = suite.work / name
        self.folder.mkdir(mode=0o755)
        self.runtime_dir = self.folder / "runtime"
        self.runtime_dir.mkdir(mode=0o700)
        self.socket = self.runtime_dir / "podman.sock"
        if user:
            os.chown(self.folder, user.pw_uid, user.pw_gid)
            os.chown(self.runtime_dir, user.pw_uid, user.pw_gid)
        self.environment = {
            "PATH": os.environ["PATH"], "HOME": str(self.folder), "XDG_RUNTIME_DIR": str(self.runtime_dir),
            "CONTAINERS_CONF": str(configuration(suite)), "LC_ALL": "C.UTF-8",
        }
        # Where nothing says so, Podman without root copies every layer as a whole, which nobody wants.
        self.options = ["--storage-driver", "overlay", "--root", self.folder / "storage", "--runroot", self.runtime_dir / "run", "--tmpdir", self.runtime_dir / "tmp"]
        suite.undo(self.remove)
        self.load()
        self.service = suite.process(*self.prefix(), "podman", *self.options, "system", "service", "--time", "0", f"unix://{self.socket}", env=self.environment, cwd=self.folder, stderr=(self.folder.parent / f"{name}.log").open("w"))
        wait_for("the service", PATIENCE, self.socket.exists)

    def prefix(self):
        return ["setpriv", f"--reuid={self.user.pw_uid}", f"--regid={self.user.pw_gid}", "--clear-groups"] if self.user else []

    def __call__(self, *command, **options):
        return run(*self.prefix(), "podman", *self.options, *command, env=self.environment, cwd=self.folder, **options)

    def load(self):
        archive = self.suite.work / "images.tar"
        if not archive.exists():
            docker("save", "--output", archive, "archlinux:latest", self.suite.image, timeout=900)
            archive.chmod(0o644)
        self("load", "--quiet", "--input", archive, timeout=900)

    def remove(self):
        self("rm", "--all", "--force", check=False)
        # Minutes after each command in a container Podman cleans up once more, and would make its storage anew.
        end_processes(lambda process: str(self.folder) in (process / "cmdline").read_text(errors="replace"))
        if self.user:
            # Files of its other users too.
            self("unshare", "rm", "-rf", self.folder / "storage", check=False)
        for mount in sorted(re.findall(rf" ({re.escape(str(self.folder))}\S*) ", open("/proc/mounts", encoding="utf-8").read()), reverse=True):
            run("umount", "--lazy", mount, check=False)

    def vieter(self, server, *command, options=(), **settings):
        """The image, run as the how-to says."""
        who = ["--userns", "keep-id:uid=10001,gid=10001"] if self.user else ["--user", "0:0"]
        common = {"VIETER_ADDRESS": server.url, "VIETER_API_KEY": KEY, "VIETER_IMAGE_NAME": "localhost/vieter-builder"}
        return self(
            "run", "--rm", *who, "--volume", f"{self.socket}:/var/run/docker.sock", *options, *environment(**(common | settings)),
            self.suite.image, *command, check=False, timeout=900,
        )

    def builder_images(self):
        return self("images", "--quiet", "--no-trunc", "--filter", "label=dev.vieter.run").stdout.split()


def end_processes(ours):
    """Ends the processes of which that is true, given their folder in /proc."""
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if ours(process):
                os.kill(int(process.name), signal.SIGKILL)
        except (FileNotFoundError, ProcessLookupError):
            continue


def configuration(suite):
    """Where this machine may not do what Podman takes for granted, it is told so."""
    path = suite.work / "containers.conf"
    if not path.exists():
        path.write_text(
            '[engine]\ncgroup_manager = "cgroupfs"\nevents_logger = "file"\nruntime = "lowered"\n'
            f'[engine.runtimes]\nlowered = ["{HERE}/podman/runtime.py"]\n'
        )
        path.chmod(0o644)
        suite.work.chmod(0o755)
    return path


def user_without_root(suite):
    """A user with a range of ids below it."""
    if run("id", USER, check=False).returncode != 0:
        run("useradd", "--create-home", USER)
    user = pwd.getpwnam(USER)

    def remove():
        # One of them holds the user namespace; without it Podman's places below /tmp are of no use.
        end_processes(lambda process: process.stat().st_uid == user.pw_uid)
        wait_for("the end of its processes", PATIENCE, lambda: run("pgrep", "--uid", USER, check=False).returncode == 1)
        for place in ("containers-user", "podman-run"):
            shutil.rmtree(f"/tmp/{place}-{user.pw_uid}", ignore_errors=True)
        run("userdel", "--remove", USER)
    suite.undo(remove)
    tun_for_everybody()
    return user


def builds(suite, podman, packages):
    what = podman.name
    server = Server(suite, packages.add(f"{what}-hello"), packages.add(f"{what}-bad", body="build() {\n  false\n}"))
    with suite.check(f"{what}: `doctor` finds everything in order"):
        result = podman.vieter(server, "doctor")
        expect(result.returncode == 0, result.stdout + result.stderr)
        print("       " + next(line for line in result.stdout.splitlines() if "Docker:" in line))
        about = "{{.Store.GraphDriverName}}, cgroup {{.Host.CgroupsVersion}}, {{.Host.OCIRuntime.Name}}, {{.Host.NetworkBackend}}"
        print("       Podman " + podman("info", "--format", "{{.Version.Version}}, " + about).stdout.strip())
    with suite.check(f"{what}: one package is built and published, one fails: status 1"):
        result = podman.vieter(server, "build")
        expect(result.returncode == 1 and server.has(f"{what}-hello") and not server.has(f"{what}-bad"), result.stderr[-4000:])
    with suite.check(f"{what}: the next run starts from the kept builder image"):
        packages.add(f"{what}-hello", version="2.0")
        result = podman.vieter(server, "build")
        how = [line.get("how") for line in log_lines(result.stderr) if "builder image is ready" in str(line)]
        expect(how == ["used"] and server.has(f"{what}-hello", "2.0-1"), f"{how}\n{result.stderr[-3000:]}")
    with suite.check(f"{what}: brought up to date, the one before is removed: one image is kept"):
        packages.add(f"{what}-hello", version="3.0")
        result = podman.vieter(server, "build", VIETER_IMAGE_MAX_AGE="0s")
        how = [line.get("how") for line in log_lines(result.stderr) if "builder image is ready" in str(line)]
        expect(how == ["updated"] and server.has(f"{what}-hello", "3.0-1"), f"{how}\n{result.stderr[-3000:]}")
        expect(len(set(podman.builder_images())) <= 1, podman("images", "--all").stdout)
    with suite.check(f"{what}: with limits set"):
        packages.add(f"{what}-hello", version="4.0")
        result = podman.vieter(server, "build", VIETER_MEMORY="1G", VIETER_CPUS="1", VIETER_PIDS="500")
        expect(server.has(f"{what}-hello", "4.0-1"), result.stderr[-4000:])
    with suite.check(f"{what}: a package with sources kept from night to night (a volume)"):
        packages.add(f"{what}-vcs", body="pkgver() {\n  echo 1.1\n}", version="1.0")
        other = Server(suite, f"git://{packages.host}:{packages.port}/{what}-vcs.git")
        result = podman.vieter(other, "build")
        expect(result.returncode == 0 and other.has(f"{what}-vcs", "1.1-1"), result.stderr[-4000:])
        result = podman.vieter(other, "build")
        expect(result.returncode == 0 and "up to date" in result.stderr, result.stderr[-4000:])
    with suite.check(f"{what}: SIGTERM in the middle of a build: 143, no container is left"):
        slow = Server(suite, packages.add(f"{what}-slow", body='build() {\n  for i in $(seq 1000); do echo "slow $i"; sleep 1; done\n}'))
        stopped_in_the_middle(podman, slow)
    with suite.check(f"{what}: no container is left"):
        left = podman("ps", "--all", "--quiet").stdout
        expect(not left, podman("ps", "--all").stdout)


def stopped_in_the_middle(podman, server):
    who = ["--userns", "keep-id:uid=10001,gid=10001"] if podman.user else ["--user", "0:0"]
    settings = environment(VIETER_ADDRESS=server.url, VIETER_API_KEY=KEY, VIETER_IMAGE_NAME="localhost/vieter-builder")
    podman("run", "--detach", "--name", "stopped", *who, "--volume", f"{podman.socket}:/var/run/docker.sock", *settings, podman.suite.image, "build")
    wait_for("the build", NIGHT, lambda: "slow 2" in (lambda r: r.stdout + r.stderr)(podman("logs", "stopped")))
    podman("stop", "--time", "30", "stopped")
    code = podman("inspect", "--format", "{{.State.ExitCode}}", "stopped").stdout.strip()
    podman("rm", "stopped")
    expect(code == "143", code)


def body(suite):
    packages = Packages(suite)
    rootful = Podman(suite, "rootful")
    builds(suite, rootful, packages)
    rootless = Podman(suite, "rootless", user_without_root(suite))
    with suite.check("rootless: root in a container is no root out here"):
        said = rootless("unshare", "cat", "/proc/self/uid_map").stdout
        expect(said.split()[1] == str(rootless.user.pw_uid), said)
    builds(suite, rootless, packages)


Suite("podman").main(body)
