"""Each attempt begins with a clean MLflow run, and finds what the one before it logged."""

from pathlib import Path

import pytest
from on_cluster.records import Mlflow, metrics_of, params_of
from on_cluster.runs import Kubectl, Object, condition, script_run, sources

PROGRAM = Path(__file__).parents[1] / "on_cluster/attempt_program.py"
STOPPED = """
import os, time, mlflow
with mlflow.start_run():
    mlflow.log_param("begun", time.time())
    mlflow.log_metric("attempt", int(os.environ["TRAINYARD_ATTEMPT"]))
    print("logged", flush=True)
    time.sleep(600 if os.environ["TRAINYARD_ATTEMPT"] == "1" else 0)
"""
WHOLE = {"runtime": "sklearn", "source": {"configMap": {"name": "attempts"}}}


@pytest.fixture(scope="module")
def runs(kube: Kubectl) -> Kubectl:
    kube.apply(sources("attempts", program=PROGRAM.read_text(), stopped=STOPPED))
    once_more = {"retry": {"userError": 1}}
    kube.apply(
        script_run("fails-once", ["python", "program.py"], **WHOLE, **once_more),
        script_run("paused", ["python", "stopped.py"], **WHOLE),
        script_run("lost", ["python", "stopped.py"], **WHOLE),
    )
    return kube


def test_the_record_is_the_second_attempts_and_the_firsts_is_below_it(
    runs: Kubectl, mlflow: Mlflow
) -> None:
    run = runs.recorded("fails-once", seconds=240)
    clean, first = mlflow.run(run["status"]["runID"]), mlflow.earlier(run)

    assert condition(run, "Succeeded")["reason"] == "Completed"
    # The second went on from the first's checkpoint, which was of step 3.
    assert run["status"]["metrics"] == {"score": "205.0"}
    assert (metrics_of(clean), metrics_of(first)) == ({"score": 205}, {"score": 102})
    assert params_of(clean)["begun"] != params_of(first)["begun"]
    assert first["info"]["run_name"] == "fails-once-a1"
    assert (first["info"]["status"], clean["info"]["status"]) == ("FAILED", "FINISHED")
    assert [child["info"]["run_id"] for child in mlflow.children(run)] == [first["info"]["run_id"]]


def test_the_log_of_each_attempt_is_found_and_no_attempt_is_taken_for_a_run(runs: Kubectl) -> None:
    runs.recorded("fails-once", seconds=240)

    assert "the first time it fails" in runs.trainyard("logs", "fails-once", "--attempt", "1")
    assert "the first time it fails" not in runs.trainyard("logs", "fails-once")
    assert "fails-once-a1" not in runs.trainyard("get", "runs")
    assert "fails-once-a1" not in runs.trainyard("compare", "-e", "e2e", "-o", "json")


def has_logged(runs: Kubectl, name: str) -> None:
    """Wait until the first attempt has logged; it sleeps then."""

    def logged(_: Object) -> bool:
        return "logged" in runs("logs", f"job/{name}-a1", "-c", "main")

    runs.wait("run", name, lambda run: run.get("status", {}).get("phase") == "Running", seconds=180)
    runs.wait("run", name, logged, seconds=60)


def test_a_run_that_goes_on_after_a_pause_begins_with_a_clean_record(
    runs: Kubectl, mlflow: Mlflow
) -> None:
    has_logged(runs, "paused")
    runs("patch", "run", "paused", "--type=merge", "-p", '{"spec":{"suspend":true}}')
    runs.wait("run", "paused", lambda run: run["status"]["phase"] == "Suspended")
    runs("patch", "run", "paused", "--type=merge", "-p", '{"spec":{"suspend":false}}')
    run = runs.recorded("paused", seconds=180)

    assert metrics_of(mlflow.run(run["status"]["runID"])) == {"attempt": 2}
    assert metrics_of(mlflow.earlier(run)) == {"attempt": 1}
    assert mlflow.earlier(run)["info"]["status"] == "KILLED"


def test_a_run_whose_pod_was_lost_begins_with_a_clean_record(runs: Kubectl, mlflow: Mlflow) -> None:
    has_logged(runs, "lost")
    runs("delete", "pod", "-l", "trainyard.dev/run=lost", "--wait=false")
    run = runs.recorded("lost", seconds=180)

    assert metrics_of(mlflow.run(run["status"]["runID"])) == {"attempt": 2}
    assert metrics_of(mlflow.earlier(run)) == {"attempt": 1}
