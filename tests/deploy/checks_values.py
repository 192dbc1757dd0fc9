"""What the values of the chart mean."""

import functools
import json
import sys

import jsonschema
import yaml

import values_table
from common import CASES, CHART, HERE, builder_of, documents, environment, job_of, one, pod_of, rendered, run, template


def check_zero_is_a_value():
    """Every number of the chart may be 0, and then 0 is what Kubernetes gets."""
    text = rendered("zeros")
    cron, job, pod = one(text, "CronJob")["spec"], job_of(text), pod_of(text)
    for where, keys in [
        (cron, ["startingDeadlineSeconds", "successfulJobsHistoryLimit", "failedJobsHistoryLimit"]),
        (job, ["backoffLimitPerIndex", "activeDeadlineSeconds", "ttlSecondsAfterFinished", "parallelism"]),
        (pod, ["terminationGracePeriodSeconds"]),
        (pod["initContainers"][0]["startupProbe"], ["periodSeconds", "timeoutSeconds", "failureThreshold"]),
        (builder_of(pod)["securityContext"], ["runAsGroup"]),
        (pod["securityContext"], ["fsGroup"]),
    ]:
        for key in keys:
            assert where[key] == 0, f"{key} is {where.get(key)}"
    assert {"--mtu=0", "--group=0"} <= set(pod["initContainers"][0]["args"])
    env = environment(pod)
    assert env["VIETER_LOG_LIMIT"] == env["VIETER_BUILD_TIMEOUT"] == env["VIETER_RUN_TIMEOUT"] == "0", env
    unsharded = template("--values", str(HERE / "cases" / "zeros.yaml"), "--set", "shards=0")
    assert job_of(unsharded)["backoffLimit"] == 0 and "completionMode" not in job_of(unsharded)
    group = template("--values", str(HERE / "cases" / "host-socket.yaml"), "--set", "docker.hostSocket.group=0")
    assert pod_of(group)["securityContext"]["supplementalGroups"] == [0]


def check_numbers_in_values():
    """No number of values.yaml was forgotten in the check above."""
    zeros = yaml.safe_load((HERE / "cases" / "zeros.yaml").read_text())

    def numbers(values, path=()):
        for key, value in values.items():
            if isinstance(value, dict):
                yield from numbers(value, (*path, key))
            elif isinstance(value, int) and not isinstance(value, bool):
                yield (*path, key)

    for path in numbers(yaml.safe_load((CHART / "values.yaml").read_text())):
        if path in {("shards",), ("securityContext", "runAsUser")}:
            continue
        value = functools.reduce(dict.__getitem__, path, zeros)
        assert value == 0, path


def check_null_leaves_it_to_kubernetes():
    """A number that is null is not rendered."""
    text = rendered("nulls")
    cron, job, pod = one(text, "CronJob")["spec"], job_of(text), pod_of(text)
    assert set(cron) == {"schedule", "suspend", "concurrencyPolicy", "jobTemplate"}, set(cron)
    # Kubernetes' own default would be Allow, and two daemons on one storage.
    assert cron["concurrencyPolicy"] == "Forbid", cron
    assert set(job) == {"podReplacementPolicy", "podFailurePolicy", "template"}, set(job)
    assert "terminationGracePeriodSeconds" not in pod and "resources" not in builder_of(pod)
    assert set(pod["initContainers"][0]["startupProbe"]) == {"exec"}


def check_bad_values_are_refused():
    """Each with a message that names it."""
    good = ["--values", str(HERE / "cases" / "default.yaml")]
    static = ["--values", str(HERE / "cases" / "static-repository.yaml")]
    for arguments, message in [
        ([], "server.address is needed"),
        (["--set", "server.address=https://vieter.example.org"], "server.existingSecret is needed"),
        ([*good, "--set", "server.address=ftp://x"], "/server/address"),
        ([*good, "--set", "server.address=https://user:word@x"], "/server/address"),
        ([*good, "--set", "server.apiKey=key"], "server.existingSecret and server.apiKey"),
        ([*good, "--set", "repository.enabled=true"], "server.address and repository.enabled"),
        (["--set", "repository.enabled=true"], "needs the list"),
        ([*static, "--set", "shards=2"], "several pods must not write"),
        ([*good, "--set", "shards=2,docker.persistence.accessModes={ReadWriteOncePod}"], "docker.persistence.accessModes and shards"),
        ([*good, "--set", "shards=2,cache.enabled=true,cache.accessModes={ReadWriteOncePod}"], "cache.accessModes and shards"),
        ([*static, "--set", "existingReposConfigMap=x"], "repos and existingReposConfigMap"),
        ([*static, "--set", "repos[0].url=https://user:word@git.example.org/x"], "/repos/0/url"),
        ([*static, "--set", "repos[0].url=https://token@git.example.org/x"], "/repos/0/url"),
        ([*static, "--set", "repos[0].brunch=main"], "brunch"),
        ([*static, "--set", "repos[0].repo=../x"], "/repos/0/repo"),
        ([*good, "--set", "docker.mode=remote"], "docker.remote.host is needed"),
        ([*good, "--set", "docker.mode=podman"], "/docker/mode"),
        ([*good, "--set", "docker.remote.host=docker.example.org"], "/docker/remote/host"),
        ([*good, "--set", "job.backoffLimit=-1"], "/job/backoffLimit"),
        ([*good, "--set-string", "job.backoffLimit=2"], "/job/backoffLimit"),
        ([*good, "--set", "job.backofflimit=2"], "backofflimit"),
        ([*good, "--set", "shedule=x"], "shedule"),
        ([*good, "--set", "schedule=never"], "/schedule"),
        ([*good, "--set", "concurrencyPolicy=Allow"], "/concurrencyPolicy"),
        ([*good, "--set", "config.VIETER_API_KEY=key"], "VIETER_API_KEY"),
        ([*good, "--set", "config.VIETER_SHARD_COUNT=3"], "VIETER_SHARD_COUNT"),
        ([*good, "--set", "config.BUILD_TIMEOUT=3h"], "BUILD_TIMEOUT"),
        ([*good, "--set", "docker.persistence.accessModes={ReadOnlyMany}"], "/docker/persistence/accessModes"),
        ([*good, "--set-string", "docker.persistence.size=5K"], "/docker/persistence/size"),
        ([*good, "--set-string", "cache.size=5ki"], "/cache/size"),
        ([*good, "--set-string", "cache.size=5 Gi"], "/cache/size"),
        ([*good, "--set-string", "reports.size=Gi"], "/reports/size"),
        ([*good, "--set", "fullnameOverride=Nightly"], "/fullnameOverride"),
        ([*good, "--set", "fullnameOverride=night.ly"], "/fullnameOverride"),
        ([*good, "--set", "nameOverride=-nightly"], "/nameOverride"),
        ([*good, "--set", "server.existingSecretKey=a/b"], "/server/existingSecretKey"),
    ]:
        try:
            template(*arguments)
        except AssertionError as error:
            assert message in str(error), f"{arguments}: expected {message!r} in\n{error}"
        else:
            raise AssertionError(f"{arguments} was taken")


def check_values_schema_is_strict():
    """Every value is in the schema, and no object of the schema takes unknown keys but those for Kubernetes."""
    schema = json.loads((CHART / "values.schema.json").read_text())
    jsonschema.Draft202012Validator.check_schema(schema)

    def resolve(node):
        while "$ref" in node:
            node = schema["$defs"][node["$ref"].rsplit("/", 1)[1]]
        return node

    def walk(values, node, path):
        node = resolve(node)
        for key, value in values.items():
            assert key in node.get("properties", {}), f"{path}{key} is not in the schema"
            child = resolve(node["properties"][key])
            if isinstance(value, dict) and "properties" in child:
                assert child["additionalProperties"] is False, f"{path}{key}"
                walk(value, child, f"{path}{key}.")

    walk(yaml.safe_load((CHART / "values.yaml").read_text()), schema, "")


def check_values_table():
    """The README's table is made from values.yaml."""
    run(sys.executable, str(HERE / "values_table.py"), "--check")
    assert "shards" in values_table.table((CHART / "values.yaml").read_text())


def check_pass_through():
    """Extra things arrive; large numbers keep their digits; names fit."""
    text = rendered("everything")
    pod, env = pod_of(text), environment(pod_of(text))
    assert env["VIETER_LOG_LIMIT"] == "20000000" and env["VIETER_CPUS"] == "1.5" and env["VIETER_FAIL_FAST"] == "true"
    assert pod["securityContext"]["fsGroup"] == 1000660000
    assert "--group=1000660000" in pod["initContainers"][0]["args"]
    assert builder_of(pod)["image"].endswith("@sha256:0123456789abcdef" + "0123456789abcdef" * 3)
    assert pod["initContainers"][0]["image"] == "registry.example.org/mirror/docker:28-dind"
    assert pod["nodeSelector"] == {"kubernetes.io/arch": "arm64", "example.org/disk": "ssd"}
    assert pod["hostUsers"] is False
    assert {d["metadata"]["name"] for d in documents(text)} >= {"packager", "nightly-more"}
    assert len(one(text, "CronJob")["metadata"]["name"]) <= 52
    labels = [d["metadata"]["labels"].get("team") for d in documents(text) if d["kind"] != "ConfigMap"]
    assert set(labels) == {"packages"}, labels


def check_sizes():
    """What Kubernetes takes for a quantity."""
    for size in ("5", "1.5Gi", "5Ki", "5k", "5M", "5Mi", "5T", "5Ei", "5000m"):
        text = template("--values", str(HERE / "cases" / "default.yaml"), "--set-string", f"docker.persistence.size={size}")
        assert one(text, "PersistentVolumeClaim")["spec"]["resources"]["requests"]["storage"] == size, size


def check_names_stay_text():
    """Also a release called 2024 in a namespace called 1e3."""

    def names(value, path=""):
        if isinstance(value, dict):
            for key, child in value.items():
                yield from names(child, f"{path}/{key}")
        elif isinstance(value, list):
            for child in value:
                yield from names(child, path)
        else:
            last = path.rsplit("/", 1)[1]
            if last.lower().endswith(("name", "namespace", "key", "image")) or "/labels/" in path or "/matchLabels/" in path:
                yield path, value

    for case in CASES:
        text = run("helm", "template", "2024", str(CHART), "--namespace", "1e3", "--values", str(case))
        for document in documents(text):
            for path, value in names(document):
                assert isinstance(value, str), f"{case.stem}: {document['kind']}{path} is {value!r}"


def check_list_arrives():
    """The list of the values is the file that the builder reads."""
    text = rendered("static-repository")
    values = yaml.safe_load((HERE / "cases" / "static-repository.yaml").read_text())
    assert json.loads(one(text, "ConfigMap")["data"]["repos.json"]) == values["repos"]
    env = environment(pod_of(text))
    mounts = {m["mountPath"]: m["name"] for m in builder_of(pod_of(text))["volumeMounts"]}
    assert env["VIETER_ADDRESS"] == "file:///repository" and mounts["/repository"] == "repository"
    assert env["VIETER_REPOS_FILE"] == "/etc/vieter/repos.json" and mounts["/etc/vieter"] == "repos"
    assert mounts[env["VIETER_CACHE_DIR"]] == "cache" and mounts[env["VIETER_REPORT_DIR"]] == "reports"
    kept = [
        d["metadata"]["name"]
        for d in documents(text)
        if "helm.sh/resource-policy" in d["metadata"].get("annotations", {})
    ]
    assert kept == ["nightly-vieter-builder-repository"], kept


def check_shards():
    """An Indexed Job; each part has a storage and a report of its own."""
    job = job_of(rendered("shards"))
    assert job["completionMode"] == "Indexed" and job["completions"] == job["parallelism"] == 4
    pod = job["template"]["spec"]
    assert environment(pod)["VIETER_SHARD_COUNT"] == "4"
    assert any("$(JOB_COMPLETION_INDEX)" in a for a in pod["initContainers"][0]["args"])
    [reports] = [m for m in builder_of(pod)["volumeMounts"] if m["name"] == "reports"]
    assert "$(JOB_COMPLETION_INDEX)" in reports["subPathExpr"]
    for case in CASES:
        shards = yaml.safe_load(case.read_text()).get("shards", 0)
        assert ("JOB_COMPLETION_INDEX" in rendered(case.stem)) == (shards > 0), case.stem


def check_shards_stay_together_where_they_must():
    """Pods that share a claim for one node run on one node, and only those."""
    values = ["--values", str(HERE / "cases" / "default.yaml")]
    for settings, together in [
        ("shards=0", False),
        ("shards=1", False),
        ("shards=2", True),
        ("shards=2,docker.persistence.accessModes={ReadWriteMany}", False),
        ("shards=2,docker.persistence.existingClaim=mine", False),
        ("shards=2,docker.persistence.hostPath=/srv/docker", False),
        ("shards=2,docker.persistence.hostPath=/srv/docker,cache.enabled=true", True),
        ("shards=2,docker.persistence.enabled=false", False),
        ("shards=2,docker.persistence.enabled=false,reports.enabled=true", True),
        ("shards=2,docker.mode=remote,docker.remote.host=tcp://far:2376", False),
    ]:
        text = template(*values, "--set", settings)
        assert ("affinity" in pod_of(text)) == together, settings
        assert "affinity" not in one(text, "Pod")["spec"], f"{settings}: the test's pod has volumes of its own"
    text = rendered("shards-one-node")
    affinity, labels = pod_of(text)["affinity"], job_of(text)["template"]["metadata"]["labels"]
    [term] = affinity["podAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    assert term["topologyKey"] == "kubernetes.io/hostname" and affinity["nodeAffinity"], affinity
    # The first pod may start only because it is itself what it wants to be near to.
    assert term["labelSelector"]["matchLabels"].items() <= labels.items(), (term, labels)


def check_helm_test():
    """It runs the doctor in the same pod, and never on the nightly daemon's storage."""
    for case in CASES:
        pod, nightly = one(rendered(case.stem), "Pod"), pod_of(rendered(case.stem))
        assert pod["metadata"]["annotations"]["helm.sh/hook"] == "test", case.stem
        assert builder_of(pod["spec"])["args"] == ["doctor"] and builder_of(nightly)["args"] == ["build"]
        for volume in pod["spec"]["volumes"]:
            if volume["name"] == "docker":
                assert "emptyDir" in volume, case.stem
        want = environment(nightly)
        if "VIETER_SHARD_COUNT" in want:
            want["JOB_COMPLETION_INDEX"] = "0"
        assert environment(pod["spec"]) == want, case.stem
