"""The script part of a CI example as one shell script with its environment: FILE.

Variables of the example are set unless the caller has set them.
"""

import pathlib
import sys

import yaml


def parts(path):
    """(environment, lines) of an example."""
    example = yaml.safe_load(pathlib.Path(path).read_text())
    name = pathlib.Path(path).stem
    if name in ("github-actions", "forgejo"):
        [job] = example["jobs"].values()
        return job["env"], [step["run"] for step in job["steps"] if "run" in step]
    if name == "gitlab-ci":
        return example["packages"]["variables"], example["packages"]["script"]
    if name == "woodpecker":
        [step] = example["steps"]
        return step["environment"], step["commands"]
    raise SystemExit(f"{path}: no example that is known here")


def artefacts(path):
    """What an example of GitHub's or Forgejo's uploads."""
    [job] = yaml.safe_load(pathlib.Path(path).read_text())["jobs"].values()
    return [step["with"]["path"] for step in job["steps"] if "/upload-artifact@" in step.get("uses", "")]


def script(path):
    """What a runner would do."""
    environment, lines = parts(path)
    sets = [f'export {name}="${{{name}-{value}}}"' for name, value in environment.items()]
    return "\n".join(["#!/usr/bin/env bash", "set -euo pipefail", *sets, *lines]) + "\n"


if __name__ == "__main__":
    print(script(sys.argv[1]), end="")
