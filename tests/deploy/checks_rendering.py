"""What is rendered, and whether Kubernetes would take it."""

import copy
import json
import os
import pathlib
import re
import tempfile

import importlib_resources
import jsonschema
import referencing

from common import CASES, CHART, HERE, documents, equal, everything_rendered, one, rendered, run, template

OLDEST = (1, 30)


def check_lint():
    """helm lint --strict, with each set of values."""
    for case in CASES:
        run("helm", "lint", "--strict", str(CHART), "--values", str(case))


def check_golden_files():
    """What is rendered is what was looked at."""
    golden = HERE / "golden"
    seen = set()
    for name, text in everything_rendered():
        path = golden / (name.replace("overlays/", "kustomize-").replace("base", "kustomize-base") + ".yaml")
        seen.add(path.name)
        if os.environ.get("UPDATE"):
            path.write_text(text)
        if not path.exists():
            raise AssertionError(f"{path.name} is not there; UPDATE=1 makes it")
        equal(path.name, path.read_text(), text)
    for path in golden.glob("*.yaml"):
        if path.name not in seen:
            raise AssertionError(f"{path.name} belongs to nothing")


def check_notes():
    """NOTES.txt renders, and says what matters, for each set of values."""
    for case in CASES:
        text = run(
            "helm", "install", "nightly", str(CHART), "--namespace", "vieter",
            "--dry-run=client", "--values", str(case),
        )  # fmt: skip
        notes = text[text.index("NOTES:") :]
        assert "create job --from=cronjob/" in notes and "<no value>" not in notes, notes
        assert ("privileged" in notes) == ("remote" not in case.stem and case.stem != "host-socket"), notes


def check_package():
    """The chart can be packed, and nothing strange is in it."""
    with tempfile.TemporaryDirectory() as directory:
        run("helm", "package", str(CHART), "--destination", directory)
        [archive] = pathlib.Path(directory).iterdir()
        names = run("tar", "--list", "--file", str(archive)).split()
        assert all(name.startswith("vieter-builder/") for name in names), names
        assert not [n for n in names if "test" in n and "templates/tests/" not in n], names


def check_no_stray_blanks():
    """No lines of blanks in what is rendered: somebody will read it."""
    for name, text in everything_rendered():
        bad = [line for line in text.splitlines() if line != line.rstrip()]
        assert not bad, f"{name}: {bad[:3]}"


def kubernetes_versions():
    schemas = importlib_resources.files("kubernetes_validate").joinpath("kubernetes-json-schema")
    found = {m[0] for m in (re.fullmatch(r"v(\d+)\.(\d+)\.0-local-strict", p.name) for p in schemas.iterdir()) if m}
    parsed = sorted(tuple(map(int, re.findall(r"\d+", version)[:2])) for version in found)
    return schemas, [version for version in parsed if version >= OLDEST]


def check_schemas_of_kubernetes():
    """Every object is valid, and without unknown fields, on each Kubernetes from 1.30 to the newest known."""
    schemas, versions = kubernetes_versions()
    assert versions[0] == OLDEST and versions[-1] >= (1, 35), versions
    objects = {json.dumps(d, sort_keys=True): (n, d) for n, text in everything_rendered() for d in documents(text)}
    for major, minor in versions:
        folder = schemas.joinpath(f"v{major}.{minor}.0-local-strict")
        definitions = json.loads(folder.joinpath("_definitions.json").read_text())
        registry = referencing.Resource.from_contents(definitions) @ referencing.Registry()
        validators = {}
        for name, document in objects.values():
            group = re.sub(r"^([^./]*)(?:\.[^/]*)?/", r"\1-", document["apiVersion"])
            file = f"{document['kind'].lower()}-{group}.json"
            if file not in validators:
                schema = json.loads(folder.joinpath(file).read_text())
                known = referencing.Resource.from_contents(schema) @ registry
                validators[file] = jsonschema.Draft202012Validator(schema, registry=known)
            for error in validators[file].iter_errors(document):
                raise AssertionError(f"{name}, Kubernetes {major}.{minor}: {error.json_path}: {error.message}")


def check_the_schema_check():
    """The check above would find an unknown field and a wrong type."""
    schemas, versions = kubernetes_versions()
    major, minor = versions[-1]
    folder = schemas.joinpath(f"v{major}.{minor}.0-local-strict")
    registry = referencing.Resource.from_contents(json.loads(folder.joinpath("_definitions.json").read_text()))
    schema = json.loads(folder.joinpath("cronjob-batch-v1.json").read_text())
    known = referencing.Resource.from_contents(schema) @ (registry @ referencing.Registry())
    validator = jsonschema.Draft202012Validator(schema, registry=known)
    good = one(rendered("default"), "CronJob")
    assert validator.is_valid(good)
    for spoil in (
        lambda pod: pod["containers"][0].update(restartPolici="Always"),
        lambda pod: pod["containers"][0].update(args="build"),
        lambda pod: pod.update(terminationGracePeriodSeconds="60"),
    ):
        bad = copy.deepcopy(good)
        spoil(bad["spec"]["jobTemplate"]["spec"]["template"]["spec"])
        assert not validator.is_valid(bad)


def check_versions_of_kubernetes_that_the_chart_takes():
    """From 1.29 on."""
    values = str(HERE / "cases" / "shards.yaml")
    for version in ["1.29.0", *(f"{a}.{b}.0" for a, b in kubernetes_versions()[1]), "1.30.5-gke.100"]:
        template("--values", values, "--kube-version", version)
    try:
        template("--values", values, "--kube-version", "1.28.9")
    except AssertionError as error:
        assert "kubeVersion" in str(error), error
    else:
        raise AssertionError("1.28 has no native sidecars by default, and was taken")
