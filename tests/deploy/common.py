"""What the checks share: rendering, and finding things in what was rendered."""

import difflib
import functools
import pathlib
import subprocess

import yaml

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
CHART = ROOT / "charts" / "vieter-builder"
MANIFESTS = ROOT / "deploy" / "kubernetes"
CASES = sorted((HERE / "cases").glob("*.yaml"))
OVERLAYS = ["base", "overlays/rootless", "overlays/remote-docker"]


def run(*command, **options):
    """Runs a command; its output is in the error when it fails."""
    done = subprocess.run(command, text=True, capture_output=True, **options)
    if done.returncode:
        raise AssertionError(f"{' '.join(map(str, command))}: status {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def template(*arguments):
    return run("helm", "template", "nightly", str(CHART), "--namespace", "vieter", *arguments)


@functools.cache
def rendered(case):
    return template("--values", str(HERE / "cases" / f"{case}.yaml"))


@functools.cache
def kustomized(overlay):
    return run("kubectl", "kustomize", str(MANIFESTS / overlay))


def documents(text):
    return [d for d in yaml.safe_load_all(text) if d]


def one(text, kind):
    [found] = [d for d in documents(text) if d["kind"] == kind]
    return found


def job_of(text):
    return one(text, "CronJob")["spec"]["jobTemplate"]["spec"]


def pod_of(text):
    return job_of(text)["template"]["spec"]


def builder_of(pod):
    [builder] = [c for c in pod["containers"] if c["name"] == "vieter"]
    return builder


def environment(pod):
    return {e["name"]: e.get("value") for e in builder_of(pod)["env"]}


def everything_rendered():
    """(name, text) of each case and overlay."""
    yield from ((case.stem, rendered(case.stem)) for case in CASES)
    yield from ((overlay, kustomized(overlay)) for overlay in OVERLAYS)


def equal(name, one_side, other_side):
    if one_side != other_side:
        dump = lambda v: (v if isinstance(v, str) else yaml.safe_dump(v)).splitlines()
        raise AssertionError(
            "\n".join(difflib.unified_diff(dump(one_side), dump(other_side), lineterm="", n=2)) or name
        )
