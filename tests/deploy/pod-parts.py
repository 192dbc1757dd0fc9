#!/usr/bin/env python3
"""What a test needs to start the rendered pod's containers by hand, as JSON.

    kubectl kustomize deploy/kubernetes/base | tests/deploy/pod-parts.py
    helm template ... | tests/deploy/pod-parts.py [--test]      (--test: the pod of `helm test`)

Containers come in the order in which they start; a `sidecar` stays up. A mount's `source` is the volume with
its kind; `groups` are the additional groups.
"""

import json
import sys

import yaml


def pods(documents, want_test):
    for document in filter(None, documents):
        if document["kind"] == "CronJob" and not want_test:
            yield document["spec"]["jobTemplate"]["spec"]["template"]["spec"]
        if document["kind"] == "Pod" and want_test:
            yield document["spec"]


def container(spec, pod, volumes, config_maps):
    context = spec.get("securityContext", {})
    groups = pod.get("supplementalGroups", []) + ([pod["fsGroup"]] if "fsGroup" in pod else [])
    environment = {}
    for source in spec.get("envFrom", []):
        environment |= config_maps.get(source.get("configMapRef", {}).get("name"), {})
    environment |= {e["name"]: e["value"] for e in spec.get("env", []) if "value" in e}
    return {
        "name": spec["name"],
        "image": spec["image"],
        "sidecar": spec.get("restartPolicy") == "Always",
        "command": spec.get("command"),
        "args": spec.get("args", []),
        "env": environment,
        "user": context.get("runAsUser"),
        "group": context.get("runAsGroup"),
        "groups": groups,
        "privileged": context.get("privileged", False),
        "read_only": context.get("readOnlyRootFilesystem", False),
        "no_new_privileges": context.get("allowPrivilegeEscalation") is False,
        "drop": context.get("capabilities", {}).get("drop", []),
        "add": context.get("capabilities", {}).get("add", []),
        "seccomp": context.get("seccompProfile", {}).get("type"),
        "startup_probe": spec.get("startupProbe"),
        "mounts": [
            {
                "path": mount["mountPath"],
                "read_only": mount.get("readOnly", False),
                "name": mount["name"],
                "source": volumes[mount["name"]],
            }
            for mount in spec.get("volumeMounts", [])
        ],
    }


def main():
    documents = list(yaml.safe_load_all(sys.stdin))
    maps = {d["metadata"]["name"]: d["data"] for d in documents if d and d["kind"] == "ConfigMap"}
    [pod] = pods(documents, "--test" in sys.argv)
    volumes = {v["name"]: {k: s for k, s in v.items() if k != "name"} for v in pod["volumes"]}
    security = pod.get("securityContext", {})
    parts = {
        "termination_grace_period": pod.get("terminationGracePeriodSeconds"),
        "fs_group": security.get("fsGroup"),
        "config_maps": maps,
        "containers": [
            container(spec, security, volumes, maps) for spec in pod.get("initContainers", []) + pod["containers"]
        ],
    }
    print(json.dumps(parts, indent=2))


if __name__ == "__main__":
    main()
