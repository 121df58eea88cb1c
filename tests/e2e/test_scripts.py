"""Unmodified scripts and ordinary images run as they are."""

from collections.abc import Iterator

import pytest
from on_cluster.records import Mlflow, metrics_of
from on_cluster.runs import (
    Kubectl,
    command,
    condition,
    script_run,
    shell_run,
    sources,
    status_of,
)
from on_cluster.sidecars import SIDECAR, injection
from trainyard.errors import NotFound

GRID = """
import mlflow
from sklearn.datasets import load_iris
from sklearn.model_selection import GridSearchCV
from sklearn.tree import DecisionTreeClassifier
mlflow.sklearn.autolog(max_tuning_runs=3)
x, y = load_iris(return_X_y=True)
GridSearchCV(DecisionTreeClassifier(), {"max_depth": [1, 2, 3]}, cv=2).fit(x, y)
"""
OTHER_EXPERIMENT = """
import mlflow
mlflow.set_experiment("somebody-elses")
with mlflow.start_run():
    mlflow.log_metric("score", 0.5)
"""
SECOND_RUN = """
import mlflow
with mlflow.start_run():
    mlflow.log_metric("score", 1)
with mlflow.start_run():
    mlflow.log_metric("score", 2)
"""
SCRIPTS = {"grid": GRID, "other": OTHER_EXPERIMENT, "second": SECOND_RUN}
# Of every folder that a program expects to write to; a cluster's own image was built for root.
WRITING = """
set -e
for folder in "$HOME" /tmp /dev/shm; do echo written > "$folder/file"; cat "$folder/file"; done
echo "uid $(id -u)"
"""


@pytest.fixture(scope="module")
def runs(kube: Kubectl) -> Kubectl:
    kube.apply(sources("scripts", **SCRIPTS))
    for name in SCRIPTS:
        kube.apply(
            script_run(
                name,
                ["python", f"{name}.py"],
                runtime="sklearn",
                source={"configMap": {"name": "scripts"}},
            )
        )
    return kube


@pytest.mark.parametrize("name", SCRIPTS)
def test_an_unmodified_script_succeeds(runs: Kubectl, name: str) -> None:
    run = runs.finished(name, seconds=180)

    assert status_of(run, "Succeeded") == "True", condition(run, "Succeeded")


def test_metrics_of_another_experiments_name_land_in_the_runs_own(
    runs: Kubectl, mlflow: Mlflow
) -> None:
    run = runs.recorded("other", seconds=180)
    recorded = mlflow.run(run["status"]["runID"])

    assert run["status"]["metrics"]["score"] == "0.5"
    assert recorded["info"]["experiment_id"] == mlflow.experiment("e2e")
    assert metrics_of(recorded) == {"score": 0.5}
    with pytest.raises(NotFound):
        mlflow.experiment("somebody-elses")


def test_the_first_of_two_runs_is_the_run_itself_and_the_second_below_it(
    runs: Kubectl, mlflow: Mlflow
) -> None:
    run = runs.recorded("second", seconds=180)

    assert run["status"]["metrics"]["score"] in ("1", "1.0")
    assert [metrics_of(child) for child in mlflow.children(run)] == [{"score": 2}]


def test_a_grid_search_is_the_run_and_its_fits_are_below_it(runs: Kubectl, mlflow: Mlflow) -> None:
    run = runs.recorded("grid", seconds=180)
    children = mlflow.children(run)
    depths = [
        parameter["value"]
        for child in children
        for parameter in child["data"]["params"]
        if parameter["key"] == "max_depth"
    ]

    assert "best_cv_score" in run["status"]["metrics"]
    assert sorted(depths) == ["1", "2", "3"]
    assert {child["info"]["status"] for child in children} == {"FINISHED"}


def test_an_image_that_was_built_for_root_runs_unchanged_as_another_user(kube: Kubectl) -> None:
    system = ("kubectl", "-n", "kube-system")
    proxy = "daemonset/kube-proxy"
    path = "jsonpath={.spec.template.spec.containers[0].image}"
    image = command(kube.environment, *system, "get", proxy, "-o", path)
    assert command(kube.environment, *system, "exec", proxy, "--", "id", "-u").strip() == "0"
    kube.apply(shell_run("root-built", WRITING, image=image))

    run = kube.recorded("root-built")

    assert status_of(run, "Succeeded") == "True", condition(run, "Succeeded")
    log = kube.trainyard("logs", "root-built").splitlines()
    assert log.count("written") == 3
    assert log[-1].startswith("uid ")
    assert log[-1] != "uid 0"


@pytest.fixture(scope="module")
def injected(kube: Kubectl) -> Iterator[Kubectl]:
    """A cluster that puts a sidecar into certain pods, as service meshes do."""
    with injection(kube):
        yield kube


def test_a_sidecar_that_never_exits_does_not_keep_a_run_from_ending(injected: Kubectl) -> None:
    labels = {"labels": {"inject": SIDECAR}}
    injected.apply(shell_run("meshed", "echo done", podTemplate=labels))

    run = injected.finished("meshed")
    pod = injected.list("pods", "trainyard.dev/run=meshed")[0]
    states = {each["name"]: each["state"] for each in pod["status"]["containerStatuses"]}

    assert "running" in states["sidecar"]
    assert status_of(run, "Succeeded") == "True", condition(run, "Succeeded")
    assert run["status"]["attempts"][0]["exitCode"] == 0
    injected.recorded("meshed")
    injected("wait", "--for=delete", "pod", "-l", "trainyard.dev/run=meshed", "--timeout=60s")
    assert "done" in injected.trainyard("logs", "meshed")
