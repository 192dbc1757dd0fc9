#!/usr/bin/python3
"""runc, on machines that may not raise limits: Podman asks for more processes and open files than root itself may
have there, and starts nothing. Every limit is lowered to what this machine has; all else goes on as it is."""

import json
import os
import resource
import sys

NAMES = {name: getattr(resource, name) for name in dir(resource) if name.startswith("RLIMIT_")}


def value_of(words, *names):
    """What follows one of these words."""
    return next((words[at + 1] for at, word in enumerate(words[:-1]) if word in names), None)


def lower(path, process_of):
    with open(path, encoding="utf-8") as file:
        document = json.load(file)
    for limit in process_of(document).get("rlimits") or []:
        most = resource.getrlimit(NAMES[limit["type"]])[1]
        if most != resource.RLIM_INFINITY:
            limit["hard"] = min(limit["hard"], most)
            limit["soft"] = min(limit["soft"], most)
    with open(path, "w", encoding="utf-8") as file:
        json.dump(document, file)


def main():
    words = sys.argv[1:]
    bundle, process = value_of(words, "--bundle", "-b"), value_of(words, "--process", "-p")
    if "create" in words and bundle:
        lower(os.path.join(bundle, "config.json"), lambda document: document["process"])
    if "exec" in words and process:
        lower(process, lambda document: document)
    os.execvp("runc", ["runc", *words])


main()
