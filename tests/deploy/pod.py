#!/usr/bin/env python3
"""The pods of deploy/kubernetes, started by hand as a kubelet would: the same containers, users, groups, mounts,
capabilities, probes and order. Each has to build a package. Needs no cluster; `kubectl` only to render."""

import json
import os
import subprocess
import sys

from daemons import privileged_or_like_it, tun_for_everybody
from harness import HERE, KEY, PATIENCE, ROOT, Packages, Server, Suite, away, docker, environment, expect, inspect, run, wait_for


def rendered(folder):
    """The parts of the pod, as tests/deploy/pod-parts.py tells them."""
    documents = run("kubectl", "kustomize", ROOT / "deploy/kubernetes" / folder).stdout
    return json.loads(run(sys.executable, HERE / "pod-parts.py", input=documents).stdout)


class Pod:
    """One pod of one run. Its persistent volume is a folder that outlives it."""

    def __init__(self, suite, parts, name, persistent, settings):
        self.suite, self.parts, self.name = suite, parts, name
        self.folder = suite.work / name
        self.persistent = persistent
        self.settings = settings
        # The group of the mounts, as the kubelet sets it.
        self.group = parts["fs_group"]
        self.pause = suite.container(f"{name}-pause", "--entrypoint", "sleep", "--stop-signal", "KILL", "--no-healthcheck", command=["infinity"])
        self.sidecars = []
        self.message = self.folder / "termination-log"
        self.folder.mkdir(parents=True)
        self.message.touch(mode=0o666)
        self.message.chmod(0o666)

    def volume(self, name, source):
        if "persistentVolumeClaim" in source:
            path = self.persistent
        else:
            path = self.folder / "volumes" / name
        if not path.exists():
            path.mkdir(parents=True)
            if "secret" in source:
                (path / "api-key").write_text(KEY)
                os.chown(path / "api-key", 0, self.group)
                (path / "api-key").chmod(source["secret"].get("defaultMode", 0o644))
            path.chmod(0o777)
            os.chown(path, 0, self.group)
            path.chmod(0o2777)
        return path

    def options(self, part):
        image_user = [] if part["user"] is None else ["--user", f"{part['user']}:{part['group'] if part['group'] is not None else 0}"]
        found = [*image_user, "--network", f"container:{self.pause}", "--no-healthcheck"]
        found += [f"--group-add={group}" for group in part["groups"]]
        found += ["--read-only"] if part["read_only"] else []
        found += ["--security-opt=no-new-privileges"] if part["no_new_privileges"] else []
        found += [f"--cap-drop={name}" for name in part["drop"]] + [f"--cap-add={name}" for name in part["add"]]
        found += privileged_or_like_it() if part["privileged"] else []
        for mount in part["mounts"]:
            source = self.volume(mount["name"], mount["source"])
            found += ["--volume", f"{source}:{mount['path']}" + (":ro" if mount["read_only"] else "")]
        return found

    def start_sidecar(self, part, *more):
        name = f"{self.suite.id}-{self.name}-{part['name']}"
        self.suite.undo(lambda: away(name))
        docker("run", "--detach", "--name", name, *self.options(part), *environment(**part["env"]), *more, part["image"], *part["args"])
        self.sidecars.append(name)
        probe = part["startup_probe"]

        def started():
            expect(inspect(name, ".State.Running"), run("docker", "logs", "--tail", "40", name).stderr)
            return run("docker", "exec", name, *probe["exec"]["command"], check=False).returncode == 0
        # Its failureThreshold is for nodes; this machine may be busy.
        wait_for("the startup probe", PATIENCE, started, every=probe["periodSeconds"])
        return name

    def run_builder(self, *more):
        [part] = [part for part in self.parts["containers"] if not part["sidecar"]]
        values = part["env"] | self.settings
        result = run(
            "docker", "run", "--rm", *self.options(part), "--volume", f"{self.message}:/dev/termination-log",
            *environment(**values), *more, self.suite.image, *part["args"], check=False, timeout=900,
        )
        return result

    def end(self):
        for name in reversed(self.sidecars):
            away(name)
        away(self.pause)


def check_pod(suite, packages, folder, extra=()):
    parts = rendered(folder)
    name = folder.rsplit("/", 1)[-1]
    server = Server(suite, packages.add(f"pod-{name}"))
    settings = {"VIETER_ADDRESS": server.url, "VIETER_IMAGE_MAX_AGE": "12h"}
    persistent = suite.work / f"{name}-storage"
    # Files of other users are in it.
    suite.undo(lambda: subprocess.run(["rm", "-rf", persistent], check=False))
    first = Pod(suite, parts, f"{name}-1", persistent, settings)
    [sidecar] = [part for part in parts["containers"] if part["sidecar"]]
    with suite.check(f"{folder}: the daemon passes its startup probe"):
        daemon = first.start_sidecar(sidecar, *extra)
        run("sh", "-c", f"docker save archlinux:latest | docker exec -i {daemon} docker load", timeout=900)
        who = docker("exec", daemon, "id", "-u")
        print(f"       the daemon runs as user {who}, Docker {docker('exec', daemon, 'docker', 'version', '--format', '{{.Server.Version}}')}")
    with suite.check(f"{folder}: the builder, without any right, builds a package; exit status 0"):
        result = first.run_builder()
        expect(result.returncode == 0 and server.has(f"pod-{name}"), result.stderr[-4000:])
    with suite.check(f"{folder}: the termination message tells the run in a few words"):
        said = first.message.read_text()
        expect("published" in said and len(said) < 4096, said)
    first.end()
    second = Pod(suite, parts, f"{name}-2", persistent, settings)
    with suite.check(f"{folder}: the next night's pod finds the builder image in the storage"):
        second.start_sidecar(sidecar, *extra)
        packages.add(f"pod-{name}", version="2.0")
        result = second.run_builder()
        expect(result.returncode == 0 and server.has(f"pod-{name}", "2.0-1"), result.stderr[-4000:])
        expect('"how":"used"' in result.stderr, result.stderr[:3000])
    with suite.check(f"{folder}: a daemon that is gone is 69, and the message says so"):
        docker("stop", *second.sidecars)
        second.message.write_text("")
        result = second.run_builder(*environment(VIETER_DOCKER_WAIT="2s"))
        expect(result.returncode == 69 and "Docker" in second.message.read_text(), result.stderr[-2000:] + second.message.read_text())
    second.end()


def body(suite):
    packages = Packages(suite)
    check_pod(suite, packages, "base")
    tun_for_everybody()
    check_pod(suite, packages, "overlays/rootless", extra=["--device=/dev/net/tun"])


Suite("pod").main(body)
