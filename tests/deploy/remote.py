#!/usr/bin/env python3
"""Docker daemons elsewhere: DOCKER_HOST over tcp, TLS, unix and ssh, a daemon that is late, and two versions of
Docker. The real image builds a package on each."""

import os
import re
import shutil
import time
from pathlib import Path

from daemons import containerd_image_store, start_daemon
from harness import (
    KEY, PATIENCE, Packages, Server, Suite, away, docker, environment, expect, log_lines, run, wait_for,
)

GROUP = str(os.stat("/var/run/docker.sock").st_gid)


class World:
    """One package server and one package, built anew for each daemon."""

    def __init__(self, suite):
        self.suite = suite
        self.packages = Packages(suite)
        self.count = 0
        self.builder = f"{suite.id}-builder"
        # Of its own, so that daemons have names, also while they are down.
        self.network = suite.id
        docker("network", "create", self.network)
        suite.undo(lambda: docker("network", "rm", self.network))

    def prepare(self, *options, **settings):
        """The command of one run, and how to see whether it has published its package."""
        self.count += 1
        name = f"far-{self.count}"
        server = Server(self.suite, self.packages.add(name))
        common = {"VIETER_ADDRESS": server.url, "VIETER_API_KEY": KEY, "VIETER_IMAGE_NAME": self.builder}
        command = ["docker", "run", "--rm", *environment(**(common | settings)), *options, self.suite.image, "build"]
        return command, lambda: server.has(name)

    def build(self, *options, **settings):
        """One run; gives its result and what it published."""
        command, published = self.prepare(*options, **settings)
        result = run(*command, check=False, timeout=900)
        return result, published()

    def must_build(self, *options, **settings):
        """The same, and it has to be a success."""
        result, published = self.build(*options, **settings)
        expect(result.returncode == 0 and published, f"exit status {result.returncode}\n{result.stderr[-3500:]}")
        return result.stderr


def over_unix(suite, world):
    suite.forget(world.builder)
    for host in ("unix:///var/run/docker.sock", "unix:///elsewhere/docker.sock"):
        with suite.check(f"DOCKER_HOST={host}"):
            mount = ["--volume", f"/var/run/docker.sock:{host.removeprefix('unix://')}", "--group-add", GROUP]
            world.must_build(*mount, DOCKER_HOST=host)
            print(f"       Docker {docker('version', '--format', '{{.Server.Version}}')}")


def over_tcp(suite, world):
    network = ["--network", world.network]
    daemon = start_daemon(suite, "plain", *network, "--network-alias", "docker", *environment(DOCKER_TLS_CERTDIR=""))
    host = "tcp://docker:2375"
    with suite.check("DOCKER_HOST=tcp://...:2375"):
        world.must_build(*network, DOCKER_HOST=host)
        print(f"       Docker {docker('exec', daemon, 'docker', 'version', '--format', '{{.Server.Version}}')}")
    with suite.check("the daemon's own limits and clean-up: no container is left there"):
        left = docker("exec", daemon, "docker", "ps", "--all", "--quiet")
        expect(not left, docker("exec", daemon, "docker", "ps", "--all"))
    with suite.check("DOCKER_TLS_VERIFY empty means no TLS"):
        world.must_build(*network, DOCKER_HOST=host, DOCKER_TLS_VERIFY="")
    with suite.check("a daemon that is not there: 69, its address and what to do are said"):
        result, _ = world.build(DOCKER_HOST="tcp://127.0.0.1:1", VIETER_DOCKER_WAIT="2s")
        expect(result.returncode == 69 and "127.0.0.1:1" in result.stderr and "DOCKER_HOST" in result.stderr, result.stderr)
    late(suite, world, daemon, network, host)


def with_containerd(suite, world):
    """Images and snapshots kept by containerd: ids are other digests, and what has no name is hidden."""
    network = ["--network", world.network]
    options = [*network, "--network-alias", "docker", *environment(DOCKER_TLS_CERTDIR=""), *containerd_image_store(suite)]
    daemon = start_daemon(suite, "containerd", *options)

    def build(how, **settings):
        log = world.must_build(*network, DOCKER_HOST="tcp://docker:2375", **settings)
        seen = [line.get("how") for line in log_lines(log) if "builder image is ready" in str(line)]
        expect(seen == [how], f"{seen}\n{log[-3000:]}")

    def kept():
        found = docker("exec", daemon, "docker", "images", "--all", "--quiet", "--no-trunc", "--filter", "label=dev.vieter.setup")
        return set(found.split())
    with suite.check("containerd's image store: the builder image is made, and a package built in it"):
        build("made")
        driver = docker("exec", daemon, "docker", "info", "--format", "{{.ServerVersion}}, {{.Driver}} {{.DriverStatus}}")
        print(f"       Docker {driver}")
        expect("io.containerd.snapshotter" in driver, driver)
        [first] = kept()
    with suite.check("containerd's image store: the next run uses the kept one"):
        build("used")
        expect(kept() == {first}, kept())
    with suite.check("containerd's image store: brought up to date twice, one image is kept"):
        for _ in range(2):
            build("updated", VIETER_IMAGE_MAX_AGE="0s")
        expect(len(kept()) == 1 and kept() != {first}, docker("exec", daemon, "docker", "images", "--all"))
    with suite.check("containerd's image store: no container is left"):
        expect(not docker("exec", daemon, "docker", "ps", "--all", "--quiet"), docker("exec", daemon, "docker", "ps", "--all"))
    away(daemon)


def late(suite, world, daemon, network, host):
    with suite.check("a daemon that comes up ten seconds after us is waited for"):
        docker("stop", daemon)
        command, published = world.prepare(*network, DOCKER_HOST=host, VIETER_DOCKER_WAIT="10m")
        log = suite.work / "late.log"
        with log.open("w") as errors:
            child = suite.process(*command, stderr=errors)
        wait_for("a builder that waits", PATIENCE, lambda: "waiting for it" in log.read_text() or child.poll() is not None)
        time.sleep(10)
        expect(child.poll() is None, log.read_text())
        docker("start", daemon)
        expect(child.wait(900) == 0 and published(), log.read_text()[-3500:])
    with suite.check("VIETER_DOCKER_WAIT is the longest that it waits"):
        docker("stop", daemon)
        begin = time.monotonic()
        result, _ = world.build(*network, DOCKER_HOST=host, VIETER_DOCKER_WAIT="3s")
        expect(result.returncode == 69 and 3 <= time.monotonic() - begin < 90, f"{time.monotonic() - begin:.1f} s\n{result.stderr}")
    away(daemon)


def over_tls(suite, world):
    daemon = start_daemon(suite, "tls", "--network", world.network, "--network-alias", "docker")
    folder = suite.work / "certificates"
    docker("cp", f"{daemon}:/certs/client", folder)
    folder.chmod(0o755)
    mount = ["--network", world.network, "--volume", f"{folder}:/certs:ro"]
    host = "tcp://docker:2376"
    tls = {"DOCKER_HOST": host, "DOCKER_TLS_VERIFY": "1", "DOCKER_CERT_PATH": "/certs"}
    with suite.check("DOCKER_HOST=tcp://...:2376 with DOCKER_TLS_VERIFY and DOCKER_CERT_PATH"):
        world.must_build(*mount, **tls)
    with suite.check("without DOCKER_TLS_VERIFY the daemon refuses: 69"):
        result, _ = world.build(*mount, **(tls | {"DOCKER_TLS_VERIFY": ""}), VIETER_DOCKER_WAIT="1s")
        expect(result.returncode == 69, result.stderr[-2000:])
    with suite.check("a certificate of another authority is not trusted: 69"):
        other = suite.work / "other"
        shutil.copytree(folder, other)
        run("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=somebody", "-keyout", other / "x", "-out", other / "ca.pem")
        result, _ = world.build("--network", world.network, "--volume", f"{other}:/certs:ro", **tls, VIETER_DOCKER_WAIT="1s")
        expect(result.returncode == 69 and re.search(r"(?i)certificate", result.stderr), result.stderr[-2000:])
    with suite.check("a folder without certificates: 69, and the file is named"):
        result, _ = world.build("--network", world.network, **tls, VIETER_DOCKER_WAIT="1s")
        expect(result.returncode == 69 and ".pem" in result.stderr, result.stderr[-2000:])
    away(daemon)


def over_ssh(suite, world):
    """sshd on this machine, with a key; the user on the other side needs the `docker` command, as for docker itself."""
    folder = suite.work / "ssh"
    folder.mkdir()
    for name in ("host", "client"):
        run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / name)
    shutil.copy(folder / "client.pub", folder / "authorized")
    os.makedirs("/run/sshd", exist_ok=True)
    # What it starts carries our name, whoever its parent is by then.
    mark = f"VIETER_TEST={suite.id}"
    (folder / "config").write_text(
        f"ListenAddress 0.0.0.0\nHostKey {folder}/host\nAuthorizedKeysFile {folder}/authorized\nStrictModes no\n"
        f"PasswordAuthentication no\nUsePAM no\nPermitRootLogin prohibit-password\nPidFile none\nSetEnv PATH={os.environ['PATH']} {mark}\n"
    )
    with (folder / "log").open("w") as log:
        port = suite.listener(lambda port: ["/usr/sbin/sshd", "-D", "-e", "-p", port, "-f", folder / "config"], stderr=log)
    home = folder / "home"
    home.mkdir()
    shutil.copy(folder / "client", home / "id_ed25519")
    (home / "known_hosts").write_text(f"[{suite.gateway}]:{port} " + (folder / "host.pub").read_text())
    for path in (home, *home.iterdir()):
        os.chown(path, 10001, 10001)
    mount = ["--volume", f"{home}:/home/vieter/.ssh"]
    host = f"ssh://root@{suite.gateway}:{port}"
    suite.forget(world.builder)
    with suite.check("DOCKER_HOST=ssh://user@host:port, with the key and known_hosts in ~/.ssh"):
        start = time.monotonic()
        world.must_build(*mount, DOCKER_HOST=host)
        print(f"       {time.monotonic() - start:.1f} s")
    with suite.check("ssh: the same read-only, with HOME elsewhere"):
        # As Kubernetes mounts a Secret: of root, readable for the pod's group.
        for path in (home, *home.iterdir()):
            os.chown(path, 0, 10001)
            path.chmod(0o750 if path.is_dir() else 0o440)
        mount[-1] += ":ro"
        world.must_build(*mount, "--read-only", "--tmpfs", "/tmp", "--cap-drop", "ALL", DOCKER_HOST=host, HOME="/tmp")
    with suite.check("ssh: a host whose key is not known is refused: 69"):
        (home / "known_hosts").write_text("")
        result, _ = world.build(*mount, DOCKER_HOST=host, VIETER_DOCKER_WAIT="1s")
        expect(result.returncode == 69, result.stderr[-2000:])
    with suite.check("ssh: no process of ours is left on the other side"):
        wait_for("the end of dial-stdio", PATIENCE, lambda: not marked(mark))


def marked(mark):
    """The processes that have this in their environment."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if mark.encode() in (process / "environ").read_bytes().split(b"\0"):
                found.append(process.name)
        except OSError:
            continue
    return found


def body(suite):
    world = World(suite)
    over_unix(suite, world)
    over_ssh(suite, world)
    over_tcp(suite, world)
    over_tls(suite, world)
    with_containerd(suite, world)


Suite("remote").main(body)
