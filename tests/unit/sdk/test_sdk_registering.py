"""Registering: from a finished run to a version, and what the command says if it did not happen."""

from pathlib import Path
from typing import Any

import pytest
from builders.sdk import FakeCluster, condition, finished, model_object
from trainyard.cli import app
from trainyard.errors import InvalidInput
from trainyard.registering import logged_model
from trainyard.running import unregistered
from trainyard.submission import RunOptions, archive_run
from trainyard_api.run import Run
from typer.testing import CliRunner, Result

RUN_ID = "a" * 32
SEARCH = [{"artifactPath": "model", "own": True}, {"artifactPath": "best_estimator", "own": True}]


def call(*words: str) -> Result:
    return CliRunner().invoke(app, list(words))


def done(name: str) -> dict[str, Any]:
    run = finished(name)
    run["status"]["completionTime"] = "2026-01-02T03:05:05Z"
    return run


def test_a_finished_run_becomes_the_next_version(kubeconfig: Path, cluster: FakeCluster) -> None:
    cluster.put("runs", done("search"))
    cluster.put("models", model_object("digits", status={"retired": 4}))
    cluster.logged_models[RUN_ID] = SEARCH
    said = call("register", "search", "--as", "digits")

    assert (said.exit_code, said.stdout) == (0, "digits-5\n")
    spec = cluster.objects["modelversions", "digits-5"]["spec"]
    assert spec["source"] == {"run": {"name": "search", "artifactPath": "best_estimator"}}


def test_any_mlflow_run_becomes_the_first_version_of_a_new_model(
    kubeconfig: Path, cluster: FakeCluster
) -> None:
    cluster.logged_models[RUN_ID] = [{"artifactPath": "m"}]
    said = call("register", RUN_ID, "--as", "fresh")

    assert (said.exit_code, said.stdout) == (0, "fresh-1\n")
    assert ("models", "fresh") in cluster.objects
    source = cluster.objects["modelversions", "fresh-1"]["spec"]["source"]
    assert source == {"mlflowRun": {"id": RUN_ID, "artifactPath": "m"}}


def test_a_run_that_goes_on_is_not_registered(kubeconfig: Path, cluster: FakeCluster) -> None:
    run = done("r")
    del run["status"]["completionTime"]
    cluster.put("runs", run)

    assert call("register", "r", "--as", "digits").exit_code == 1
    assert ("models", "digits") not in cluster.objects


def test_several_models_are_listed_with_the_way_on() -> None:
    with pytest.raises(InvalidInput, match="--artifact b"):
        logged_model([{"artifactPath": "a"}, {"artifactPath": "b"}], "r")


def test_an_artifact_may_be_named_with_the_model() -> None:
    options = RunOptions(command=["python", "train.py"], register="digits:best")
    spec = archive_run(options, f"sha256:{'0' * 64}", prefix="r-").to_object()["spec"]

    assert spec["register"] == {"model": "digits", "artifactPath": "best"}


def test_what_was_not_registered_is_said_with_the_reason() -> None:
    run = finished("r")
    run["spec"]["register"] = {"model": "digits"}
    run["status"]["conditions"].append(condition("Registered", "False", "NoModelLogged", "log one"))

    assert unregistered(Run.model_validate(run)) == "NoModelLogged: log one"
    run["status"]["modelVersion"] = "digits-1"
    assert not unregistered(Run.model_validate(run))
