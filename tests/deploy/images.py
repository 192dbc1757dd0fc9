#!/usr/bin/env python3
"""The Dockerfile, built for real, and what the image is and does. Needs Docker; Debian's archive or a registry."""

import json
import os
import re
import shutil
import subprocess

from harness import CLASSIC, PATIENCE, Suite, away, docker, environment, expect, inspect, run, wait_for

# Git's and ssh's own dependencies are Debian's to decide; this is what must not come along.
UNWANTED = "cargo rustc gcc cc make curl wget sudo cron crond docker dockerd pip python3 nano vi".split()
LARGEST = 300_000_000


def build_log(context, *options):
    result = run("nice", "-n", "10", "docker", "build", *options, context, env=CLASSIC, timeout=7200)
    return re.sub(r"\x1b\[[0-9;]*m", "", result.stdout)


def the_build(suite):
    """Only where the image was built here: of another's there is nothing to look at but the result."""
    copy = suite.work / "another"
    shutil.copytree(suite.context, copy)

    with suite.check("another source needs no new build of the dependencies"):
        shutil.rmtree(copy / "src")
        (copy / "src").mkdir()
        (copy / "src/lib.rs").write_text("")
        (copy / "src/main.rs").write_text("fn main() {\n    println!(\"another\");\n}\n")
        log = build_log(copy, "--target", "build", "--tag", f"{suite.id}:another")
        suite.undo(lambda: docker("rmi", "--force", f"{suite.id}:another"))
        step = log[log.index("cargo build"):log.index("COPY src src")]
        expect("Using cache" in step, step)
        said = docker("run", "--rm", f"{suite.id}:another", "/out/usr/local/bin/vieter")
        expect(said == "another", said)

    with suite.check("nothing but what is needed is sent to the builder"):
        (copy / "api_key").write_text("secret")
        (copy / "src/.env").write_text("secret")
        (copy / "target").mkdir()
        with (copy / "target/large").open("wb") as large:
            large.truncate(50_000_000)
        (copy / "Dockerfile.context").write_text("FROM scratch\nCOPY . /\n")
        tar = subprocess.run(
            ["docker", "build", "--quiet", "--file", copy / "Dockerfile.context", "--tag", f"{suite.id}:context", copy],
            check=True, capture_output=True, text=True, env=CLASSIC,
        )
        expect(tar.returncode == 0, tar.stderr)
        suite.undo(lambda: docker("rmi", "--force", f"{suite.id}:context"))
        name = docker("create", f"{suite.id}:context", "none")
        files = subprocess.run(f"docker export {name} | tar -t", shell=True, check=True, capture_output=True, text=True).stdout
        docker("rm", name)
        sent = [f for f in files.split() if not f.endswith("/") and not re.match(r"(\.dockerenv|dev/|etc/|proc/|sys/)", f)]
        strange = [f for f in sent if not re.match(r"(Cargo\.(toml|lock)|LICENSE.*|src/.*\.rs|tests/support/Cargo\.toml)$", f)]
        # A dotfile inside src would be sent, and is not copied by anything but `COPY src`.
        expect(strange in ([], ["src/.env"]), strange)
        expect(not any("api_key" in f or "target" in f for f in sent), sent)

    with suite.check("the same sources make the same program"):
        docker("build", "--quiet", "--target", "build", "--tag", f"{suite.id}:build", suite.context, env=CLASSIC, timeout=7200)
        suite.undo(lambda: docker("rmi", "--force", f"{suite.id}:build"))
        again = docker(
            "run", "--rm", "--env", "CARGO_NET_OFFLINE=true", f"{suite.id}:build", "sh", "-c",
            "sleep 1; find src -name '*.rs' -exec touch {} + && nice -n 10 cargo build --quiet --release --locked --package vieter "
            "&& sha256sum target/release/vieter /out/usr/local/bin/vieter",
            timeout=3600,
        )
        first, second = (line.split()[0] for line in again.splitlines())
        expect(first == second, again)


def properties(suite):
    image = suite.image
    config = inspect(image, ".Config")
    with suite.check("user, entry point, command, labels"):
        expect(config["User"] == "10001:10001", config["User"])
        expect(config["Entrypoint"] == ["tini", "--", "vieter"], config["Entrypoint"])
        expect(config["Cmd"] == ["build"], config["Cmd"])
        labels = config["Labels"]
        for name in "title description licenses version revision created".split():
            expect(f"org.opencontainers.image.{name}" in labels, labels)
        expect(labels["org.opencontainers.image.licenses"] == "MIT OR Apache-2.0", labels)
    with suite.check("it has a health check that is ours"):
        expect(config["Healthcheck"]["Test"] == ["CMD", "vieter", "healthcheck"], config["Healthcheck"])
    with suite.check("no volume, no port, no setting and no secret is built in"):
        expect(not config.get("Volumes") and not config.get("ExposedPorts"), config)
        names = [entry.split("=")[0] for entry in config["Env"]]
        expect(names == ["PATH"], names)
        history = docker("history", "--no-trunc", "--format", "{{.CreatedBy}}", image)
        expect(not re.search(r"(?i)(password|token|api_?key)=", history), history)
    with suite.check(f"it is smaller than {LARGEST // 1_000_000} MB"):
        size = inspect(image, ".Size")
        print(f"       {size / 1e6:.0f} MB, the program {program_size(image) / 1e6:.1f} MB")
        expect(size < LARGEST, size)
    with suite.check("git, ssh, certificates and tini are there, and no compiler, package or cron"):
        script = "for p in git ssh tini; do command -v $p || echo MISSING $p; done; for p in %s; do ! command -v $p || echo UNWANTED $p; done; grep -c BEGIN /etc/ssl/certs/ca-certificates.crt; ls /var/lib/apt/lists /usr/local/bin" % " ".join(UNWANTED)
        said = inside(image, script)
        expect("MISSING" not in said and "UNWANTED" not in said, said)
        expect(int(re.search(r"^\d+$", said, re.M).group()) > 100, said)
        expect(re.search(r"/usr/local/bin:\nvieter\n", said) and said.endswith("/var/lib/apt/lists:"), said)
    with suite.check("the licences are in it"):
        expect("LICENSE-MIT" in inside(image, "ls /usr/share/licenses/vieter"), "no licences")
    with suite.check("the program carries no path of the machine that built it"):
        said = inside(image, "grep -c -a -E '/usr/local/cargo/|/src/src/|/root/[.]|/home/' /usr/local/bin/vieter || true")
        expect(said.strip() == "0", f"{said} paths")


def program_size(image):
    return int(inside(image, "stat -L -c %s /usr/local/bin/vieter"))


def inside(image, script, *options):
    return docker("run", "--rm", "--entrypoint", "sh", *options, image, "-c", script)


def behaviour(suite):
    image = suite.image
    static = suite.work / "repository"
    static.mkdir()
    static.chmod(0o777)
    (suite.work / "list.json").write_text("[]")
    settings = [*environment(VIETER_ADDRESS="file:///repository", VIETER_REPOS_FILE="/list.json"), "--volume", f"{static}:/repository", "--volume", f"{suite.work}/list.json:/list.json:ro"]
    locked_down = ["--read-only", "--tmpfs", "/tmp", "--cap-drop", "ALL", "--security-opt", "no-new-privileges"]
    socket_mount = ["--volume", "/var/run/docker.sock:/var/run/docker.sock"]
    group = str(os.stat("/var/run/docker.sock").st_gid)

    def doctor(*options):
        return run("docker", "run", "--rm", *settings, *environment(VIETER_DOCKER_WAIT="1s"), *options, image, "doctor", check=False)

    with suite.check("`--help` and `config` work in a container"):
        expect("healthcheck" in docker("run", "--rm", image, "--help"), "no help")
        said = docker("run", "--rm", *settings, *locked_down, image, "config")
        expect("VIETER_REPOS_FILE" in said, said)
    with suite.check("it runs as 10001 and has a home and a place for temporary files"):
        said = inside(image, "id -u; id -g; touch /tmp/x ~/x ~/.ssh/x && echo writable; pwd")
        expect(said.split() == ["10001", "10001", "writable", "/home/vieter"], said)
    with suite.check("a user without the socket's group is told what to do"):
        result = doctor(*socket_mount)
        expect(result.returncode == 69 and "--group-add" in result.stdout, result.stdout + result.stderr)
    for name, options in {
        "the socket's group": ["--group-add", group],
        "root": ["--user", "0:0"],
        "any user with the socket's group": ["--user", f"12345:{group}"],
        "the socket's group and nothing else (read-only, no capabilities)": ["--group-add", group, *locked_down],
    }.items():
        with suite.check(f"the socket can be used: {name}"):
            result = doctor(*socket_mount, *options)
            expect(result.returncode == 0 and "FAIL" not in result.stdout, result.stdout + result.stderr)
    with suite.check("no socket at all is said to be just that"):
        result = doctor()
        expect(result.returncode == 69 and "mount the daemon's socket" in result.stdout, result.stdout + result.stderr)
    with suite.check("bad configuration is 64, with every problem named"):
        result = run("docker", "run", "--rm", image, check=False)
        expect(result.returncode == 64 and "VIETER_ADDRESS" in result.stderr, result)
    with suite.check("a new volume on /repository, /cache or /reports belongs to the user"):
        volume = docker("volume", "create")
        suite.undo(lambda: docker("volume", "rm", "--force", volume))
        for place in ("/repository", "/cache", "/reports"):
            inside(image, f"touch {place}/x && rm {place}/x", "--volume", f"{volume}:{place}")
    with suite.check("a container that is not `cron` is healthy"):
        name = suite.container("idle", "--stop-signal", "KILL", "--entrypoint", "sleep", "--health-interval", "1s", command=["60"])
        wait_for("healthy", PATIENCE, lambda: inspect(name, ".State.Health.Status") == "healthy")
        last = inspect(name, ".State.Health")["Log"][-1]
        expect("no scheduler" in last["Output"], json.dumps(last))
        away(name)


def body(suite):
    if os.environ.get("VIETER_IMAGE_BUILT_HERE"):
        the_build(suite)
    properties(suite)
    behaviour(suite)


Suite("images").main(body)
