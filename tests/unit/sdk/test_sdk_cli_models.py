"""The command line about results and models: compare, promote, predict, status."""

import json
import threading
from pathlib import Path
from typing import Any

import pytest
from builders.sdk import USER, FakeCluster, condition, finished, model_object, run_object
from trainyard.cli import app
from trainyard_api.attempts import ATTEMPT_OF_TAG
from typer.testing import CliRunner, Result


def call(*words: str) -> Result:
    return CliRunner().invoke(app, list(words))


def test_compare_lines_runs_up(kubeconfig: Path, cluster: FakeCluster) -> None:
    for name, run_id, value in (("shallow", "b" * 32, 0.5), ("deep", "c" * 32, 0.9)):
        cluster.put("runs", {**run_object(name, runID=run_id)})
        cluster.mlflow_runs[run_id] = {
            "info": {"run_id": run_id, "status": "FINISHED"},
            "data": {"metrics": [{"key": "acc", "value": value}], "params": []},
        }
    table = call("compare", "shallow", "deep")
    data = json.loads(call("compare", "shallow", "deep", "-o", "json").stdout)

    assert ["acc", "0.5", "0.9", "*"] in [line.split() for line in table.stdout.splitlines()]
    assert data["metrics"]["acc"]["best"] == ["deep"]


def test_an_earlier_attempt_is_not_compared_with_the_runs_of_an_experiment(
    kubeconfig: Path, cluster: FakeCluster
) -> None:
    cluster.mlflow_experiments["digits"] = "1"
    for name, value, tags in (
        ("other", 0.4, []),
        ("fit", 0.5, []),
        ("fit-a1", 0.9, [{"key": ATTEMPT_OF_TAG, "value": "b" * 32}]),
    ):
        cluster.mlflow_runs[name] = {
            "info": {"run_id": name, "run_name": name, "status": "FINISHED"},
            "data": {"metrics": [{"key": "acc", "value": value}], "tags": tags},
        }
    data = json.loads(call("compare", "-e", "digits", "-o", "json").stdout)

    assert data["metrics"]["acc"]["best"] == ["fit"]


def test_a_stage_that_is_demoted_holds_nothing(kubeconfig: Path, filled: FakeCluster) -> None:
    done = call("demote", "digits", "--from", "production")
    again = call("demote", "digits", "--from", "production")

    assert done.stdout == "production of digits holds nothing\n"
    assert "production" not in filled.objects["models", "digits"]["spec"]["aliases"]
    assert filled.objects["models", "digits"]["spec"]["promoters"]["production"] == USER
    assert again.exit_code == 1
    assert "is set to no version" in again.stderr


PROMOTE = ("promote", "digits", "2", "--to", "production")


def being_published(cluster: FakeCluster, *, for_seconds: float | None) -> None:
    """Have an operator judge a move to version 2 at once, and let it be published after a while."""
    put = cluster.put

    def judged(plural: str, body: dict[str, Any], event: str = "MODIFIED") -> dict[str, Any]:
        number = body["metadata"].get("generation", 1)
        if plural != "models" or number == 1:
            return put(plural, body, event)
        told = condition("Ready", "False", "VersionNotPublished", "2 is not published yet")
        conditions = [{**told, "observedGeneration": number}]
        waits = {**body, "status": {"observedGeneration": number, "conditions": conditions}}
        holds = {"observedGeneration": number, "aliases": {"production": 2}}
        if for_seconds is not None:
            threading.Timer(for_seconds, lambda: put(plural, {**body, "status": holds})).start()
        return put(plural, waits, event)

    cluster.put = judged  # type: ignore[method-assign]
    spec = {"model": "digits", "version": 2, "source": {"uri": "runs:/abc/model"}}
    cluster.put("models", model_object("digits"))
    cluster.put("modelversions", {"metadata": {"name": "digits-2"}, "spec": spec})


def test_a_version_that_is_still_being_published_is_waited_for(
    kubeconfig: Path, cluster: FakeCluster
) -> None:
    being_published(cluster, for_seconds=0.3)
    done = call(*PROMOTE)

    assert done.exit_code == 0, done.stderr
    assert done.stdout == "production of digits holds version 2\n"
    assert done.stderr.startswith("Waiting for version 2 of digits: VersionNotPublished")


def test_a_version_that_is_still_being_published_is_said_to_be_taken_afterwards(
    kubeconfig: Path, cluster: FakeCluster
) -> None:
    being_published(cluster, for_seconds=None)
    done = call(*PROMOTE, "--context", "test", "--timeout", "1")

    assert done.exit_code == 1
    assert "Waiting for version 2 of digits: VersionNotPublished" in done.stderr
    assert "takes the version by itself once it is published" in done.stderr
    assert "trainyard describe version digits-2 -n dev --context test" in done.stderr
    assert "trainyard demote digits --from production -n dev --context test\n" in done.stderr


def test_predict_shows_the_model_servers_own_words(kubeconfig: Path, cluster: FakeCluster) -> None:
    def refuse(handler: Any) -> bool:
        handler.give({"error": "inputs has 3 columns, the model takes 64"}, 400)
        return True

    cluster.outages = [refuse]
    done = call("predict", "digits", "--data", "[[1, 2, 3]]")

    assert done.exit_code == 1
    assert "inputs has 3 columns, the model takes 64" in done.stderr


def test_models_are_listed_with_the_name_that_mlflow_knows(
    kubeconfig: Path, cluster: FakeCluster
) -> None:
    model = model_object("churn-model-1a2b3c4d")
    model["spec"]["name"] = "Churn Model"
    cluster.put("models", model)

    assert "Churn Model" in call("get", "models").stdout


def test_a_rollback_without_a_past_says_how_to_choose(
    kubeconfig: Path, cluster: FakeCluster
) -> None:
    cluster.put("models", model_object("digits"))
    done = call("rollback", "digits", "--stage", "production")

    assert done.exit_code == 1
    assert "trainyard versions digits" in done.stderr


@pytest.mark.parametrize(
    ("data", "route"),
    [
        pytest.param("[[1, 2]]", "/invocations", id="a bare list"),
        pytest.param('{"instances": [1]}', "/invocations", id="mlflow's body"),
        pytest.param(
            '{"inputs": [{"name": "x", "shape": [1], "datatype": "FP64", "data": [1]}]}',
            "/v2/models/digits/infer",
            id="open inference protocol",
        ),
    ],
)
def test_predict_finds_the_route(kubeconfig: Path, data: str, route: str) -> None:
    answer = json.loads(call("predict", "digits", "--data", data).stdout)

    assert (answer["deployment"], answer["route"]) == ("digits", route)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_predict_reads_a_file(kubeconfig: Path, tmp_path: Path, encoding: str) -> None:
    (tmp_path / "rows.json").write_text("[[3]]", encoding)
    answer = json.loads(call("predict", "digits", "--data", f"@{tmp_path / 'rows.json'}").stdout)

    assert answer["body"] == {"inputs": [[3]]}


def test_predict_says_where_json_is_broken(kubeconfig: Path) -> None:
    assert "line 1, column 2" in call("predict", "digits", "--data", "[x]").stderr


@pytest.mark.parametrize("content", [b"[\xff]", b"[" * 100_000], ids=["bytes", "deep"])
def test_predict_says_that_a_file_is_no_json(
    kubeconfig: Path, tmp_path: Path, content: bytes
) -> None:
    (tmp_path / "rows.json").write_bytes(content)
    done = call("predict", "digits", "--data", f"@{tmp_path / 'rows.json'}")

    assert done.exit_code == 1
    assert "rows.json is not JSON" in done.stderr


def test_predict_names_the_place_that_holds_no_json(kubeconfig: Path) -> None:
    empty = CliRunner().invoke(app, ["predict", "digits", "--data", "@-"], input="")
    absent = call("predict", "digits", "--data", "@rows")

    assert "standard input is not JSON" in empty.stderr
    assert "Cannot read rows: No such file or directory" in absent.stderr
    assert "Name a file that is there" in absent.stderr


def test_status_is_one_screen(kubeconfig: Path, cluster: FakeCluster) -> None:
    cluster.put("runs", finished("bad", good=False, code=3))
    cluster.put("runs", run_object("waits"))
    refusal = {"version": 2, "reason": "GateRefused", "message": "0.5 < 0.9"}
    stages = [{"name": "production", "version": 1, "refusal": refusal}]
    cluster.put("models", model_object("digits", status={"stages": stages}))
    spec = {"model": {"name": "digits", "alias": "production"}, "replicas": 2}
    cluster.put("modeldeployments", {"metadata": {"name": "api"}, "spec": spec})
    shown = call("status").stdout

    assert "ExitCode: The program ended with exit code 3" in shown
    assert "refused 2: 0.5 < 0.9" in shown
    assert "0/2" in shown


def test_status_says_why_a_deployment_does_not_serve(
    kubeconfig: Path, cluster: FakeCluster
) -> None:
    why = condition("Available", "False", "ProbeFailed", "no pod is ready")
    spec = {"model": {"name": "digits", "alias": "production"}}
    cluster.put(
        "modeldeployments",
        {"metadata": {"name": "api"}, "spec": spec, "status": {"conditions": [why]}},
    )

    assert "ProbeFailed: no pod is ready" in call("status").stdout


def test_status_knows_an_empty_namespace_from_none(
    kubeconfig: Path,
) -> None:
    typo = call("status", "-n", "visoin")

    assert "none yet" in call("status").stderr
    assert typo.exit_code == 1
    assert 'namespaces "visoin" not found' in typo.stderr
