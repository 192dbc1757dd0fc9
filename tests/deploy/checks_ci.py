"""The CI examples: their scripts are run with stand-ins."""

import json
import os
import pathlib
import re
import shutil
import subprocess
import tarfile
import tempfile

import jsonschema

import ci_script
from common import CHART, HERE, ROOT


EXAMPLES = sorted((ROOT / "deploy" / "ci").glob("*.yml"))


def shellcheck(text, name):
    done = subprocess.run(["shellcheck", "--shell=bash", "-"], input=text, text=True, capture_output=True)
    assert done.returncode == 0, f"{name}:\n{done.stdout}{done.stderr}"


def check_shellcheck():
    """Our scripts and those of the examples."""
    for path in HERE.glob("*.sh"):
        shellcheck(path.read_text(), path.name)
    for path in EXAMPLES:
        shellcheck(ci_script.script(path), path.name)


def check_example_list():
    """The examples' list is one that the chart would take, too."""
    repos = json.loads((ROOT / "deploy" / "ci" / "packages.json").read_text())
    schema = json.loads((CHART / "values.schema.json").read_text())
    jsonschema.validate({"repos": repos}, schema)


def run_example(example, status, directory):
    """Runs an example's script with stand-ins for docker and vieter. Returns its exit status."""
    work = pathlib.Path(directory) / "work"
    work.mkdir()
    shutil.copy(ROOT / "deploy" / "ci" / "packages.json", work)
    bin_ = pathlib.Path(directory) / "bin"
    bin_.mkdir()
    for name in ("docker", "vieter"):
        shutil.copy(HERE / "ci_stand_in.py", bin_ / name)
        (bin_ / name).chmod(0o755)
    # What an earlier run has published, in an older version.
    old = work / "repository" / "packages" / "x86_64" / "hello-1-1-any.pkg.tar.zst"
    if example.stem != "woodpecker":
        old.parent.mkdir(parents=True)
        old.write_text("old")
    env = {
        "PATH": f"{bin_}:{os.environ['PATH']}",
        "STAND_IN": f"{directory}/containers",
        "STAND_IN_STATUS": str(status),
        "CI_PROJECT_DIR": str(work),
        "GITHUB_STEP_SUMMARY": f"{directory}/summary.md",
    }
    if example.stem == "woodpecker":
        env |= {"VIETER_ADDRESS": f"file://{work}/repository", "VIETER_LOCK_FILE": f"{work}/lock"}
        (work / "repository").mkdir()
    done = subprocess.run(["bash", "-c", ci_script.script(example)], cwd=work, env=env, text=True, capture_output=True)
    return done, work


def artefacts_can_be_uploaded(example, work, what):
    """The forges' artefacts are there, and no file of theirs has a name that they refuse."""
    if example.stem not in ("github-actions", "forgejo"):
        return
    paths = [work / path for path in ci_script.artefacts(example)]
    assert paths, what
    for path in paths:
        files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
        assert files, f"nothing at {path}: {what}"
        refused = [file.name for file in files if set(file.name) & set('"<>|:*?\r\n')]
        assert not refused, f"{refused}: {what}"
    with tarfile.open(work / "repository.tar") as tar:
        assert "./packages/x86_64/hello-1:2-1-any.pkg.tar.zst" in tar.getnames(), f"{tar.getnames()}: {what}"


def check_examples_run():
    """Each example's script passes the status on, keeps what was published and drops what is superseded."""
    for example in EXAMPLES:
        for status in (0, 1, 69):
            with tempfile.TemporaryDirectory() as directory:
                done, work = run_example(example, status, directory)
                what = f"{example.name}, status {status}: {done}"
                assert done.returncode == status, what
                packages = sorted(p.name for p in (work / "repository").rglob("*.zst"))
                if status == 69:
                    assert packages == ([] if example.stem == "woodpecker" else ["hello-1-1-any.pkg.tar.zst"]), what
                else:
                    assert packages == ["hello-1:2-1-any.pkg.tar.zst"], what
                    assert (work / "reports" / "report.json").exists(), what
                    artefacts_can_be_uploaded(example, work, what)
                containers = pathlib.Path(directory) / "containers"
                assert not containers.exists() or not list(containers.iterdir()), f"a container is left: {what}"
                if example.stem in ("github-actions", "forgejo") and status != 69:
                    assert "summary" in (pathlib.Path(directory) / "summary.md").read_text(), what


def check_a_run_ends_before_its_job():
    """A job that is stopped keeps nothing; a run that ends itself keeps what it has built."""
    for example in EXAMPLES:
        text = example.read_text()
        limit = re.search(r"timeout-minutes: (\d+)|timeout: (\d+)h", text)
        if not limit:
            # Its limit is in the project's settings, an hour at first.
            assert example.stem == "woodpecker" and "VIETER_RUN_TIMEOUT: 50m" in text, example.name
            continue
        minutes = int(limit[1] or 60 * int(limit[2]))
        [hours] = re.findall(r"VIETER_RUN_TIMEOUT(?:=|: )(\d+)h", text)
        assert 60 * int(hours) + 30 <= minutes <= 360, example.name


def check_same_script_for_both_forges():
    """GitHub's and Forgejo's examples differ in what surrounds the script only."""
    scripts = {ci_script.script(p) for p in EXAMPLES if p.stem in ("github-actions", "forgejo")}
    assert len(scripts) == 1
