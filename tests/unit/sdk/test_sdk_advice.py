"""What is printed to be typed next leads to the same namespace and cluster."""

import re
from pathlib import Path
from typing import Any

import pytest
from builders.sdk import FakeCluster, condition, finished, run_object
from trainyard.cli import app
from typer.testing import CliRunner

HERE = " -n dev --context test"
VERBS = (
    "run|logs|rerun|cancel|compare|models|versions|register|promote|rollback|demote|serve|predict"
    "|status|get|describe|delete|ui|proxy|doctor"
)
COMMAND = re.compile(rf"trainyard (?:{VERBS})\b[^`\n]*")


def call(*words: str) -> str:
    return CliRunner().invoke(app, [*words, "-n", "dev", "--context", "test"]).output


@pytest.fixture
def ours(kubeconfig: Path, filled: FakeCluster) -> FakeCluster:
    filled.put("runs", finished("bad", good=False, code=3))
    filled.put("runs", run_object("digits"))
    return filled


@pytest.mark.parametrize(
    "words",
    [
        "describe run bad",
        "describe run",
        "describe model digits",
        "describe model nope",
        "get run nope",
        "compare going",
        "compare nope",
        "ui nope --no-open",
        "ui going --no-open",
        "register going --as digits",
        "rollback digits --stage staging",
        "demote digits --from staging",
        "promote digits 9 --to production",
        "promote digits 1 --to production",
        "serve digits@production",
        "rerun going",
        "logs bad",
    ],
)
def test_a_command_that_is_printed_has_the_namespace_and_the_context(
    ours: FakeCluster, monkeypatch: pytest.MonkeyPatch, words: str
) -> None:
    monkeypatch.setenv("TRAINYARD_PATIENCE", "0")
    said = call(*words.split())

    for command in COMMAND.findall(said):
        assert HERE in command, said
    assert COMMAND.findall(said) or words.startswith("logs")


@pytest.mark.parametrize("code", [401, 502])
def test_the_doctor_that_an_error_names_looks_at_the_same_cluster(
    kubeconfig: Path, cluster: FakeCluster, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    def fail(handler: Any) -> bool:
        handler.give({"message": "no"}, code)
        return True

    monkeypatch.setenv("TRAINYARD_PATIENCE", "0")
    cluster.outages = [fail]

    assert f"trainyard doctor{HERE}" in call("get", "runs")


def test_what_an_empty_namespace_is_told_to_do_leads_there(kubeconfig: Path) -> None:
    said = call("status")

    assert f"trainyard run FOLDER{HERE}\n" in said
    assert f"trainyard serve MODEL@STAGE{HERE}\n" in said


def test_a_namespace_that_is_not_there_is_not_said_to_show_what_there_is(kubeconfig: Path) -> None:
    done = CliRunner().invoke(app, ["status", "-n", "visoin"])

    assert "trainyard status" not in done.stderr
    assert "Choose another namespace with -n" in done.stderr


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (404, "trainyard get deployments -n dev --context test"),
        (503, "trainyard describe deployment digits -n dev --context test"),
    ],
)
def test_a_deployment_that_nobody_answers_for_says_where_to_look(
    kubeconfig: Path, cluster: FakeCluster, code: int, said: str
) -> None:
    def fail(handler: Any) -> bool:
        reason = 'services "digits" not found' if code == 404 else "no endpoints available"
        handler.fail(code, "Unknown", reason)
        return True

    cluster.outages = [fail]

    assert said in call("predict", "digits", "--data", "[[1]]")


def test_a_waiting_run_is_described_by_the_namespace_that_it_is_in(
    kubeconfig: Path, cluster: FakeCluster
) -> None:
    waits = condition("Finished", "False", "Unschedulable", "No node has 64 CPUs")
    cluster.put("runs", run_object("one", conditions=[waits]))

    assert "trainyard describe run one -n team --context test" in call("compare", "team/one")
