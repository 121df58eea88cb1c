"""The operator dies after every write of its own, and the quickstart's path ends the same."""

import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from ends import CHILDREN, OWN, end
from on_cluster.models import deployment, model, stage, train
from on_cluster.runs import SYSTEM, Kubectl, Object, namespace, status_of

PROXY = Path(__file__).parent / "killing_proxy.py"
OPERATOR, KILLED = "deployment/trainyard-operator", "killed-operator"
EXPERIMENT = {
    "apiVersion": "trainyard.dev/v1alpha1",
    "kind": "Experiment",
    "metadata": {"name": "e2e"},
    "spec": {},
}
WRITES = {
    *(f"api {each}" for each in (*CHILDREN, "models", "modelversions")),
    *(f"api {each}/status" for each in OWN),
    *(f"tracking {each}" for each in ("runs", "runs/finish", "audit")),
}
QUIET_SECONDS = 10


@pytest.fixture(scope="module")
def undisturbed(environment: dict[str, str], installed: None) -> Iterator[Kubectl]:
    with namespace(environment, "e2e-undisturbed") as kube:
        take_the_path(kube)
        yield kube


@pytest.fixture(scope="module")
def kills(kube: Kubectl, undisturbed: Kubectl) -> Iterator[list[str]]:
    """What the operator was killed after on its way to the same end."""
    with killed_operator(Kubectl(kube.environment, SYSTEM), kube.namespace) as told:
        take_the_path(kube)
        yield settled(told)


def take_the_path(kube: Kubectl) -> None:
    """Train a weak and a good version; the gate lets the good one through, and it is served."""
    kube.apply(EXPERIMENT, model("m", stage("production", "automatic", threshold=0.5)))
    train(kube, "m", [0.4])
    kube.wait("model", "m", lambda seen: refused(seen) == 1)
    train(kube, "m", [0.9], first=2)
    # Some twenty lives of the operator, of seconds each, more on a busy machine.
    kube.wait(
        "model", "m", lambda seen: seen["status"]["aliases"].get("production") == 2, seconds=300
    )
    kube.apply(deployment("d", model={"name": "m", "alias": "production"}))
    kube.wait("mdep", "d", lambda seen: status_of(seen, "Available") == "True")


def refused(seen: Object) -> int:
    (stage,) = seen.get("status", {}).get("stages") or [{}]
    return int(stage.get("refusal", {}).get("version", 0))


@contextmanager
def killed_operator(system: Kubectl, watched: str) -> Iterator[Callable[[], list[str]]]:
    """Put an operator that is killed in the place of the installed one; give what it prints."""
    installed = system.get("deployment", "trainyard-operator")
    clear = ("delete", f"pod/{KILLED}", f"configmap/{KILLED}", "--ignore-not-found", "--wait")
    system(*clear)
    try:
        system("scale", OPERATOR, "--replicas=0")
        system("create", "configmap", KILLED, f"--from-file={PROXY}")
        system.apply(pod(installed["spec"]["template"], system, watched))
        system("wait", "--for=condition=Ready", f"pod/{KILLED}", "--timeout=60s")
        yield lambda: re.findall("(?:killed after|ended by itself) .*", system("logs", KILLED))
    finally:
        # First of all. At least one: a test that was cut short may have left none.
        system("scale", OPERATOR, f"--replicas={max(1, installed['spec']['replicas'])}")
        system(*clear)
        # It had no time to give the lease up.
        free = '{"spec": {"holderIdentity": ""}}'
        system("patch", "lease", "trainyard-operator", "--type=merge", "-p", free)
        system("rollout", "status", OPERATOR, "--timeout=60s")


def pod(template: Object, system: Kubectl, watched: str) -> Object:
    """Return the operator's pod, with our program in the place of its own."""
    host = f"trainyard-tracking.{SYSTEM}.svc"
    address = system.get("service", "trainyard-tracking")["spec"]["clusterIP"]
    (operator,) = template["spec"]["containers"]
    container = {k: v for k, v in operator.items() if not k.endswith("Probe")} | {
        "command": ["python", "/proxy/killing_proxy.py"],
        "volumeMounts": [
            *operator["volumeMounts"],
            {"name": "proxy", "mountPath": "/proxy"},
            {"name": "tls", "mountPath": "/tls"},
        ],
        "env": [
            *operator["env"],
            {"name": "NAMESPACE", "value": watched},
            {"name": "TRACKING_HOST", "value": host},
            {"name": "TRACKING_ADDRESS", "value": address},
        ],
    }
    spec = template["spec"] | {
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": 1,
        "hostAliases": [{"ip": "127.0.0.1", "hostnames": [host]}],
        "volumes": [
            *template["spec"]["volumes"],
            {"name": "proxy", "configMap": {"name": KILLED}},
            {"name": "tls", "secret": {"secretName": "trainyard-tracking-tls"}},
        ],
        "containers": [container],
    }
    metadata = {"name": KILLED, "labels": template["metadata"]["labels"]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


def settled(told: Callable[[], list[str]]) -> list[str]:
    """Return what was told, once a process has lived longer than it takes to start and write."""
    seen = told()
    while True:
        time.sleep(QUIET_SECONDS)
        before, seen = seen, told()
        if before == seen:
            return seen


def audited(kube: Kubectl) -> list[str]:
    """Return the moves on the audit trail since the namespace is there: it may not be the first."""
    since = kube.get("namespace", kube.namespace)["metadata"]["creationTimestamp"]
    folder = f"/data/trainyard/audit/{kube.namespace}/m"
    system = Kubectl(kube.environment, SYSTEM)
    names = system("exec", "deployment/trainyard-minio", "--", "ls", folder).split()
    return [name for name in names if name >= since]


def log(kube: Kubectl, run: str) -> str:
    """Return the log of a Run, without its times and ids."""
    return re.sub(r"[0-9a-f]{32}|\d+", "…", kube.trainyard("logs", run))


def written(kill: str) -> str:
    """Return the server and the kind of a write, without names and ids."""
    server, path = kill.split()[-2:]
    return f"{server} {'/'.join(path.partition('/namespaces/')[2].split('/')[1::2])}"


def test_it_was_killed_after_every_kind_of_write(
    kills: list[str], record_property: Callable[[str, object], None]
) -> None:
    record_property("points at which the operator was killed", len(kills))

    assert not [kill for kill in kills if kill.startswith("ended")]
    assert {written(kill) for kill in kills} >= WRITES


def test_the_end_is_the_same(kills: list[str], kube: Kubectl, undisturbed: Kubectl) -> None:
    assert end(kube) == end(undisturbed)


@pytest.mark.parametrize("run", ["m-train-1", "m-train-2"])
def test_no_line_of_a_log_is_lost_or_there_twice(
    run: str, kills: list[str], kube: Kubectl, undisturbed: Kubectl
) -> None:
    assert log(kube, run) == log(undisturbed, run) != ""


def test_each_move_is_on_the_audit_trail_once(kills: list[str], kube: Kubectl) -> None:
    assert len(audited(kube)) == len(kube.get("model", "m")["status"]["history"]) == 1
