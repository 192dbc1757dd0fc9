"""More Docker daemons for the tests, in containers."""

import functools
import json
import os

from harness import PATIENCE, run, wait_for

IMAGE = "docker:29-dind"
SECURITY = ["seccomp=unconfined", "apparmor=unconfined"]
# Newer than the oldest Docker that the tests run with.
NOT_ALWAYS_KNOWN = {"bpf", "perfmon", "checkpoint_restore"}


def capabilities():
    """The capabilities that this machine has to give."""
    with open("/proc/self/status", encoding="ascii") as status:
        [bounding] = [int(line.split()[1], 16) for line in status if line.startswith("CapBnd")]
    said = run("capsh", f"--decode={bounding:016x}").stdout
    names = [name.removeprefix("cap_") for name in said.strip().split("=")[1].split(",")]
    return [name for name in names if name not in NOT_ALWAYS_KNOWN]


@functools.cache
def can_be_privileged():
    """Not where the machine itself lacks a capability: a privileged container asks for all of them."""
    return run("docker", "run", "--rm", "--privileged", "archlinux:latest", "true", check=False).returncode == 0


def privileged_or_like_it(compose=False):
    """What a container needs to run a daemon in it: `--privileged`, or its parts one by one."""
    if compose:
        if can_be_privileged():
            return ""
        lists = {"cap_add": capabilities(), "security_opt": SECURITY, "devices": ["/dev/fuse"], "device_cgroup_rules": ["a *:* rwm"]}
        lines = "".join(f"    {name}:\n" + "".join(f"      - '{value}'\n" for value in values) for name, values in lists.items())
        return f"  docker:\n    privileged: false\n{lines}"
    if can_be_privileged():
        return ["--privileged"]
    options = [f"--cap-add={name}" for name in capabilities()] + [f"--security-opt={option}" for option in SECURITY]
    # Only the docker command knows this one; compose does not.
    options.append("--security-opt=systempaths=unconfined")
    return [*options, "--device=/dev/fuse", "--device-cgroup-rule=a *:* rwm"]


def tun_for_everybody():
    """As udev makes the device wherever there is an udev. It stays so: others may be using it by then."""
    os.chmod("/dev/net/tun", 0o666)


def containerd_image_store(suite):
    """Options for a daemon that keeps its images in containerd, as Docker 29 does unless it was there before."""
    path = suite.work / "daemon.json"
    path.write_text(json.dumps({"features": {"containerd-snapshotter": True}}))
    return ["--volume", f"{path}:/etc/docker/daemon.json:ro"]


def start_daemon(suite, name, *options, command=(), ready=True):
    """A daemon in a container of its own; gives the container's name."""
    container = suite.container(name, *privileged_or_like_it(), "--volume", "/var/lib/docker", *options, image=IMAGE, command=command)
    if ready:
        wait_for(f"the daemon {name}", PATIENCE, lambda: run("docker", "exec", container, "docker", "info", check=False).returncode == 0)
        run("sh", "-c", f"docker save archlinux:latest | docker exec -i {container} docker load", timeout=600)
    return container

