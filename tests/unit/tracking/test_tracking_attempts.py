"""Each attempt of a Run begins with a clean MLflow run; what the one before logged is below it."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from builders.tracking import OPERATOR, SCIENTIST, bearer, run_token
from builders.tracking_attempts import API, KEPT, PARENT, V2, Run, pairs
from trainyard_api.attempts import ATTEMPT_OF_TAG, ATTEMPT_TAG
from trainyard_tracking.errors import Unavailable

PROGRAM = Path(__file__).parents[2] / "on_cluster/attempt_program.py"


@pytest.fixture
def run(world: Any) -> Run:
    return Run(world)


def test_the_next_attempt_finds_a_clean_run(run: Run) -> None:
    run.log(1)
    run.finish(status="FAILED")  # as a program may do by itself
    run.begin(2)
    clean = run.shown()

    assert clean["info"]["status"] == "RUNNING"
    assert "end_time" not in clean["info"]
    assert clean["info"]["run_name"] == "fit"
    assert "params" not in clean["data"]
    assert "metrics" not in clean["data"]
    assert pairs(clean, "tags") == {**KEPT, "mlflow.runName": "fit", ATTEMPT_TAG: "2"}
    assert run.curve() == []
    assert run.file() is None


def test_what_the_earlier_attempt_logged_is_in_a_run_below(run: Run) -> None:
    run.log(1)
    run.begin(2, previous={"status": "KILLED", "endTime": 1_700_000_060_000})
    run.log(2)
    first = run.shown(run.earlier())
    said = {**KEPT, ATTEMPT_TAG: "1", ATTEMPT_OF_TAG: run.id, PARENT: run.id, "note": "1"}

    assert first["info"]["run_name"] == "fit-a1"
    assert first["info"]["status"] == "KILLED"
    assert first["info"]["start_time"] == 1_700_000_000_000
    assert first["info"]["end_time"] == 1_700_000_060_000
    assert pairs(first, "tags") == {**said, "mlflow.runName": "fit-a1"}
    assert pairs(first, "params") == {"seed": "1", "only1": "1", "depth": "3", "warm": "true"}
    assert pairs(first, "metrics") == {"loss": 3}
    assert run.curve(run.earlier()) == [1, 2, 3]
    assert run.file(run.earlier()) == "1"


def test_the_run_that_counts_has_the_last_attempts_alone(run: Run) -> None:
    for number in (1, 2, 3):
        run.begin(number)
        run.log(number)
    answer = run.finish(parameters={"depth": 3})
    summary = run.world.client.get(f"{API}/runs/{run.id}/summary", headers=bearer(OPERATOR)).json()

    assert answer["metrics"] == {"loss": "5.0"}
    assert summary["params"] == {"seed": "3", "only3": "1", "depth": "3"}
    # By which a version of an earlier attempt knows that this is not its own.
    assert summary["startTime"] == run.shown()["info"]["start_time"] > 1_700_000_000_000
    assert [run.curve(run.earlier(n)) for n in (1, 2)] == [[1, 2, 3], [2, 3, 4]]
    assert [run.file(one) for one in (run.earlier(1), run.earlier(2), run.id)] == ["1", "2", "3"]


def test_a_repeated_call_never_moves_what_the_running_attempt_has_logged(run: Run) -> None:
    run.log(1)
    first = run.begin(2)
    run.log(2)
    again = run.begin(2)
    late = run.begin(1)

    assert first == again == late
    assert run.curve() == [2, 3, 4]
    assert run.file() == "2"
    assert run.curve(run.earlier()) == [1, 2, 3]


def test_a_move_that_is_cut_off_is_no_move_and_is_made_again(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    from trainyard_tracking import attempts  # noqa: PLC0415  # MLflow reads its environment

    run.log(1)

    def away(*_: Any, **__: Any) -> None:
        raise Unavailable("the database went away")

    with monkeypatch.context() as patch:
        patch.setattr(attempts, "_clean", away)
        path = f"{API}/runs/{run.id}"
        body = {"name": "fit", "experiment": "attempts", "startTime": 1, "attempt": 2}
        # A connection of its own: the server closes it after an answer like this.
        refused = httpx.put(run.world.url + path, json=body, headers=bearer(OPERATOR))
    before = run.curve()
    run.begin(2)

    assert refused.status_code == 500
    assert before == [1, 2, 3]
    assert (run.curve(), run.curve(run.earlier())) == ([], [1, 2, 3])


def test_a_run_that_an_earlier_release_recorded_makes_room_too(run: Run) -> None:
    from mlflow.server.handlers import _get_tracking_store  # noqa: PLC0415  # reads its environment
    from mlflow.store.tracking.dbmodels.models import SqlTag  # noqa: PLC0415  # the same

    with _get_tracking_store().ManagedSessionMaker(read_only=False) as session:
        session.query(SqlTag).filter_by(run_uuid=run.id, key=ATTEMPT_TAG).delete()
    run.log(1)
    run.begin(3)

    assert run.curve() == []
    assert run.curve(run.earlier(2)) == [1, 2, 3]


def test_models_and_data_sets_of_the_earlier_attempt_move_too(run: Run) -> None:
    made = {"name": "model", "experiment_id": "0", "source_run_id": run.id}
    model = run.post("logged-models", made)["model"]["info"]["model_id"]
    run.post("runs/outputs", {"run_id": run.id, "models": [{"model_id": model, "step": 0}]})
    dataset = {"name": "digits", "digest": "1", "source_type": "code", "source": "{}"}
    run.post("runs/log-inputs", {"run_id": run.id, "datasets": [{"dataset": dataset, "tags": []}]})
    run.begin(2)
    first, clean = run.shown(run.earlier()), run.shown()

    assert run.finish()["models"] == []
    assert [one["model_id"] for one in first["outputs"]["model_outputs"]] == [model]
    assert "model_outputs" not in clean.get("outputs", {})
    assert first["inputs"]["dataset_inputs"][0]["dataset"]["name"] == "digits"
    assert "dataset_inputs" not in clean.get("inputs", {})
    shown = run.get(f"{V2}/logged-models/{model}").json()["model"]["info"]
    assert shown["source_run_id"] == run.earlier()


def test_traces_of_the_earlier_attempt_stay_its_own(run: Run) -> None:
    trace = {"trace_id": f"tr-{run.id}", "request_time": "2026-11-24T12:00:00Z", "state": "OK"}
    run.post("traces", {"trace": {"trace_info": trace}}, version="3.0")
    run.begin(2)
    found = run.get(f"/api/3.0/mlflow/traces/{trace['trace_id']}").json()["trace"]["trace_info"]

    assert found["trace_metadata"]["mlflow.sourceRun"] == run.earlier()


def test_many_calls_for_one_attempt_move_its_record_once(run: Run) -> None:
    run.log(1)
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(run.begin, [2] * 16))

    assert answers == answers[:1] * 16
    assert run.curve(run.earlier()) == [1, 2, 3]
    assert run.curve() == []


def test_runs_below_the_earlier_attempt_stay_below_it_and_end(run: Run) -> None:
    assert run.create() == run.id  # the first is the Run's own
    below = run.create("fold")
    made = {"name": "model", "experiment_id": "0", "source_run_id": below}
    run.post("logged-models", made)
    run.begin(2)
    fold = run.shown(below)
    assert run.create() == run.id
    mine = run.create("fold")
    run.begin(3)

    assert fold["info"]["status"] == "FAILED"
    assert pairs(fold, "tags")[PARENT] == run.earlier(1)
    assert pairs(run.shown(below), "tags")[PARENT] == run.earlier(1)
    assert pairs(run.shown(mine), "tags")[PARENT] == run.earlier(2)
    assert pairs(run.shown(run.earlier(1)), "tags")[PARENT] == run.id
    assert run.finish()["models"] == []


def test_a_search_finds_the_runs_that_count(run: Run) -> None:
    run.create()
    run.create("fold")
    run.log(1)
    run.begin(2)
    experiment = run.shown()["info"]["experiment_id"]
    body = {"experiment_ids": [experiment], "filter": f"tags.`{ATTEMPT_OF_TAG}` IS NULL"}
    where = f"{V2}/runs/search"
    headers = {**bearer(SCIENTIST), "X-MLFLOW-WORKSPACE": "team"}

    inside = [one["info"]["run_id"] for one in run.post("runs/search", {})["runs"]]
    outside = run.world.client.post(where, json=body, headers=headers).json()["runs"]

    assert inside == [run.id]
    assert not [one for one in outside if one["info"]["run_name"] in {"fit-a1", "fold"}]
    assert run.id in [one["info"]["run_id"] for one in outside]


@pytest.mark.parametrize("key", [ATTEMPT_TAG, ATTEMPT_OF_TAG])
def test_a_program_cannot_say_which_attempt_it_is(run: Run, key: str) -> None:
    tag = {"run_id": run.id, "key": key, "value": "9"}
    for path, body in (("set-tag", tag), ("delete-tag", tag), ("create", {"tags": [tag]})):
        answer = run.world.client.post(f"{V2}/runs/{path}", json=body, headers=run.own)
        assert answer.status_code == 403, answer.text


def test_logs_of_all_attempts_are_with_the_run_that_counts(run: Run) -> None:
    at = {**bearer(OPERATOR), "Upload-Offset": "0"}
    for number in (1, 2):
        run.begin(number)
        log = f"{API}/runs/{run.id}/logs/{number}"
        run.world.client.patch(log, content=f"{number}\n".encode(), headers=at)
    run.finish(logs=[1, 2])

    shown = [run.get(f"{API}/runs/{run.id}/logs/{number}").text for number in (1, 2)]
    listed = run.get(f"{V2}/artifacts/list?run_id={run.id}&path=logs").json()["files"]
    assert shown == ["1\n", "2\n"]
    assert [one["path"] for one in listed] == ["logs/attempt-1.log", "logs/attempt-2.log"]


def test_files_of_the_earlier_attempt_are_the_programs_to_list(run: Run) -> None:
    run.log(1)
    run.begin(2)
    run.log(2)
    run.begin(3)

    for number in (1, 2):
        found = run.get(f"{V2}/artifacts/list?run_id={run.earlier(number)}").json()["files"]
        assert [one["path"] for one in found] == ["weights"]


def test_an_unmodified_program_goes_on_from_the_checkpoint_of_the_attempt_before(run: Run) -> None:
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": os.environ.get("HOME", "/tmp"),
        "MLFLOW_TRACKING_URI": run.world.url,
        "MLFLOW_TRACKING_TOKEN": run_token(run.id, "fit"),
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "GIT_PYTHON_REFRESH": "quiet",
    }
    codes, said = [], ""
    for attempt in (1, 2):
        run.begin(attempt)
        told = {"TRAINYARD_ATTEMPT": str(attempt)}
        told |= {"TRAINYARD_PREVIOUS_RUN_ID": run.earlier()} if attempt > 1 else {}
        done = subprocess.run(
            [sys.executable, "-W", "ignore", str(PROGRAM)],
            env=environment | told,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        codes.append(done.returncode)
        said += done.stderr
    first, clean = run.shown(run.earlier()), run.shown()

    assert codes == [1, 0], said
    assert pairs(first, "metrics") == {"score": 102}
    assert pairs(clean, "metrics") == {"score": 205}
    assert pairs(first, "params")["begun"] != pairs(clean, "params")["begun"]
    assert [pairs(each, "tags")["ended"] for each in (first, clean)] == ["no", "yes"]


def test_a_record_that_somebody_deleted_is_no_obstacle_to_the_next_attempt(run: Run) -> None:
    headers = {**bearer(SCIENTIST), "X-MLFLOW-WORKSPACE": "team"}
    run.log(1)
    where = f"{V2}/runs/delete"
    done = run.world.client.post(where, json={"run_id": run.id}, headers=headers)
    run.begin(2)
    run.log(2)

    assert done.status_code == 200
    assert run.shown(run.earlier())["info"]["lifecycle_stage"] == "deleted"
    assert run.curve() == [2, 3, 4]


@pytest.mark.parametrize(
    ("path", "is_its"),
    [
        ("7/{run}/artifacts/model/MLmodel", True),
        ("7/{run}/a2/artifacts/model/MLmodel", True),
        ("7/{run}/a2/artifacts/other/MLmodel", False),
        ("7/{run}/b2/artifacts/model/MLmodel", False),
        ("7/{run}/a2/model/MLmodel", False),
    ],
)
def test_a_file_of_a_version_is_known_in_whichever_attempt_it_was_logged(
    path: str, *, is_its: bool
) -> None:
    from trainyard_tracking.registry.annotations import is_file_of  # noqa: PLC0415  # reads MLflow

    source = {"mlflowRun": {"id": "a" * 32, "artifactPath": "model"}}
    version = {"metadata": {}, "spec": {"source": source}}

    assert is_file_of(version, path.format(run="a" * 32)) is is_its


CLOSED = {
    "a metric": ("runs/log-metric", {"key": "loss", "value": 0, "timestamp": 1}),
    "a batch": ("runs/log-batch", {"metrics": [{"key": "loss", "value": 0, "timestamp": 1}]}),
    "a parameter": ("runs/log-parameter", {"key": "late", "value": "1"}),
    "a tag": ("runs/set-tag", {"key": "note", "value": "late"}),
    "no tag": ("runs/delete-tag", {"key": "note"}),
    "an input": ("runs/log-inputs", {"datasets": []}),
    "an output": ("runs/outputs", {"models": []}),
    "a model of MLflow 2": ("runs/log-model", {"model_json": "{}"}),
    "an end": ("runs/update", {"status": "FINISHED"}),
    "its deletion": ("runs/delete", {}),
    "its restoration": ("runs/restore", {}),
}


@pytest.mark.parametrize(("path", "body"), CLOSED.values(), ids=CLOSED.keys())
def test_the_record_of_an_earlier_attempt_takes_no(run: Run, path: str, body: Any) -> None:
    run.create()
    below = run.create("fold")
    run.log(1)
    run.begin(2)
    before = run.shown(run.earlier())
    where = f"{V2}/{path}"

    for closed in (run.earlier(), below):
        answer = run.world.client.post(where, json={"run_id": closed, **body}, headers=run.own)
        assert answer.status_code == 403, answer.text
    assert "earlier attempt" in answer.json()["message"]
    assert run.shown(run.earlier()) == before


def test_the_record_of_an_earlier_attempt_takes_no_new_model(run: Run) -> None:
    run.begin(2)
    made = {"name": "model", "experiment_id": "0", "source_run_id": run.earlier()}

    answer = run.world.client.post(f"{V2}/logged-models", json=made, headers=run.own)

    assert answer.status_code == 403


def test_runs_below_the_attempt_that_counts_go_on(run: Run) -> None:
    run.begin(2)
    run.create()
    below = run.create("fold")

    run.post("runs/log-metric", {"run_id": below, "key": "loss", "value": 1, "timestamp": 1})

    assert pairs(run.shown(below), "metrics") == {"loss": 1}
