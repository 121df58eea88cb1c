"""Faults: the operator, its leader, the tracking service, an upgrade, a name used again."""

import time
from pathlib import Path

import pytest
from on_cluster.runs import SYSTEM, Kubectl, command, script_run, shell_run, sources, status_of
from trainyard_cluster.tools import helm

CHART = Path(__file__).parents[2] / "charts" / "trainyard"
SLOW = """
import time, mlflow
with mlflow.start_run():
    for step in range(20):
        mlflow.log_metric("step", step, step=step)
        time.sleep(1)
"""
PATIENT = SLOW.replace("range(20)", "range(150)")


@pytest.fixture(scope="module")
def slow(kube: Kubectl) -> Kubectl:
    kube.apply(sources("slow", slow=SLOW, patient=PATIENT))
    return kube


def slow_run(name: str, script: str = "slow") -> dict[str, object]:
    return script_run(
        name, ["python", f"{script}.py"], runtime="sklearn", source={"configMap": {"name": "slow"}}
    )


def running(kube: Kubectl, name: str) -> None:
    kube.wait("run", name, lambda run: run.get("status", {}).get("phase") == "Running")


def system(kube: Kubectl, *words: str) -> str:
    return command(kube.environment, "kubectl", "-n", SYSTEM, *words)


def test_a_name_used_again_at_once_is_a_run_of_its_own(kube: Kubectl) -> None:
    kube.apply(shell_run("again", "sleep 60"))
    running(kube, "again")
    first = kube.get("run", "again")["metadata"]["uid"]
    kube("delete", "run", "again", "--wait=false", "--cascade=background")
    kube("wait", "--for=delete", "run/again", "--timeout=60s")
    kube.apply(shell_run("again", "echo second"))

    run = kube.recorded("again")

    assert run["metadata"]["uid"] != first
    assert run["status"]["runID"] == run["metadata"]["uid"].replace("-", "")
    assert status_of(run, "Succeeded") == "True"


def test_a_killed_leader_leaves_no_second_job(slow: Kubectl) -> None:
    system(slow, "scale", "deployment/trainyard-operator", "--replicas=2")
    system(slow, "rollout", "status", "deployment/trainyard-operator", "--timeout=60s")
    slow.apply(slow_run("led"))
    running(slow, "led")
    lease = system(
        slow, "get", "lease", "trainyard-operator", "-o", "jsonpath={.spec.holderIdentity}"
    )
    system(slow, "delete", "pod", lease.partition("_")[0], "--grace-period=0", "--force")

    run = slow.recorded("led", seconds=120)
    system(slow, "scale", "deployment/trainyard-operator", "--replicas=1")

    assert status_of(run, "Succeeded") == "True"
    assert len(slow.list("jobs", "trainyard.dev/run=led")) == 1
    assert run["status"]["metrics"]["step"] in ("19", "19.0")


def test_an_upgrade_in_the_middle_of_a_run_does_not_touch_it(slow: Kubectl) -> None:
    slow.apply(slow_run("upgraded"))
    running(slow, "upgraded")
    command(
        slow.environment,
        str(helm()),
        "upgrade",
        "trainyard",
        str(CHART),
        "-n",
        SYSTEM,
        "--reuse-values",
        "--set-string",
        f"operator.podAnnotations.restarted={time.time_ns()}",
        "--wait",
        "--timeout",
        "3m",
    )

    run = slow.recorded("upgraded", seconds=120)

    assert status_of(run, "Succeeded") == "True"
    assert len(run["status"]["attempts"]) == 1


def test_two_minutes_without_tracking_cost_a_run_nothing(slow: Kubectl) -> None:
    slow.apply(slow_run("patient", "patient"))
    running(slow, "patient")
    system(slow, "scale", "deployment/trainyard-tracking", "--replicas=0")
    time.sleep(120)  # the fault itself: shorter would prove less
    system(slow, "scale", "deployment/trainyard-tracking", "--replicas=1")

    run = slow.recorded("patient", seconds=300)

    assert status_of(run, "Succeeded") == "True"
    assert run["status"]["metrics"]["step"] in ("149", "149.0")
