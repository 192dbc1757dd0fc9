"""What the tests of the image, the compose files and the daemons share: checks that are counted, packages in Git, a
package server, and a clean-up that takes everything away again.

The image under test (VIETER_IMAGE), the stand-ins of other images and the stand-in of the package server
(VIETER_SERVER_STAND_IN) are made by run.sh, which starts the scripts: `tests/deploy/run.sh NAME`.
"""

import fcntl
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import traceback
import urllib.error
import urllib.request
from contextlib import contextmanager
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
KEY = "key-of-the-tests"
# Seconds to wait for what takes a moment: much more than it needs, for the machine may be busy with other tests. What is
# promised to users has a limit of its own.
PATIENCE = 300
# Not where the kernel takes a port for whoever does not care: the tests beside us have taken that one by the time we need it.
PORTS = range(20000, 30000)
# The builder that is everywhere; Buildx need not be there.
CLASSIC = os.environ | {"DOCKER_BUILDKIT": "0"}


class Failed(AssertionError):
    """A check that did not hold."""


def run(*command, check=True, timeout=900, **options):
    """Runs a command; its output and errors are captured as text."""
    command = [str(part) for part in command]
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True} | options
    result = subprocess.run(command, timeout=timeout, check=False, **options)
    if check and result.returncode != 0:
        said = f"{result.stdout or ''}\n{result.stderr or ''}".strip()[-3000:]
        raise Failed(f"{' '.join(command)[:200]}: exit status {result.returncode}\n{said}")
    return result


def docker(*command, **options):
    """Runs docker; gives what it printed, without the last newline."""
    return run("docker", *command, **options).stdout.rstrip("\n")


def expect(truth, message):
    """Fails the check that is being made unless it is true."""
    if not truth:
        raise Failed(str(message)[-4000:])


def wait_for(what, seconds, condition, every=0.5):
    """Waits until it is true, and gives what it gave; fails after so many seconds."""
    end = time.monotonic() + seconds
    while True:
        seen = condition()
        if seen:
            return seen
        if time.monotonic() > end:
            raise Failed(f"{what}: not within {seconds} s")
        time.sleep(every)


# Programs that the scripts need, and Debian's packages for them.
PROGRAMS = {
    "docker-compose": "docker-compose", "openssl": "openssl", "capsh": "libcap2-bin", "ip": "iproute2", "pgrep": "procps",
    "sshd": "openssh-server", "ssh": "openssh-client", "setpriv": "util-linux", "runc": "runc",
    "podman": "podman netavark aardvark-dns slirp4netns uidmap", "shellcheck": "shellcheck",
}


def install():
    """What is missing of these; one installation at a time."""
    with open(Path(tempfile.gettempdir()) / "vieter-tests-install.lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        install_missing()


def install_missing():
    path = os.environ["PATH"] + ":/usr/sbin:/sbin"
    missing = [packages for program, packages in PROGRAMS.items() if not shutil.which(program, path=path)]
    if missing:
        names = sorted({name for packages in missing for name in packages.split()})
        run("apt-get", "update", "-qq")
        # A service that an installation would start is not wanted here.
        policy = Path("/usr/sbin/policy-rc.d")
        mine = not policy.exists()
        if mine:
            policy.write_text("#!/bin/sh\nexit 101\n")
            policy.chmod(0o755)
        try:
            run("apt-get", "install", "-y", "-qq", "--no-install-recommends", *names, env=os.environ | {"DEBIAN_FRONTEND": "noninteractive"})
        finally:
            if mine:
                policy.unlink()


def free_port():
    """A port that nobody listens on."""
    while True:
        port = random.choice(PORTS)
        with socket.socket() as probe:
            try:
                probe.bind(("", port))
            except OSError:
                continue
            return port


def listens(port, host="127.0.0.1"):
    """Whether somebody does."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex((host, port)) == 0


class Suite:
    """The checks of one file, and everything that they leave to be taken away."""

    def __init__(self, name):
        self.passed = 0
        self.failed = []
        self.work = Path(tempfile.mkdtemp(prefix=f"vieter-{name}-"))
        self.id = f"vieter-{name}-{os.getpid()}"
        self._undo = []
        self.undo(lambda: shutil.rmtree(self.work, ignore_errors=True))
        for stop in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(stop, lambda number, _: sys.exit(128 + number))

    def undo(self, action):
        """Takes note of something to be done at the end, last one first."""
        self._undo.append(action)

    @contextmanager
    def check(self, name):
        """One check: it holds when the block ends without an exception."""
        start = time.monotonic()
        try:
            yield
        except Exception as error:  # whatever it is, the next check is made all the same
            self.failed.append(name)
            detail = str(error) if isinstance(error, Failed) else traceback.format_exc()
            print(f"FAILED {name} ({time.monotonic() - start:.1f} s)\n       " + detail.replace("\n", "\n       "), flush=True)
        else:
            self.passed += 1
            print(f"ok     {name} ({time.monotonic() - start:.1f} s)", flush=True)

    def main(self, body):
        """Makes the checks, cleans up whatever happens, and says how many passed."""
        trouble = None
        try:
            install()
            body(self)
        except BaseException as error:  # noqa: BLE001, told below
            trouble = error
            if not isinstance(error, SystemExit):
                traceback.print_exc()
            self.failed.append("the tests themselves")
        for action in reversed(self._undo):
            try:
                action()
            except Exception as error:
                print(f"(clean-up: {error})", file=sys.stderr)
        for name in self.failed:
            print(f"failed: {name}")
        print(f"{self.passed} passed, {len(self.failed)} failed")
        sys.exit(1 if self.failed or trouble or not self.passed else 0)

    # What there is to test

    @property
    def image(self):
        """The image under test."""
        return os.environ["VIETER_IMAGE"]

    @property
    def context(self):
        """A copy of what the image is made from, so that it stays the same while the tests run."""
        copy = self.work / "context"
        if not copy.exists():
            (copy / "tests/support").mkdir(parents=True)
            for name in ("Cargo.toml", "Cargo.lock", "Dockerfile", ".dockerignore", "tests/support/Cargo.toml"):
                shutil.copy2(ROOT / name, copy / name)
            for licence in ROOT.glob("LICENSE*"):
                shutil.copy2(licence, copy)
            shutil.copytree(ROOT / "src", copy / "src")
        return copy

    @property
    def gateway(self):
        """The address of this machine that containers of any bridge network can reach."""
        return json.loads(run("ip", "-json", "-4", "address", "show", "docker0").stdout)[0]["addr_info"][0]["local"]

    def process(self, *command, **options):
        """A process of the tests, ended with them."""
        child = subprocess.Popen([str(part) for part in command], **options)

        def end():
            if child.poll() is None:
                child.terminate()
                try:
                    child.wait(20)
                except subprocess.TimeoutExpired:
                    child.kill()

        self.undo(end)
        return child

    def listener(self, command, **options):
        """A process that listens on a port, which is what `command` needs to know; gives the port."""
        for _ in range(5):
            port = free_port()
            child = self.process(*command(port), **options)
            wait_for(f"port {port}", PATIENCE, lambda: child.poll() is not None or listens(port))
            # Somebody else's port is one that ours could not have, and then it ends.
            time.sleep(1)
            if child.poll() is None:
                return port
        raise Failed(f"{' '.join(map(str, command(port)))}: ended with {child.returncode}")

    def forget(self, name):
        """At the end, removes every builder image of that VIETER_IMAGE_NAME."""
        self.undo(lambda: remove_images(name))
        return name

    def container(self, name, *options, image=None, command=()):
        """Starts a container that is removed at the end; gives its name."""
        name = f"{self.id}-{name}"
        self.undo(lambda: away(name))
        docker("run", "--detach", "--name", name, *options, image or self.image, *command)
        return name


def away(container):
    """Stops a container, which gets the time to clean up after itself, and removes it."""
    run("docker", "stop", "-t", "30", container, check=False)
    run("docker", "rm", "--force", "--volumes", container, check=False)


def remove_images(name, command=("docker",)):
    """Removes the images called so, with their untagged versions."""
    listed = run(*command, "images", "--all", "--quiet", "--filter", "label=dev.vieter.name", check=False).stdout.split()
    for image in dict.fromkeys(listed):
        label = run(*command, "inspect", "--format", '{{index .Config.Labels "dev.vieter.name"}}', image, check=False).stdout
        if label.split() and label.split()[0] == name:
            run(*command, "rmi", "--force", image, check=False)


class Packages:
    """Git repositories with PKGBUILDs, served to containers."""

    def __init__(self, suite):
        self.folder = suite.work / "git"
        self.folder.mkdir()
        self.host = suite.gateway
        command = ["git", "daemon", "--reuseaddr", "--export-all", f"--base-path={self.folder}"]
        self.port = suite.listener(lambda port: [*command, f"--port={port}", self.folder], stderr=subprocess.DEVNULL)

    def add(self, name, body="", version="1.0", release=1):
        """One package (a new commit of it, if it is there); gives its URL."""
        folder = self.folder / f"{name}.git"
        if not folder.exists():
            run("git", "init", "--quiet", "--initial-branch=main", folder)
        (folder / "PKGBUILD").write_text(
            f"pkgname={name}\npkgver={version}\npkgrel={release}\npkgdesc='A package of the tests'\n"
            f"arch=(any)\nlicense=(MIT)\n{body}\n"
            'package() {\n  install -d "$pkgdir/usr/share/$pkgname"\n'
            '  echo hello >"$pkgdir/usr/share/$pkgname/greeting"\n}\n'
        )
        identity = ("-c", "user.name=test", "-c", "user.email=test@localhost", "-c", "commit.gpgsign=false")
        run("git", "-C", folder, "add", ".")
        run("git", "-C", folder, *identity, "commit", "--quiet", "--allow-empty", "--message", f"{name} {version}-{release}")
        return f"git://{self.host}:{self.port}/{name}.git"


def repos(path, *urls, repo="home"):
    """Writes a list of repository entries."""
    entries = [{"url": url, "branch": "main", "repo": repo, "arch": ["x86_64"]} for url in urls]
    Path(path).write_text(json.dumps(entries))
    Path(path).chmod(0o644)
    return path


class Server:
    """The stand-in of a Vieter server, on every address of this machine."""

    def __init__(self, suite, *urls, generation="0.6"):
        binary = os.environ["VIETER_SERVER_STAND_IN"]
        listed = repos(suite.work / f"server-{time.monotonic_ns()}.json", *urls)
        child = suite.process(
            binary, "--all-addresses", "yes", "--api-key", KEY, "--generation", generation, "--repos", listed,
            stdout=subprocess.PIPE, text=True,
        )
        port = child.stdout.readline().strip().rstrip("/").rsplit(":", 1)[1]
        self.url = f"http://{suite.gateway}:{port}"

    def has(self, name, version="1.0-1", repo="home", arch="x86_64"):
        """Whether a package was published."""
        request = urllib.request.Request(f"{self.url}/{repo}/{arch}/{name}-{version}", method="HEAD")
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return answer.status == 200
        except urllib.error.HTTPError as error:
            if error.code == 404:
                return False
            raise


def environment(**settings):
    """--env options; a setting that is None is left out."""
    return [part for name, value in settings.items() if value is not None for part in ("--env", f"{name}={value}")]


def log_lines(text):
    """The JSON objects in a log."""
    found = []
    for line in text.splitlines():
        line = line[line.find("{"):] if "{" in line else line
        try:
            found.append(json.loads(line))
        except ValueError:
            continue
    return found


def inspect(name, template):
    """A part of what docker knows of a container or image."""
    return json.loads(docker("inspect", "--format", "{{json " + template + "}}", name))


def inside(container):
    """The processes in a container: [pid there, state, command]. A zombie has no command."""
    script = "for p in /proc/[0-9]*; do printf '%s %s %s\\n' ${p#/proc/} \"$(sed 's/.*) //;s/ .*//' $p/stat 2>/dev/null)\" \"$(tr '\\0' ' ' <$p/cmdline 2>/dev/null)\"; done"
    rows = [row.split(None, 2) for row in docker("exec", container, "sh", "-c", script).splitlines()]
    # One word is a process that is gone; the script is in the command of the shell that runs it.
    return [[*row, ""][:3] for row in rows if len(row) > 1 and "/proc/" not in row[-1]]


if __name__ == "__main__":
    install()
