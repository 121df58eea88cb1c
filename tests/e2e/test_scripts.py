"""Unmodified scripts and ordinary images run as they are."""

import pytest
from gen_e2e import Kubectl, condition, script_run, sources, status_of

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


def test_metrics_of_another_experiments_name_land_in_the_runs_own(runs: Kubectl) -> None:
    run = runs.recorded("other", seconds=180)

    assert run["status"]["metrics"]["score"] == "0.5"


def test_the_first_of_two_runs_is_the_run_itself(runs: Kubectl) -> None:
    run = runs.recorded("second", seconds=180)

    assert run["status"]["metrics"]["score"] in ("1", "1.0")
