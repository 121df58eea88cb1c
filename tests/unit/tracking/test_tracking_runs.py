"""The private routes: Runs recorded and finished, logs by offset."""

import itertools
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from builders.tracking import (
    ELSE,
    OPERATOR,
    SCIENTIST,
    bearer,
    run_token,
    token,
)
from trainyard_tracking.errors import Unavailable

API = "/api/trainyard/v1/namespaces/team"
_IDS = itertools.count(1)
OP = bearer(OPERATOR)


@pytest.fixture
def run(world):
    run_id = f"{next(_IDS):032x}"
    return run_id, bearer(world.record(run_id, f"fit-{run_id[-4:]}"))


def test_recording_twice_gives_the_same_run(world, run):
    body = {"name": "again", "experiment": "elsewhere", "startTime": 1}

    first = world.client.put(f"{API}/runs/{run[0]}", json=body, headers=OP).json()
    second = world.client.put(f"{API}/runs/{run[0]}", json=body, headers=OP).json()

    assert first == second
    assert first["artifactURI"].endswith(f"/{run[0]}/artifacts")
    assert "/workspaces/team/" in first["artifactURI"]


def test_a_run_id_of_another_namespace_is_a_conflict(world, run):
    body = {"name": "fit", "experiment": "digits", "startTime": 1}
    path = f"/api/trainyard/v1/namespaces/other/runs/{run[0]}"

    assert world.client.put(path, json=body, headers=OP).status_code == 409


def test_a_bad_body_is_refused_with_the_field(world, run):
    answer = world.client.put(f"{API}/runs/{run[0]}", json={"name": "fit"}, headers=OP)

    assert answer.status_code == 400
    assert answer.json()["message"].startswith("experiment:")


def test_only_the_operator_records_runs(world, run):
    body = {"name": "fit", "experiment": "digits", "startTime": 1}

    for who in (bearer(SCIENTIST), run[1]):
        assert world.client.put(f"{API}/runs/{run[0]}", json=body, headers=who).status_code == 403


def test_finishing_twice_is_harmless_and_logs_only_missing_parameters(world, run):
    run_id, own = run
    logged = {"run_id": run_id, "key": "depth", "value": "3"}
    world.client.post("/api/2.0/mlflow/runs/log-parameter", json=logged, headers=own)
    parent = {"key": "mlflow.parentRunId", "value": run_id}
    child = {"tags": [parent], "run_name": "child"}
    made = world.client.post("/api/2.0/mlflow/runs/create", json=child, headers=own).json()
    body = {"status": "FAILED", "endTime": 5, "parameters": {"depth": 9, "warm": True}}

    first = world.client.post(f"{API}/runs/{run_id}/finish", json=body, headers=OP)
    second = world.client.post(f"{API}/runs/{run_id}/finish", json=body, headers=OP)

    summary = world.client.get(f"{API}/runs/{run_id}/summary", headers=OP).json()
    below = made["run"]["info"]["run_id"]
    assert first.json() == second.json()
    assert summary["params"] == {"depth": "3", "warm": "true"}
    assert summary["status"] == "FAILED"
    assert world.client.get(f"{API}/runs/{below}/summary", headers=OP).json()["status"] == "FAILED"


def test_active_runs_are_those_not_finished(world, run):
    def active():
        found = world.client.get(f"{API}/runs?state=active", headers=OP).json()["runs"]
        return [one["runID"] for one in found]

    before = active()
    body = {"status": "FINISHED", "endTime": 5}
    world.client.post(f"{API}/runs/{run[0]}/finish", json=body, headers=OP)

    assert run[0] in before
    assert run[0] not in active()


@pytest.mark.parametrize(
    ("forged", "code"),
    [
        pytest.param(run_token("f" * 32), 401, id="of a run that is not recorded"),
        pytest.param(run_token("1" * 32, key=ELSE), 401, id="signed by somebody else"),
        pytest.param(run_token("1" * 32, aud="elsewhere"), 401, id="for another service"),
        pytest.param(token("king:1", "fit"), 401, id="of an unknown kind"),
    ],
)
def test_a_run_token_that_is_not_ours_is_refused(world, forged, code):
    assert world.client.get("/version", headers=bearer(forged)).status_code == code


def test_a_run_token_for_another_namespace_is_refused(world, run):
    lying = bearer(run_token(run[0], namespace="other"))

    assert world.client.get("/version", headers=lying).status_code == 403


def test_a_run_token_is_good_while_the_cluster_is_away_and_a_persons_is_not(world, run):
    world.kube.down = True

    own = world.client.get(f"/api/2.0/mlflow/runs/get?run_id={run[0]}", headers=run[1])
    person = world.client.get("/version", headers=bearer("never-seen-token"))

    assert (own.status_code, person.status_code) == (200, 503)


def finished(world, run_id, **body):
    """Finish a Run as the operator does."""
    body = {"status": "FINISHED", "endTime": 1_700_000_100_000, **body}
    answer = world.client.post(f"{API}/runs/{run_id}/finish", json=body, headers=OP)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_a_log_grows_by_offset_and_ends_as_an_artifact(world, run):
    run_id, own = run
    log = f"{API}/runs/{run_id}/logs/1"
    at = {"Upload-Offset": "0", "X-Log-Place": "2026-11-24T12:00:00Z"}

    appended = world.client.patch(log, content=b"one\n", headers={**OP, **at})
    again = world.client.patch(log, content=b"one\n", headers={**OP, **at})
    head = world.client.head(log, headers=OP)
    live = world.client.get(log, headers=own).text
    archived = finished(world, run_id, logs=[1])["logs"]
    second = finished(world, run_id, logs=[1])["logs"]

    assert (appended.status_code, appended.headers["Upload-Offset"]) == (204, "4")
    assert (again.status_code, again.headers["Upload-Offset"]) == (409, "4")
    assert head.headers["X-Log-Place"] == "2026-11-24T12:00:00Z"
    assert live == "one\n"
    assert archived == second == {"1": "logs/attempt-1.log"}
    listed = world.client.get(
        f"/api/2.0/mlflow/artifacts/list?run_id={run_id}&path=logs", headers=own
    ).json()
    assert [one["path"] for one in listed["files"]] == ["logs/attempt-1.log"]
    assert world.client.get(log, headers=own).text == "one\n"


def test_bytes_of_an_append_that_was_cut_off_do_not_count(world, run):
    log = f"{API}/runs/{run[0]}/logs/1"
    world.client.patch(log, content=b"one\n", headers={**OP, "Upload-Offset": "0"})
    spool = next(path for path in world.objects.root.parent.glob(f"spool/logs/team/{run[0]}/*.log"))
    with spool.open("ab") as file:
        file.write(b"half a li")

    world.client.patch(log, content=b"two\n", headers={**OP, "Upload-Offset": "4"})

    assert world.client.get(log, headers=OP).text == "one\ntwo\n"


@pytest.mark.parametrize("archived", [False, True])
def test_a_log_is_read_from_a_byte_on(world, run, archived):
    log = f"{API}/runs/{run[0]}/logs/1"
    world.client.patch(log, content=b"one\ntwo\n", headers={**OP, "Upload-Offset": "0"})
    if archived:
        finished(world, run[0], logs=[1])

    read = [world.client.get(f"{log}?offset={at}", headers=OP) for at in (4, 8, 9)]

    assert [(one.status_code, one.text) for one in read] == [(200, "two\n"), (200, ""), (200, "")]
    assert world.client.get(f"{log}?offset=-1", headers=OP).status_code == 400


def test_an_archived_log_takes_no_more(world, run):
    log = f"{API}/runs/{run[0]}/logs/1"
    world.client.patch(log, content=b"one\n", headers={**OP, "Upload-Offset": "0"})
    finished(world, run[0], logs=[1])

    late = world.client.patch(log, content=b"two\n", headers={**OP, "Upload-Offset": "4"})

    assert late.status_code == 400


def test_finishing_keeps_every_log_and_leaves_nothing_on_the_volume(world, run):
    log = f"{API}/runs/{run[0]}/logs"
    for attempt in (1, 2):
        world.client.patch(f"{log}/{attempt}", content=b"x", headers={**OP, "Upload-Offset": "0"})

    logs = finished(world, run[0])["logs"]  # of a Run that was deleted: nobody knows its attempts

    assert logs == {"1": "logs/attempt-1.log", "2": "logs/attempt-2.log"}
    assert world.client.get(f"{log}/2", headers=OP).text == "x"
    assert not list(world.objects.root.parent.glob(f"spool/logs/team/{run[0]}"))


def test_each_pod_of_an_attempt_has_a_log_and_an_artifact(world, run):
    run_id, own = run
    log = f"{API}/runs/{run_id}/logs/1"
    for path, text in ((log, b"zero"), (f"{log}/1", b"one"), (f"{log}/12", b"twelve")):
        world.client.patch(path, content=text, headers={**OP, "Upload-Offset": "0"})

    live = world.client.get(f"{log}/1", headers=own).text
    logs = finished(world, run_id, logs=[1])["logs"]

    assert live == "one"
    assert logs == {
        "1": "logs/attempt-1.log",
        "1-1": "logs/attempt-1-1.log",
        "1-12": "logs/attempt-1-12.log",
    }
    assert world.client.get(log, headers=own).text == "zero"
    assert world.client.get(f"{log}/12", headers=own).text == "twelve"


def test_a_log_that_cannot_be_archived_is_kept_and_the_run_not_ended(world, run, monkeypatch):
    log = f"{API}/runs/{run[0]}/logs/1"
    world.client.patch(log, content=b"one\n", headers={**OP, "Upload-Offset": "0"})

    def away(*_):
        raise Unavailable("no bucket")

    body = {"status": "FINISHED", "endTime": 1_700_000_100_000, "logs": [1]}
    with monkeypatch.context() as patch:
        patch.setattr(type(world.objects), "put", away)
        refused = world.client.post(f"{API}/runs/{run[0]}/finish", json=body, headers=OP)
    active = world.client.get(f"{API}/runs?state=active", headers=OP).json()["runs"]

    assert refused.status_code == 503
    assert run[0] in [one["runID"] for one in active]
    assert finished(world, run[0], logs=[1])["logs"] == {"1": "logs/attempt-1.log"}
    assert world.client.get(log, headers=OP).text == "one\n"


def test_what_came_after_the_end_is_swept_once_it_is_quiet(world, run):
    from trainyard_tracking.leftovers import QUIET_SECONDS  # noqa: PLC0415  # MLflow reads its environment

    finished(world, run[0])
    log = f"{API}/runs/{run[0]}/logs/1"
    world.client.patch(log, content=b"late\n", headers={**OP, "Upload-Offset": "0"})
    folder = world.objects.root.parent / f"spool/logs/team/{run[0]}"
    leftovers = world.service.leftovers

    leftovers.sweep()
    assert folder.exists()
    replace(leftovers, clock=lambda: time.time() + QUIET_SECONDS).sweep()

    assert not folder.exists()
    assert world.client.get(log, headers=OP).text == "late\n"


def test_a_live_log_is_not_swept_and_one_without_a_record_is_after_a_week(world, run):
    from trainyard_tracking.leftovers import KEPT_SECONDS  # noqa: PLC0415  # MLflow reads its environment

    log = f"{API}/runs/{run[0]}/logs/1"
    world.client.patch(log, content=b"one\n", headers={**OP, "Upload-Offset": "0"})
    spool = world.objects.root.parent / "spool/logs/team"
    nobodys = spool / ("9" * 32)
    nobodys.mkdir()
    (nobodys / "1.log").write_bytes(b"x")
    leftovers = world.service.leftovers

    replace(leftovers, clock=lambda: time.time() + KEPT_SECONDS - 60).sweep()
    assert nobodys.exists()
    replace(leftovers, clock=lambda: time.time() + KEPT_SECONDS).sweep()

    assert not nobodys.exists()
    assert (spool / run[0] / "1.log").exists()


def test_an_audit_line_is_one_object_however_often_it_is_sent(world):
    line = {"model": "digits", "time": "2026-11-24T12:00:00Z", "to": 2}

    keys = {
        world.client.post(f"{API}/audit", json=line, headers=OP).json()["key"] for _ in range(2)
    }

    assert len(keys) == 1
    assert len(world.objects.under("audit/team/digits/")) == 1


def test_requests_are_counted_by_the_template_of_their_route(world, run):
    world.client.get(f"{API}/runs/{run[0]}/summary", headers=OP)

    text = world.client.get("/metrics").text

    assert 'route="/api/trainyard/v1/namespaces/{}/runs/{}/summary"' in text
    assert run[0] not in text


def test_many_runs_are_recorded_at_once(world):
    body = {"name": "fit", "experiment": "crowd", "startTime": 1}

    def record(number):
        path = f"{API}/runs/{number + (1 << 96):032x}"
        return world.client.put(path, json=body, headers=OP).status_code

    with ThreadPoolExecutor(60) as pool:
        answers = set(pool.map(record, range(120)))

    assert answers == {200}


def kind_of(world, name: str) -> str:
    answer = world.client.get(
        "/api/2.0/mlflow/experiments/get-by-name",
        params={"experiment_name": name},
        headers=bearer(SCIENTIST, **{"X-MLFLOW-WORKSPACE": "team"}),
    )
    tags = {tag["key"]: tag["value"] for tag in answer.json()["experiment"]["tags"]}
    return tags["mlflow.experimentKind"]


def test_the_experiment_of_a_run_is_for_training_models(world):
    world.record("5e" * 16, "kind", experiment="kinds")

    assert kind_of(world, "kinds") == "custom_model_development"


def test_the_kind_that_somebody_gives_an_experiment_is_kept(world):
    world.client.post(
        "/api/2.0/mlflow/experiments/create",
        json={
            "name": "chats",
            "tags": [{"key": "mlflow.experimentKind", "value": "genai_development"}],
        },
        headers=bearer(SCIENTIST, **{"X-MLFLOW-WORKSPACE": "team"}),
    ).raise_for_status()

    assert kind_of(world, "chats") == "genai_development"
