#!/usr/bin/env python3
"""Stands in for `docker` and `vieter` while the script of a CI example is tried.

As docker it knows what the scripts use: create, cp, start --attach, stop, rm. A container is a folder of
STAND_IN. As vieter it publishes version 1:2 of a package and ends with STAND_IN_STATUS; 69 means that it could
not do anything.
"""

import json
import os
import pathlib
import shutil
import sys


def vieter(arguments, root, environment):
    assert arguments == ["build"], arguments
    status = int(os.environ["STAND_IN_STATUS"])
    repos = json.loads(root(environment["VIETER_REPOS_FILE"]).read_text())
    assert repos and all(entry["url"] and entry["repo"] for entry in repos)
    if status == 69:
        return status
    address = environment["VIETER_ADDRESS"]
    assert address.startswith("file:///"), address
    repository = root(address.removeprefix("file://"))
    assert repository.is_dir(), "the script makes it"
    folder = repository / repos[0]["repo"] / "x86_64"
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*.zst"):
        old.unlink()
    (folder / "hello-1:2-1-any.pkg.tar.zst").write_text("new")
    reports = root(environment["VIETER_REPORT_DIR"])
    reports.mkdir(parents=True, exist_ok=True)
    (reports / "report.json").write_text("{}")
    (reports / "junit.xml").write_text("<testsuites/>")
    if "GITHUB_STEP_SUMMARY" in environment:
        root(environment["GITHUB_STEP_SUMMARY"]).write_text("summary\n")
    return status


def copy(source, target, contents):
    """As `docker cp` does: into a folder that exists, instead of one that does not; the contents of `folder/.`."""
    if not source.exists():
        print(f"no such path: {source}", file=sys.stderr)
        return 1
    if contents:
        shutil.copytree(source, target, dirs_exist_ok=True)
        return 0
    if target.is_dir():
        target = target / source.name
    (shutil.copytree if source.is_dir() else shutil.copy)(source, target)
    return 0


def docker(arguments):
    containers = pathlib.Path(os.environ["STAND_IN"])
    command, *rest = arguments
    if command == "create":
        environment, words = {}, []
        while rest:
            word = rest.pop(0)
            if word == "--env":
                name, _, value = rest.pop(0).partition("=")
                environment[name] = value
            elif word in ("--user", "--volume"):
                words.append(rest.pop(0))
            else:
                assert not word.startswith("-"), word
                words.append(word)
        assert words == ["0:0", "/var/run/docker.sock:/var/run/docker.sock", "vieter:latest", "build"], words
        container = containers / "c0ffee"
        # As the Dockerfile makes them.
        for folder in ("repository", "reports", "cache"):
            (container / "root" / folder).mkdir(parents=True)
        (container / "env.json").write_text(json.dumps(environment))
        print("c0ffee")
        return 0
    if command == "cp":
        source, target = (
            containers / path.split(":")[0] / "root" / path.split(":")[1].lstrip("/")
            if ":" in path
            else pathlib.Path(path)
            for path in rest
        )
        return copy(source, target, contents=rest[0].endswith("/."))
    container = containers / rest[-1]
    assert container.is_dir(), rest
    if command == "start":
        assert rest[0] == "--attach", rest
        environment = json.loads((container / "env.json").read_text())
        return vieter(["build"], lambda path: container / "root" / path.lstrip("/"), environment)
    if command == "rm":
        shutil.rmtree(container)
        return 0
    assert command == "stop", command
    return 0


if __name__ == "__main__":
    name = pathlib.Path(sys.argv[0]).name
    if name == "docker":
        sys.exit(docker(sys.argv[1:]))
    sys.exit(vieter(sys.argv[1:], pathlib.Path, os.environ))
