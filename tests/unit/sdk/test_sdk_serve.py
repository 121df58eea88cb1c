"""`trainyard serve`: one word, one Deployment, and whether it came up."""

from pathlib import Path
from typing import Any

import pytest
from builders.sdk import FakeCluster, condition, model_object
from trainyard import serving
from trainyard.cli import app
from trainyard.errors import InvalidInput
from trainyard.serving import served_model
from typer.testing import CliRunner, Result

SERVED = {"version": 3, "digest": f"sha256:{'a' * 64}"}


def call(*words: str) -> Result:
    return CliRunner().invoke(app, list(words))


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("digits@production", ("digits", "production", None)),
        ("models:/digits@production", ("digits", "production", None)),
        ("models:/digits/12", ("digits", None, 12)),
    ],
)
def test_models_are_named_as_mlflow_does(text: str, wanted: tuple[object, ...]) -> None:
    model = served_model(text)

    assert (model.name, model.alias, model.version) == wanted


@pytest.mark.parametrize("text", ["digits", "digits@", "digits/x", "digits/0"])
def test_what_names_no_version_is_refused_with_the_word(text: str) -> None:
    with pytest.raises(InvalidInput, match=text):
        served_model(text)


@pytest.fixture
def operated(kubeconfig: Path, cluster: FakeCluster) -> FakeCluster:
    """A cluster that serves at once what it is given."""
    put = cluster.put

    def at_once(plural: str, body: dict[str, Any], event: str = "MODIFIED") -> dict[str, Any]:
        stored = put(plural, body, event)
        if plural == "modeldeployments" and event == "ADDED":
            good = condition("Available", "True", "MinimumReplicasAvailable")
            status = {"stable": SERVED, "conditions": [good], "endpoint": "http://here"}
            put(plural, {**stored, "status": status})
        return stored

    cluster.put = at_once  # type: ignore[method-assign]  # the operator, at once
    cluster.put("models", model_object("digits"))
    return cluster


def test_a_deployment_is_made_and_waited_for(operated: FakeCluster) -> None:
    done = call("serve", "digits@production")

    assert done.stdout == "digits serves version 3 of digits: http://here\n"
    spec = operated.objects["modeldeployments", "digits"]["spec"]
    assert spec["model"] == {"name": "digits", "alias": "production"}


def test_the_one_that_is_there_is_pointed_to_another(operated: FakeCluster) -> None:
    call("serve", "digits@production", "--replicas", "2")
    call("serve", "digits/3", "-d")

    spec = operated.objects["modeldeployments", "digits"]["spec"]
    assert (spec["model"], spec["replicas"]) == ({"name": "digits", "version": 3}, 2)


def test_a_version_that_does_not_come_up_is_an_error_with_the_reason(
    kubeconfig: Path, cluster: FakeCluster
) -> None:
    cluster.put("models", model_object("digits"))
    rejected = {"digest": SERVED["digest"], "reason": "MissingPackage", "message": "no lightgbm"}
    spec = {"model": {"name": "digits", "version": 3}}
    status = {"rejected": rejected}
    cluster.put(
        "modeldeployments", {"metadata": {"name": "digits"}, "spec": spec, "status": status}
    )

    done = call("serve", "digits/3")

    assert done.exit_code == 1
    assert "MissingPackage: no lightgbm" in done.stderr


def test_who_waits_no_longer_is_told_that_the_deployment_goes_on(
    kubeconfig: Path, cluster: FakeCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(serving, "until_it_serves", interrupt)
    cluster.put("models", model_object("digits"))
    done = call("serve", "digits/3")

    assert done.exit_code == 130
    assert "trainyard describe deployment digits" in done.stderr


def test_a_model_that_does_not_exist_is_told_at_once(kubeconfig: Path) -> None:
    done = call("serve", "nothing@production")

    assert done.exit_code == 1
    assert "nothing" in done.stderr
