"""A record that is lost while its program runs: its log goes on, and all is recorded anew."""

import time
from dataclasses import replace
from typing import Any

import pytest
from builders.tracking import OPERATOR, bearer
from builders.tracking_attempts import API, Run


@pytest.fixture
def run(world: Any) -> Run:
    return Run(world)


def lose(run: Run) -> None:
    """Take a Run's record away, as with the loss of the database and a new process."""
    from mlflow.server.handlers import _get_tracking_store  # noqa: PLC0415  # reads its environment
    from mlflow.store.tracking.dbmodels.models import SqlRun, SqlTag  # noqa: PLC0415  # the same
    from trainyard_tracking.sources import forget_artifact_root  # noqa: PLC0415  # the same

    with _get_tracking_store().ManagedSessionMaker(read_only=False) as session:
        session.query(SqlTag).filter_by(run_uuid=run.id).delete()
        session.query(SqlRun).filter_by(run_uuid=run.id).delete()
    forget_artifact_root("team", run.id)


def test_what_is_printed_while_the_record_is_lost_is_in_the_log(run: Run) -> None:
    at = bearer(OPERATOR)
    log, late = (f"{API}/runs/{run.id}/logs/{number}" for number in (1, 2))
    one = run.world.client.patch(log, content=b"one\n", headers={**at, "Upload-Offset": "0"})
    lose(run)
    two = run.world.client.patch(log, content=b"two\n", headers={**at, "Upload-Offset": "4"})
    new = run.world.client.patch(late, content=b"new\n", headers={**at, "Upload-Offset": "0"})
    length = run.world.client.head(log, headers=at).headers["Upload-Offset"]
    meanwhile = run.get(log).text
    run.begin(1)
    run.finish(logs=[1, 2])

    assert [one.status_code, two.status_code, new.status_code] == [204] * 3
    assert (length, meanwhile) == ("8", "one\ntwo\n")
    assert [run.get(where).text for where in (log, late)] == ["one\ntwo\n", "new\n"]


def test_a_log_without_a_record_begins_empty_and_can_not_be_read(run: Run) -> None:
    lose(run)
    log = f"{API}/runs/{run.id}/logs/1"

    assert run.world.client.head(log, headers=bearer(OPERATOR)).headers["Upload-Offset"] == "0"
    assert run.get(log).status_code == 404


def test_a_log_whose_record_stays_lost_is_dropped_after_a_week(run: Run) -> None:
    from trainyard_tracking.leftovers import KEPT_SECONDS  # noqa: PLC0415  # reads MLflow

    at = {**bearer(OPERATOR), "Upload-Offset": "0"}
    run.world.client.patch(f"{API}/runs/{run.id}/logs/1", content=b"one\n", headers=at)
    lose(run)
    folder = run.world.objects.root.parent / f"spool/logs/team/{run.id}"
    leftovers = run.world.service.leftovers

    replace(leftovers, clock=lambda: time.time() + KEPT_SECONDS - 60).sweep()
    kept = folder.exists()
    replace(leftovers, clock=lambda: time.time() + KEPT_SECONDS).sweep()

    assert kept
    assert not folder.exists()


def test_a_run_whose_record_is_gone_is_recorded_anew_with_its_log(run: Run) -> None:
    at = {**bearer(OPERATOR), "Upload-Offset": "0"}
    log = f"{API}/runs/{run.id}/logs/2"
    run.begin(2)
    run.world.client.patch(log, content=b"one\n", headers=at)
    lose(run)
    body = {"status": "FAILED", "endTime": 5, "logs": [1, 2]}
    where = f"{API}/runs/{run.id}/finish"
    gone = run.world.client.post(where, json=body, headers=bearer(OPERATOR))
    active = run.world.client.get(f"{API}/runs?state=active", headers=bearer(OPERATOR)).json()
    run.begin(2)
    logs = run.finish(**body)["logs"]

    assert gone.status_code == 404
    assert run.id not in [one["runID"] for one in active["runs"]]
    assert logs == {"1": "logs/attempt-1.log", "2": "logs/attempt-2.log"}
    assert run.get(log).text == "one\n"
    assert run.shown()["info"]["status"] == "FAILED"


def test_a_run_whose_record_is_gone_is_recorded_anew_with_the_tail_of_its_log(run: Run) -> None:
    tail = {"offset": 0, "place": "2026-11-24T12:00:00Z", "data": "b25lCg=="}
    body = {"status": "FAILED", "endTime": 5, "logs": [{"attempt": 1, "tail": tail}]}
    lose(run)
    where = f"{API}/runs/{run.id}/finish"
    gone = run.world.client.post(where, json=body, headers=bearer(OPERATOR))
    run.begin(1)
    run.finish(**body)

    assert gone.status_code == 404
    assert run.get(f"{API}/runs/{run.id}/logs/1").text == "one\n"
