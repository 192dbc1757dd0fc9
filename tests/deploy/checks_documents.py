"""The names of settings, and what the documents show."""

import json
import pathlib
import re
import shutil
import sys
import tempfile

from common import (
    CASES,
    CHART,
    HERE,
    MANIFESTS,
    OVERLAYS,
    ROOT,
    builder_of,
    environment,
    everything_rendered,
    one,
    pod_of,
    run,
    template,
)

# Set by the nightly container's scheduler, not by a run.
SCHEDULER = {"VIETER_SCHEDULE", "VIETER_TIMEZONE", "VIETER_JITTER", "VIETER_RUN_AT_START"}


def own_files():
    for folder in (CHART, ROOT / "deploy" / "kubernetes", ROOT / "deploy" / "ci"):
        yield from (p for p in folder.rglob("*") if p.is_file())
    yield from (ROOT / "docs" / name for name in ("kubernetes.md", "ci.md"))


def check_names_of_settings():
    """Every VIETER_ name that is written anywhere here exists."""
    table = (ROOT / "docs" / "configuration.md").read_text()
    known = set(re.findall(r"^\| `(VIETER_[A-Z_]+)`", table, re.M)) | SCHEDULER
    known |= {f"{name}_FILE" for name in known}
    # A variable of the CI examples' own.
    known |= {"VIETER_IMAGE"}
    for path in [*own_files(), *CASES]:
        for name in re.findall(r"\bVIETER_[A-Z_]*[A-Z]\b(?![_(])", path.read_text()):
            assert name in known, f"{path.relative_to(ROOT)}: {name}"


def check_links_in_documents():
    """Files that the documents name exist."""
    for path in own_files():
        if path.suffix != ".md":
            continue
        for target in re.findall(r"\]\(([^)#:]+?)(?:#[^)]*)?\)", path.read_text()):
            assert (path.parent / target).exists(), f"{path.name}: {target}"


def check_examples_in_documents():
    """What docs/kubernetes.md shows works: the values, and the overlay of one's own."""
    blocks = re.findall(r"```yaml\n(.*?)```", (ROOT / "docs" / "kubernetes.md").read_text(), re.S)
    [overlay] = [block for block in blocks if "kind: Kustomization" in block]
    [remote] = [block for block in blocks if "DOCKER_HOST" in block]
    values = [block for block in blocks if block not in (overlay, remote)]
    assert len(values) == 3, blocks
    with tempfile.TemporaryDirectory() as directory:
        files = [pathlib.Path(directory) / f"{number}.yaml" for number in range(3)]
        for file, block in zip(files, values):
            file.write_text(block)
        first, static, ssh = map(str, files)
        template("--values", first)
        template("--values", static)
        pod = pod_of(template("--values", first, "--values", ssh))
    [volume] = [volume for volume in pod["volumes"] if volume["name"] == "ssh"]
    assert volume["secret"]["defaultMode"] == 0o400, volume
    assert environment(pod)["DOCKER_HOST"].startswith("ssh://"), pod
    text = kustomize(overlay)
    assert builder_of(pod_of(text))["image"] == "registry.example.org/vieter:1.0"
    config = one(text, "ConfigMap")
    assert config["data"].keys() == {"VIETER_ADDRESS", "VIETER_BUILD_TIMEOUT", "VIETER_RUN_TIMEOUT"}, config
    assert builder_of(pod_of(text))["envFrom"][0]["configMapRef"]["name"] == config["metadata"]["name"]
    remote = overlay.replace("overlays/rootless", "overlays/remote-docker").replace("    literals:\n", remote)
    text = kustomize(remote)
    assert one(text, "ConfigMap")["data"]["DOCKER_HOST"] == "tcp://builds.example.org:2376", text
    assert not any(name.startswith("DOCKER_") for name in environment(pod_of(text))), "these would win"


def kustomize(overlay):
    """An overlay of one's own, beside a checkout."""
    with tempfile.TemporaryDirectory() as directory:
        mine = pathlib.Path(directory) / "mine"
        mine.mkdir()
        (mine / "kustomization.yaml").write_text(overlay)
        shutil.copytree(MANIFESTS, pathlib.Path(directory) / "vieter" / "deploy" / "kubernetes")
        return run("kubectl", "kustomize", str(mine))


def check_pod_parts():
    """pod-parts.py reads every rendered pod."""
    for name, text in everything_rendered():
        for arguments in [[], ["--test"]] if name not in OVERLAYS else [[]]:
            parts = json.loads(run(sys.executable, str(HERE / "pod-parts.py"), *arguments, input=text))
            *before, builder = parts["containers"]
            assert builder["name"] == "vieter" and builder["read_only"] and builder["drop"] == ["ALL"], name
            assert all(c["sidecar"] and c["privileged"] and c["startup_probe"] for c in before), name
            assert builder["env"]["VIETER_ADDRESS"], name
