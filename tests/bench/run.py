#!/usr/bin/env python3
"""Measures vieter against the documented procedure of the first Vieter, in one run on one machine.

usage: tests/bench/run.py [CASE]...     (all cases unless named; --list shows them)

The documented procedure is carried out by hand with `docker run`: for each entry a container that clones,
runs `makepkg --nobuild`, asks the server with curl, and where the version is missing builds and uploads;
the container is looked at once a second. Its image is made beforehand and not counted.

Needs Docker, Git, Rust and the stand-in image (tests/archlinux/build.sh). Prints a table of ratios; what
is measured here is kept in docs/benchmarks.md.
"""
import http.server, io, json, os, re, shutil, socket, statistics, subprocess, sys, tarfile, tempfile, threading, time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "release"
BASE = os.environ.get("VIETER_TEST_BASE_IMAGE", "archlinux:latest")
OLD_IMAGE = "vieter-bench-documented"
IMAGE_NAME = "vieter-bench-builder"
KEY = "bench-key"
ROWS = []


def sh(*command, **options):
    return subprocess.run(command, check=True, text=True, capture_output=True, **options).stdout


def free_port():
    with socket.socket() as s:
        s.bind(("", 0))
        return s.getsockname()[1]


def gateway():
    """The address of this machine on Docker's bridge, which containers and this machine can both reach."""
    return json.loads(sh("ip", "-json", "-4", "address", "show", "docker0"))[0]["addr_info"][0]["local"]


def pkgbuild(name, version="1.0", extra="", body=""):
    return (f"pkgname={name}\npkgver={version}\npkgrel=1\npkgdesc='bench'\narch=(any)\nlicense=(MIT)\n{extra}"
            f"package() {{\n  install -d \"$pkgdir/usr/share/{name}\"\n  echo {name} > \"$pkgdir/usr/share/{name}/text\"\n{body}}}\n")


def srcinfo(name, version="1.0"):
    return (f"pkgbase = {name}\n\tpkgdesc = bench\n\tpkgver = {version}\n\tpkgrel = 1\n\tarch = any\n"
            f"\tlicense = MIT\n\npkgname = {name}\n")


def peak_memory(pid):
    """The most memory that a process had so far, in MiB. Not what wait4(2) says: a child's peak begins with its parent's."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return None
    found = re.search(r"^VmHWM:\s+(\d+) kB", status, re.M)
    return int(found.group(1)) / 1024 if found else None


class World:
    """A directory, a Git server and a package server, on Docker's bridge."""

    def __init__(self):
        self.dir = Path(tempfile.mkdtemp(prefix="vieter-bench-"))
        self.git_dir = self.dir / "git"
        self.git_dir.mkdir()
        self.host, self.git_port = gateway(), free_port()
        self.children = [subprocess.Popen(
            ["git", "daemon", "--reuseaddr", "--export-all", f"--base-path={self.git_dir}",
             f"--listen={self.host}", f"--port={self.git_port}"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)]
        self.entries = []
        self.server = None

    def repository(self, name, files):
        path = self.git_dir / name
        path.mkdir()
        for file, text in files.items():
            (path / file).write_text(text)
        git = ["git", "-C", str(path), "-c", "user.name=b", "-c", "user.email=b@b", "-c", "init.defaultBranch=main"]
        sh(*git, "init", "--quiet")
        sh(*git, "add", "-A")
        sh(*git, "commit", "--quiet", "-m", "x")
        return f"git://{self.host}:{self.git_port}/{name}"

    def add(self, name, files):
        self.entries.append({"url": self.repository(name, files), "branch": "main", "repo": "bench", "arch": ["x86_64"]})

    def serve(self):
        repos = self.dir / "repos.json"
        repos.write_text(json.dumps(self.entries))
        port = free_port()
        self.children.append(subprocess.Popen(
            [TARGET / "vieter-server-stand-in", "--all-addresses", "yes", "--generation", "0.6", "--port", str(port), "--api-key", KEY,
             "--repos", repos], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True))
        self.children[-1].stdout.readline()
        self.server = f"http://{self.host}:{port}"

    def close(self):
        for child in self.children:
            child.terminate()
            child.wait()
        shutil.rmtree(self.dir, ignore_errors=True)

    def vieter(self, command="build", **settings):
        """Runs the program; returns seconds, peak memory in MiB and the log."""
        env = {"PATH": os.environ["PATH"], "HOME": str(self.dir), "TMPDIR": str(self.dir), "VIETER_ADDRESS": self.server,
               "VIETER_API_KEY": KEY, "VIETER_BASE_IMAGE": BASE, "VIETER_PULL": "missing",
               "VIETER_IMAGE_NAME": IMAGE_NAME, "VIETER_LOG_LEVEL": "info", "VIETER_IMAGE_MAX_AGE": "1day"}
        env.update({f"VIETER_{name}": str(value) for name, value in settings.items()})
        log = self.dir / "log"
        with open(log, "w") as out:
            start = time.monotonic()
            child = subprocess.Popen([TARGET / "vieter", command], env=env, stdout=subprocess.DEVNULL, stderr=out)
            peak = 0
            while child.poll() is None:
                peak = peak_memory(child.pid) or peak
                time.sleep(0.005)
            seconds = time.monotonic() - start
        text = log.read_text()
        assert child.returncode == 0, text[-3000:]
        return seconds, peak, [json.loads(line) for line in text.splitlines()]

    def documented(self, entries=None):
        """The documented procedure for every entry, one after the other."""
        start = time.monotonic()
        for entry in entries or self.entries:
            script = f"""set -e
printf '\\n[bench]\\nServer = {self.server}/$repo/$arch\\nSigLevel = Optional\\n' >> /etc/pacman.conf
cd /home/old
su old -c 'git clone --quiet --single-branch --depth 1 --branch main {entry["url"]} repo'
cd repo
su old -c 'makepkg --nobuild --nodeps --noconfirm'
. ./PKGBUILD
curl -s --head --fail {self.server}/bench/x86_64/$pkgname-$pkgver-$pkgrel && exit 0
su old -c 'MAKEFLAGS=-j$(nproc) makepkg --noconfirm'
for pkg in *.pkg*; do curl -s -XPOST -T "$pkg" -H "X-API-KEY: $API_KEY" {self.server}/bench/publish; done
"""
            container = sh("docker", "run", "--detach", "--ulimit", "nofile=16384:16384",
                           "--env", f"API_KEY={KEY}", OLD_IMAGE, "bash", "-c", script).strip()
            while True:
                state = sh("docker", "inspect", "--format", "{{.State.Running}} {{.State.ExitCode}}", container).split()
                if state[0] == "false":
                    break
                time.sleep(1)
            logs = subprocess.run(["docker", "logs", container], capture_output=True, text=True)
            sh("docker", "rm", container)
            assert state[1] == "0", logs.stdout[-2000:] + logs.stderr[-2000:]
        return time.monotonic() - start


def documented_image():
    container = sh("docker", "run", "--detach", BASE, "sleep", "600").strip()
    setup = "pacman -Syu --noconfirm --needed base-devel git && useradd -m old"
    sh("docker", "exec", container, "bash", "-c", setup)
    sh("docker", "commit", container, OLD_IMAGE)
    sh("docker", "rm", "--force", container)


def row(what, vieter, other, wanted):
    ROWS.append((what, vieter, other, wanted))
    print(f"| {what} | {vieter} | {other} | {wanted} |", flush=True)


def times(count, run):
    return statistics.median(run() for _ in range(count))


def with_world(fill, work):
    world = World()
    try:
        fill(world)
        world.serve()
        work(world)
    finally:
        world.close()


def tiny_entries(count, with_srcinfo=True):
    def fill(world):
        for n in range(count):
            files = {"PKGBUILD": pkgbuild(f"tiny{n}")}
            if with_srcinfo:
                files[".SRCINFO"] = srcinfo(f"tiny{n}")
            world.add(f"tiny{n}", files)
    return fill


def builder_image():
    """Makes vieter's builder image beforehand, as the documented procedure's is."""
    with_world(tiny_entries(1), lambda world: world.vieter())


def case_tiny():
    """50 tiny packages: all built and published, then nothing changed."""
    def work(world):
        built = world.vieter()[0]
        cold = times(5, lambda: world.vieter()[0])
        world.vieter(CACHE_DIR=world.dir / "cache")
        warm = times(5, lambda: world.vieter(CACHE_DIR=world.dir / "cache")[0])
        unchanged = world.documented()
        row("50 unchanged entries, nothing cached", f"{cold:.2f} s", f"{unchanged:.1f} s, {unchanged / cold:.0f} times", "at least 40 times")
        row("50 unchanged entries, Git cache warm", f"{warm:.2f} s", f"{unchanged:.1f} s, {unchanged / warm:.0f} times", "at least 100 times")

        def other(fresh):
            old = fresh.documented()
            row("50 tiny packages built and published", f"{built:.1f} s", f"{old:.1f} s, a share of {built / old:.2f}", "at most 0.75")
        with_world(tiny_entries(50), other)
    with_world(tiny_entries(50), work)


def case_many():
    """1,000 entries, none of them cached, and how time and memory grow."""
    seen = []
    for count in (250, 500, 1000):
        def work(world):
            # What the server has decides nothing about the cost: everything is looked at, nothing is built.
            seconds, memory, _ = world.vieter("plan")
            seen.append((count, seconds, memory))
        with_world(tiny_entries(count), work)
    for count, seconds, memory in seen:
        wanted = "under 20 s and 64 MiB" if count == 1000 else "growth linear"
        row(f"{count} entries looked at, nothing cached", f"{seconds:.1f} s, {memory:.0f} MiB", "", wanted)


def vcs(world, name, megabytes):
    source = world.git_dir / f"{name}-source"
    source.mkdir()
    git = ["git", "-C", str(source), "-c", "user.name=b", "-c", "user.email=b@b", "-c", "init.defaultBranch=main"]
    sh(*git, "init", "--quiet")
    # Random bytes, so that Git cannot make less of them; a file that each commit has anew, as histories are.
    commits = max(1, megabytes // 20)
    for n in range(commits):
        (source / "data").write_bytes(os.urandom(megabytes * 1_000_000 // commits))
        sh(*git, "add", "-A")
        sh(*git, "commit", "--quiet", "-m", str(n), "--allow-empty")
    url = f"git://{world.host}:{world.git_port}/{source.name}"
    # As most of them are: named after the repository ("src" would be makepkg's own folder).
    extra = (f"makedepends=(git)\nsource=('git+{url}')\nsha256sums=(SKIP)\n"
             f"pkgver() {{\n  cd {source.name}\n"
             "  echo r$(git rev-list --count HEAD)\n}\n")
    world.add(name, {"PKGBUILD": pkgbuild(name, "0", extra)})


def case_pkgver():
    """20 unchanged packages with pkgver() and a small Git source, the second night."""
    def work(world):
        world.vieter()
        second = times(2, lambda: world.vieter()[0])
        old = world.documented()
        row("20 unchanged pkgver() entries, second night", f"{second:.1f} s", f"{old:.1f} s, {old / second:.1f} times", "at least 1.5 times")
    with_world(lambda world: [vcs(world, f"vcs{n}-git", 0) for n in range(20)], work)


def case_large():
    """A pkgver() package with 200 MB of Git history, the second night."""
    def work(world):
        world.vieter()
        second = times(3, lambda: world.vieter()[0])
        old = times(2, world.documented)
        row("one pkgver() entry with 200 MB of Git history, second night", f"{second:.1f} s", f"{old:.1f} s, {old / second:.1f} times", "at least 10 times")
    with_world(lambda world: vcs(world, "large-git", 200), work)


def case_one():
    """One package, against makepkg's own time in a bare container that runs already."""
    def work(world):
        builds = []
        for _ in range(5):
            builds.append(world.vieter(FORCE="true")[0])
        container = sh("docker", "run", "--detach", "--ulimit", "nofile=16384:16384", OLD_IMAGE, "sleep", "600").strip()
        bare = []
        for n in range(5):
            where = f"/home/old/p{n}"
            sh("docker", "exec", "--user", "old", container, "mkdir", where)
            sh("docker", "cp", str(world.git_dir / "tiny0" / "PKGBUILD"), f"{container}:{where}/PKGBUILD")
            sh("docker", "exec", container, "chown", "old", f"{where}/PKGBUILD")
            start = time.monotonic()
            sh("docker", "exec", "--user", "old", "--workdir", where, container, "makepkg", "--noconfirm")
            bare.append(time.monotonic() - start)
        sh("docker", "rm", "--force", container)
        build, alone = statistics.median(builds), statistics.median(bare)
        row("one package built and published", f"{build:.2f} s", f"makepkg alone {alone:.2f} s, {build - alone:.2f} s over it", "at most 0.7 s over it")
    with_world(tiny_entries(1), work)


def case_stage1():
    """Stage 1 with a fresh builder image: no container."""
    def work(world):
        took = []
        for _ in range(5):
            _, _, log = world.vieter(FORCE="true")
            ready = [line for line in log if "builder image is ready" in line["message"]]
            assert ready and "used" in ready[0]["message"], ready
            took.append(ready[0]["seconds"])
        row("stage 1, image fresh enough", f"{statistics.median(took) * 1000:.0f} ms, no container", "", "under 300 ms")
    with_world(tiny_entries(1), work)


class Mirror:
    """A pacman repository over HTTP that counts the bytes it sends."""

    def __init__(self, folder):
        self.folder, self.sent = folder, 0
        mirror = self

        class Handler(http.server.SimpleHTTPRequestHandler):
            def __init__(self, *arguments):
                super().__init__(*arguments, directory=str(folder))

            def copyfile(self, source, outputfile):
                mirror.sent += os.fstat(source.fileno()).st_size
                super().copyfile(source, outputfile)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer((gateway(), 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://{gateway()}:{self.server.server_port}"

    def add(self, name, version, megabytes=5):
        """Puts a package of so many random bytes into it."""
        file = f"{name}-{version}-any.pkg.tar"
        with tarfile.open(self.folder / file, "w", format=tarfile.GNU_FORMAT) as tar:
            size = megabytes * 1_000_000
            facts = f"pkgname = {name}\npkgbase = {name}\npkgver = {version}\npkgdesc = x\nsize = {size}\narch = any\n"
            for path, data in ((".PKGINFO", facts.encode()), (f"usr/share/{name}", os.urandom(size))):
                entry = tarfile.TarInfo(path)
                entry.size = len(data)
                tar.addfile(entry, io.BytesIO(data))
        return f"repo-add --quiet /mirror/mirror.db.tar.gz /mirror/{file}"

    def taken(self):
        """Megabytes since the last question."""
        sent, self.sent = self.sent, 0
        return sent / 1e6


def case_update():
    """What bringing the builder image up to date downloads: one of two packages is new, then nothing is."""
    base = "vieter-bench-base"

    def work(world):
        folder = world.dir / "mirror"
        folder.mkdir()
        mirror = Mirror(folder)
        inside = ("docker", "run", "--volume", f"{folder}:/mirror", "--entrypoint", "sh")
        old = f"{mirror.add('first', '1.0-1')} && {mirror.add('second', '1.0-1')} && pacman -U --noconfirm /mirror/*.pkg.tar"
        section = f"printf '[mirror]\\nSigLevel = Never\\nServer = {mirror.url}\\n' >>/etc/pacman.conf"
        sh(*inside, "--name", base, BASE, "-c", f"{old} && {section}")
        sh("docker", "commit", base, base)
        sh("docker", "rm", base)
        night = lambda: world.vieter(FORCE="true", BASE_IMAGE=base, IMAGE_MAX_AGE="0s")
        again = lambda: sh("docker", "run", "--rm", "--entrypoint", "sh", base, "-c", "pacman -Syu --noconfirm --needed base-devel git")
        try:
            night()
            sh(*inside, "--rm", BASE, "-c", mirror.add("first", "2.0-1"))
            for what in ("one of two packages of 5 MB is new", "the night after, nothing is new"):
                mirror.taken()
                night()
                ours = mirror.taken()
                again()
                row(f"bytes to bring the image up to date: {what}", f"{ours:.2f} MB", f"{mirror.taken():.2f} MB", "only what is new")
        finally:
            mirror.server.shutdown()
            sh("docker", "rmi", "--force", base)
    with_world(tiny_entries(1), work)


CASES = {name[5:]: function for name, function in list(globals().items()) if name.startswith("case_")}


def main():
    wanted = sys.argv[1:] or list(CASES)
    if wanted == ["--list"]:
        for name, function in CASES.items():
            print(f"{name}: {function.__doc__}")
        return
    subprocess.run(["cargo", "build", "--release", "--locked", "--workspace", "--bins"], cwd=ROOT, check=True)
    documented_image()
    builder_image()
    print("| what | vieter | documented procedure | wanted |\n| --- | --- | --- | --- |", flush=True)
    try:
        for name in wanted:
            CASES[name]()
    finally:
        volumes = sh("docker", "volume", "ls", "--quiet", "--filter", "label=dev.vieter.role=sources").split()
        # Only those of the benchmarks: their entries are on this machine's bridge.
        for volume in volumes:
            labels = json.loads(sh("docker", "volume", "inspect", "--format", "{{json .Labels}}", volume))
            if labels.get("dev.vieter.entry", "").startswith(f"git://{gateway()}:"):
                sh("docker", "volume", "rm", volume)
        for image in (OLD_IMAGE, *sh("docker", "images", "--quiet", IMAGE_NAME).split()):
            subprocess.run(["docker", "rmi", "--force", image], capture_output=True)


if __name__ == "__main__":
    main()
