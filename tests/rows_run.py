"""A row for each rule of a Run's spec."""

from typing import Any

from rows import HEX, Change, Object, Row

ONE_SOURCE = "a source is exactly one of git, archive and configMap"
ONE_IMAGE = "set exactly one of runtime (an administrator's preset, such as sklearn) and image"
NEVER_CHANGES = "use a new name, or `kubectl create` with generateName"
DURATION = "a duration is a positive number of hours, minutes and seconds"
INSIDE = "a path here is relative and stays inside"
QUANTITY = "a quantity such as 500m, 2 or 4Gi"
NO_OBJECT = "this is no name of a Kubernetes object"
A_NAME = "a name starts with a lower-case letter"


def git(**more: str) -> Object:
    return {"source": {"git": {"url": "https://git.example/a", "revision": "main"} | more}}


def pod(**overlay: Any) -> Object:
    return {"podTemplate": overlay}


def mount(path: str) -> Object:
    volume = {"name": "data", "emptyDir": {}}
    return pod(volumes=[volume], volumeMounts=[{"name": "data", "mountPath": path}])


ROWS = [
    Row("source is one", git(), {"source": {}}, ONE_SOURCE, "spec.source"),
    Row(
        "source is not two",
        {"source": {"configMap": {"name": "code"}}},
        {"source": {"configMap": {"name": "code"}, "archive": {"digest": f"sha256:{HEX}"}}},
        ONE_SOURCE,
        "spec.source",
    ),
    Row(
        "archive is a digest",
        {"source": {"archive": {"digest": f"sha256:{HEX}"}}},
        {"source": {"archive": {"digest": "latest"}}},
        "a digest is sha256: and 64 lower-case hexadecimal digits",
        "spec.source.archive.digest",
    ),
    Row(
        "git url has a protocol",
        git(url="git@git.example:team/a.git"),
        git(url="/home/me/a"),
        "a git URL starts with https://",
        "spec.source.git.url",
    ),
    *(
        Row(
            f"git url names a host: {refused}",
            git(url=passes),
            git(url=refused),
            "a git URL names its host after ://",
            "spec.source.git.url",
        )
        for passes, refused in (
            ("https://[::1]:8443/a[1].git", "https://[x/a.git"),
            ("ssh://git@git.example:2222/~me/a", "ssh://git@git.example:port/a"),
            ("git://bücher.example/a", "git://x\\y/a"),
        )
    ),
    Row(
        "git revision is one",
        git(revision="feature/#12~1"),
        git(revision="refs/heads/*"),
        "a revision is one branch, tag or commit",
        "spec.source.git.revision",
    ),
    Row(
        "git path has no control character",
        git(path="größe/a b"),
        git(path="a\x01b"),
        "a path has no control character",
        "spec.source.git.path",
    ),
    Row(
        "git url holds no password",
        git(url="ssh://git@git.example/a"),
        git(url="https://me:secret@git.example/a"),
        "put username and password into a Secret, and name it in credentialsSecret",
        "spec.source.git.url",
    ),
    Row(
        "git revision is no option",
        git(revision="v1.0"),
        git(revision="--upload-pack=x"),
        "a revision is a branch, tag or commit",
        "spec.source.git.revision",
    ),
    Row(
        "git path stays inside",
        git(path="a/..b"),
        git(path="a/../../b"),
        INSIDE,
        "spec.source.git.path",
    ),
    Row("git path is relative", git(path="a"), git(path="/a"), INSIDE, "spec.source.git.path"),
    Row(
        "git credentials name a Secret",
        git(credentialsSecret="my.secret"),
        git(credentialsSecret="My Secret"),
        NO_OBJECT,
        "spec.source.git.credentialsSecret",
    ),
    Row(
        "command is not empty",
        {"command": ["a"]},
        {"command": []},
        "should have at least 1 items",
        "spec.command",
    ),
    Row("command is required", {"command": ["a"]}, {"command": None}, "Required", "spec.command"),
    Row("an image or a runtime", {}, {"image": None}, ONE_IMAGE),
    Row(
        "not an image and a runtime",
        {"runtime": "sklearn", "image": None},
        {"runtime": "sklearn", "image": "x"},
        ONE_IMAGE,
    ),
    Row("runtime is a name", {"runtime": "a", "image": None}, {"runtime": "A B"}, A_NAME),
    Row(
        "image has no space",
        {"image": "a/b@sha256:0"},
        {"image": "a b"},
        "an image reference has no space",
        "spec.image",
    ),
    Row(
        "parameter names become arguments",
        {"parameters": {"max_depth": 2, "lr.0-x": 0.1}},
        {"parameters": {"max depth": 2}},
        "a parameter's name begins with a letter",
        "spec.parameters",
    ),
    Row(
        "parameters are scalars, not maps",
        {"parameters": {"s": "x", "i": 2, "f": 0.5, "b": True}},
        {"parameters": {"layers": {"first": 2}}},
        "a value is one string, number or boolean, not a map",
        "spec.parameters.layers",
    ),
    Row(
        "parameters are scalars, not lists",
        {"parameters": {"layers": "[1, 2]"}},
        {"parameters": {"layers": [1, 2]}},
        "one string, number or boolean, not a list",
        "spec.parameters.layers",
    ),
    Row(
        "parameters are scalars, not empty lists",
        {"parameters": {"layers": ""}},
        {"parameters": {"layers": []}},
        "should have at least 1 items",
        "spec.parameters.layers",
    ),
    Row(
        "env has a value",
        {"env": [{"name": "A", "value": ""}]},
        {"env": [{"name": "A"}]},
        "an environment variable has exactly one of value and valueFrom",
        "spec.env[0]",
    ),
    Row(
        "env has a value from one place",
        {"env": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}]},
        {"env": [{"name": "A", "valueFrom": {}}]},
        "valueFrom takes its value from exactly one of secretKeyRef and configMapKeyRef",
        "spec.env[0].valueFrom",
    ),
    Row(
        "env has a legal name",
        {"env": [{"name": "_A1", "value": "x"}]},
        {"env": [{"name": "1A", "value": "x"}]},
        "an environment variable's name has letters, digits and underscores",
        "spec.env[0].name",
    ),
    Row(
        "env names are unique",
        {"env": [{"name": "A", "value": "x"}, {"name": "B", "value": "x"}]},
        {"env": [{"name": "A", "value": "x"}, {"name": "A", "value": "y"}]},
        "Duplicate value",
        "spec.env[1]",
    ),
    *(
        Row(
            f"{reserved} is Trainyard's",
            {"env": [{"name": "MLFLOW_HTTP_REQUEST_TIMEOUT", "value": "9"}]},
            {"env": [{"name": reserved, "value": "x"}]},
            "are Trainyard's, so that the Run is recorded as its own",
            "spec.env",
        )
        for reserved in ("MLFLOW_TRACKING_URI", "MLFLOW_TRACKING_TOKEN", "MLFLOW_RUN_ID")
    ),
    Row(
        "envFrom names one",
        {"envFrom": [{"configMapRef": {"name": "c"}, "prefix": "P_"}]},
        {"envFrom": [{"prefix": "P_"}]},
        "an item of envFrom names exactly one of secretRef and configMapRef",
        "spec.envFrom[0]",
    ),
    Row(
        "amounts are quantities",
        {"resources": {"requests": {"cpu": 1, "memory": "1.5Gi"}}},
        {"resources": {"requests": {"memory": "4 GB"}}},
        QUANTITY,
        "spec.resources.requests",
    ),
    Row(
        "amounts are not negative",
        {"resources": {"limits": {"cpu": "0"}}},
        {"resources": {"limits": {"cpu": "-1"}}},
        QUANTITY,
        "spec.resources.limits",
    ),
    Row(
        "requests are within limits",
        {"resources": {"requests": {"cpu": "500m"}, "limits": {"cpu": 1}}},
        {"resources": {"requests": {"cpu": 2}, "limits": {"cpu": "1500m"}}},
        "a request is greater than its limit",
        "spec.resources",
    ),
    Row(
        "timeout is a duration",
        {"timeout": "1h30m"},
        {"timeout": "1.5h"},
        DURATION,
        "spec.timeout",
    ),
    Row("timeout is not nothing", {"timeout": "90s"}, {"timeout": "0s"}, DURATION, "spec.timeout"),
    Row("timeout has a unit", {"timeout": "90s"}, {"timeout": "90"}, DURATION, "spec.timeout"),
    Row("timeout is not empty", {"timeout": "1m"}, {"timeout": ""}, DURATION, "spec.timeout"),
    Row(
        "retries are not negative",
        {"retry": {"userError": 0}},
        {"retry": {"userError": -1}},
        "should be greater than or equal to 0",
        "spec.retry.userError",
    ),
    Row(
        "the model to register in is a name",
        {"register": {"model": "digits"}},
        {"register": {"model": "Digits"}},
        A_NAME,
        "spec.register.model",
    ),
    Row(
        "volumes are of one kind",
        pod(volumes=[{"name": "a", "persistentVolumeClaim": {"claimName": "c"}}]),
        pod(volumes=[{"name": "a", "emptyDir": {}, "secret": {"secretName": "s"}}]),
        "a volume is exactly one of persistentVolumeClaim, configMap, secret and emptyDir",
        "spec.podTemplate.volumes[0]",
    ),
    Row(
        "other volumes do not exist",
        pod(volumes=[{"name": "a", "configMap": {"name": "c"}}]),
        pod(volumes=[{"name": "a", "hostPath": {"path": "/"}}]),
        "a volume is exactly one of persistentVolumeClaim, configMap, secret and emptyDir",
        "spec.podTemplate.volumes[0]",
    ),
    Row(
        "volumes leave Trainyard's names alone",
        pod(volumes=[{"name": "data", "emptyDir": {"sizeLimit": "1Gi", "medium": "Memory"}}]),
        pod(volumes=[{"name": "trainyard-home", "emptyDir": {}}]),
        "which names Trainyard's own volumes",
        "spec.podTemplate.volumes[0].name",
    ),
    Row(
        "mounts are of volumes that exist",
        mount("/data"),
        pod(volumeMounts=[{"name": "data", "mountPath": "/data"}]),
        "a volumeMount names a volume that is not in podTemplate.volumes",
        "spec.podTemplate",
    ),
    Row(
        "mounts are absolute",
        mount("/data"),
        mount("data"),
        "a mount path is absolute",
        "spec.podTemplate.volumeMounts[0].mountPath",
    ),
    *(
        Row(
            f"{path} is the Run's",
            mount(f"{path}/data".replace("//", "/")),
            mount(path),
            "belong to the Run: mount the volume elsewhere",
            "spec.podTemplate.volumeMounts[0].mountPath",
        )
        for path in ("/work", "/work/", "/tmp", "/dev/shm", "/home/trainyard")
    ),
    *(
        Row(
            f"{path} is the Run's",
            mount("/var/run/trainyard-cars"),
            mount(path),
            "what is below it belong to the Run",
            "spec.podTemplate.volumeMounts[0].mountPath",
        )
        for path in ("/var/run/trainyard-ca", "/var/run/trainyard-ca/mine")
    ),
    Row(
        "labels leave Trainyard's alone",
        pod(labels={"team": "vision"}),
        pod(labels={"trainyard.dev/run": "other"}),
        "are Trainyard's own; use another key",
        "spec.podTemplate.labels",
    ),
    Row(
        "nobody runs as root",
        pod(runAsUser=1000, fsGroup=1000),
        pod(runAsUser=0),
        "should be greater than or equal to 1",
        "spec.podTemplate.runAsUser",
    ),
]

CHANGES = [
    *(
        Change(
            f"{name} never changes",
            {} if name != "runtime" else {"image": None, "runtime": "sklearn"},
            {"suspend": True},
            {name: value},
            NEVER_CHANGES,
            f"spec.{name}",
        )
        for name, value in {
            "experiment": "other",
            "source": {"configMap": {"name": "code"}},
            "command": ["other"],
            "args": ["--more"],
            "parameters": {"max_depth": 3},
            "runtime": "torch",
            "image": "other",
            "env": [{"name": "A", "value": "x"}],
            "envFrom": [{"secretRef": {"name": "s"}}],
            "resources": {"requests": {"cpu": 1}},
            "podTemplate": {"affinity": {"nodeAffinity": {}}},
            "retry": {"userError": 1, "infrastructure": 3},
            "timeout": "1h",
            "register": {"model": "digits"},
        }.items()
    ),
    Change(
        "a parameter never changes its value",
        {"parameters": {"max_depth": 3}},
        {"ttlSecondsAfterFinished": 60},
        {"parameters": {"max_depth": 4}},
        NEVER_CHANGES,
        "spec.parameters",
    ),
    Change(
        "an affinity never changes below",
        pod(affinity={"nodeAffinity": {"a": 1}}),
        {"ttlSecondsAfterFinished": 0},
        pod(affinity={"nodeAffinity": {"a": 2}}),
        NEVER_CHANGES,
        "spec.podTemplate",
    ),
    Change(
        "a cancelled Run stays cancelled",
        {"cancel": True},
        {"suspend": True},
        {"cancel": False},
        "a cancelled Run stays cancelled",
        "spec.cancel",
    ),
]
