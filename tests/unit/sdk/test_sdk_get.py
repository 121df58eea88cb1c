"""`trainyard get`: tables for people, and what programs read."""

from pathlib import Path

import pytest
from builders.sdk import FakeCluster, finished, run_object
from trainyard.cli import app
from typer.testing import CliRunner, Result


def call(*words: str) -> Result:
    return CliRunner().invoke(app, list(words))


def test_get_prints_plain_columns_when_piped(kubeconfig: Path, cluster: FakeCluster) -> None:
    cluster.put("runs", finished("digits-deep", metric="acc=0.9", attemptCount=1, duration="41s"))
    first, second = call("get", "runs").stdout.splitlines()

    assert first.split()[:5] == ["NAME", "EXPERIMENT", "PHASE", "ATTEMPTS", "METRIC"]
    assert second.split()[:6] == ["digits-deep", "-", "Succeeded", "1", "acc=0.9", "41s"]


@pytest.mark.parametrize(
    ("form", "said"), [("name", "one\n"), ("json", '"name": "one"'), ("yaml", "name: one")]
)
def test_get_prints_for_programs(
    kubeconfig: Path, cluster: FakeCluster, form: str, said: str
) -> None:
    cluster.put("runs", run_object("one"))

    assert said in call("get", "run", "one", "-o", form).stdout


def test_an_unknown_kind_gets_a_suggestion(kubeconfig: Path) -> None:
    assert "Did you mean runs?" in call("get", "rnus").stderr


def test_a_choice_that_meets_nothing_is_told_with_it(kubeconfig: Path) -> None:
    said = call("get", "runs", "-l", "team=vision").stderr

    assert said == "There are no runs with team=vision in namespace dev\n"
