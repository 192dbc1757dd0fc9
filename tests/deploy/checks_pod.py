"""What the pod may do, and how the job ends."""

import re

from common import (
    ROOT,
    builder_of,
    documents,
    environment,
    equal,
    everything_rendered,
    job_of,
    kustomized,
    pod_of,
    rendered,
)


def check_builder_has_no_rights():
    """In every variant the builder is what the profile `restricted` asks for, and more."""
    for name, text in everything_rendered():
        pods = [pod_of(text)] + [d["spec"] for d in documents(text) if d["kind"] == "Pod"]
        for pod in pods:
            assert pod["automountServiceAccountToken"] is False and pod["enableServiceLinks"] is False, name
            assert pod["restartPolicy"] == "Never", name
            assert not {"hostNetwork", "hostPID", "hostIPC"} & set(pod), name
            context = builder_of(pod)["securityContext"]
            for key, want in {
                "runAsNonRoot": True,
                "readOnlyRootFilesystem": True,
                "allowPrivilegeEscalation": False,
                "capabilities": {"drop": ["ALL"]},
                "seccompProfile": {"type": "RuntimeDefault"},
            }.items():
                assert context[key] == want, f"{name}: {key} is {context.get(key)}"
            assert builder_of(pod)["terminationMessagePath"] == "/dev/termination-log", name
            assert pod["securityContext"]["fsGroupChangePolicy"] == "OnRootMismatch", name


def check_only_the_daemon_is_privileged():
    """One privileged container where there is a daemon, none elsewhere; rootless is not root."""
    for name, text in everything_rendered():
        pod = pod_of(text)
        privileged = [
            c["name"]
            for c in pod.get("initContainers", []) + pod["containers"]
            if c["securityContext"].get("privileged")
        ]
        remote = "remote" in name or name == "host-socket"
        assert privileged == ([] if remote else ["docker"]), f"{name}: {privileged}"
        if "rootless" in name:
            context = pod["initContainers"][0]["securityContext"]
            assert context["runAsNonRoot"] and context["runAsUser"] == 1000, name
            assert pod["securityContext"]["fsGroup"] == 1000, name
        if remote and name != "host-socket":
            kinds = {kind for volume in pod["volumes"] for kind in volume if kind != "name"}
            assert kinds <= {"emptyDir", "secret", "configMap", "persistentVolumeClaim"}, f"{name}: {kinds}"


def check_daemon_is_a_native_sidecar():
    """It restarts, has a startup probe, opens no TCP port, and its socket is open to a group of the builder."""
    for name, text in everything_rendered():
        pod = pod_of(text)
        if not pod.get("initContainers"):
            config = {k: v for d in documents(text) if d["kind"] == "ConfigMap" for k, v in d["data"].items()}
            assert (config | environment(pod))["DOCKER_HOST"], name
            continue
        [daemon] = pod["initContainers"]
        assert daemon["restartPolicy"] == "Always" and daemon["startupProbe"]["exec"]["command"] == ["docker", "info"]
        assert daemon["args"][0] == "dockerd" and not [a for a in daemon["args"] if "tcp://" in a], name
        hosts = {e["value"] for c in (daemon, builder_of(pod)) for e in c["env"] if e["name"] == "DOCKER_HOST"}
        assert hosts == {"unix:///socket/docker.sock"}, f"{name}: {hosts}"
        assert f"--host={environment(pod)['DOCKER_HOST']}" in daemon["args"], name
        [group] = [a.removeprefix("--group=") for a in daemon["args"] if a.startswith("--group=")]
        outside = {"0": 1000}.get(group, int(group)) if daemon["securityContext"]["runAsUser"] else int(group)
        groups = {builder_of(pod)["securityContext"].get("runAsGroup"), pod["securityContext"]["fsGroup"]}
        assert outside in groups, f"{name}: the socket belongs to {outside}, the builder to {groups}"
        mounts = {m["name"]: m["mountPath"] for m in daemon["volumeMounts"]}
        [root] = [a.removeprefix("--data-root=") for a in daemon["args"] if a.startswith("--data-root=")]
        assert root.startswith(mounts["docker"] + "/"), f"{name}: {root} is not below {mounts['docker']}"


def check_chart_and_manifests_agree():
    """The plain manifests are what the chart makes, names apart."""
    for case, overlay in [("default", "base"), ("rootless", "overlays/rootless"), ("remote", "overlays/remote-docker")]:
        chart, plain = job_of(rendered(case)), job_of(kustomized(overlay))
        config = {d["metadata"]["name"]: d["data"] for d in documents(kustomized(overlay)) if d["kind"] == "ConfigMap"}
        for job in (chart, plain):
            pod = job["template"]["spec"]
            job["template"].pop("metadata")
            builder = builder_of(pod)
            env = {e["name"]: e["value"] for e in builder["env"]}
            for source in builder.pop("envFrom", []):
                env |= config[source["configMapRef"]["name"]]
            builder["env"] = env
            for container in pod.get("initContainers", []) + pod["containers"]:
                container["volumeMounts"].sort(key=lambda m: m["name"])
            for daemon in pod.get("initContainers", []):
                daemon["env"].sort(key=lambda e: e["name"])
            pod["volumes"].sort(key=lambda v: v["name"])
            if not pod.get("initContainers"):
                pod.pop("initContainers", None)
            for volume in pod["volumes"]:
                volume.get("persistentVolumeClaim", {}).pop("claimName", None)
                if volume["name"] == "api-key":
                    assert volume["secret"].pop("items", [{"key": "api-key"}])[0]["key"] == "api-key"
        equal(case, plain, chart)


def check_exit_statuses():
    """The statuses of podFailurePolicy are ours, and are the builder's; the first rule is for disruptions."""
    source = (ROOT / "src" / "exit_status.rs").read_text()
    ours = set(map(int, re.findall(r"^    [A-Z][A-Za-z]+ = (\d+),", source, re.M)))
    assert {0, 1, 64} <= ours, ours
    for name, text in everything_rendered():
        job = job_of(text)
        first, *rest = job["podFailurePolicy"]["rules"]
        assert first["action"] == "Ignore" and first["onPodConditions"][0]["type"] == "DisruptionTarget", name
        actions = {}
        for rule in rest:
            assert rule["onExitCodes"]["containerName"] == "vieter", name
            for status in rule["onExitCodes"]["values"]:
                assert status in ours and status != 0, f"{name}: {status}"
                actions[status] = rule["action"]
        indexed = job.get("completionMode") == "Indexed"
        assert actions[64] == "FailJob", name
        assert {actions[70], actions[124]} == {"FailIndex" if indexed else "FailJob"}, name
        assert not {69, 75, 130, 143} & set(actions), f"{name}: these are worth another attempt"
        # The API server wants these together.
        assert ("backoffLimitPerIndex" in job) == indexed, name
        assert job["podReplacementPolicy"] == "Failed", name
    assert 1 not in {
        s for r in job_of(rendered("shards"))["podFailurePolicy"]["rules"][1:] for s in r["onExitCodes"]["values"]
    }
