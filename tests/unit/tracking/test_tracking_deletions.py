"""An experiment is deleted and restored with its runs, in a few statements for any number."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from builders.tracking import OPERATOR, bearer
from builders.tracking_side import V2, Side
from mlflow.store.tracking.dbmodels.models import SqlAssessments, SqlRun
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore
from sqlalchemy import Engine, event
from trainyard_tracking import deletions

RUNS = 300
_A_FEW = 40
TEAM = bearer(OPERATOR, **{"X-MLFLOW-WORKSPACE": "team"})
WHO = {"source_type": "CODE", "source_id": "judge"}


@contextmanager
def counted() -> Iterator[list[str]]:
    seen: list[str] = []

    def note(_: Any, __: Any, statement: str, *___: Any) -> None:
        seen.append(statement)

    event.listen(Engine, "before_cursor_execute", note)
    try:
        yield seen
    finally:
        event.remove(Engine, "before_cursor_execute", note)


def tracking_store() -> Any:
    from mlflow.server import handlers  # noqa: PLC0415  # reads its environment

    return handlers._get_tracking_store()


def session(*, read_only: bool) -> Any:
    return tracking_store().ManagedSessionMaker(read_only=read_only)


@pytest.fixture
def full(world: Any) -> Side:
    """Give a Run in an experiment with many runs."""
    side = Side(world, experiment="full")
    base = int(side.run_id, 16) * 0x10000
    with session(read_only=False) as opened:
        for number in range(RUNS):
            name = f"{base + number:032x}"
            row = {"experiment_id": int(side.experiment), "status": "FINISHED", "start_time": 1}
            row |= {"lifecycle_stage": "active", "user_id": "", "source_type": "UNKNOWN"}
            opened.add(SqlRun(run_uuid=name, name=name, artifact_uri="x", **row))
    return side


def assess(side: Side, run_id: str, trace: str = "") -> None:
    """Have a run make an assessment of a trace, in the experiment of *side*."""
    trace = trace or f"tr-{run_id}"
    side.trace(trace)
    assessment = {
        "assessment_name": "good",
        "source": WHO,
        "trace_id": trace,
        "feedback": {"value": True},
        "metadata": {"mlflow.assessment.sourceRunId": run_id},
    }
    path = f"/api/3.0/mlflow/traces/{trace}/assessments"
    made = side.post(path, {"assessment": assessment})
    assert made.status_code == 200, made.text


def assessed() -> set[str]:
    with session(read_only=True) as opened:
        return {trace for (trace,) in opened.query(SqlAssessments.trace_id)}


def stages(side: Side) -> dict[tuple[str, bool], int]:
    found: dict[tuple[str, bool], int] = {}
    with session(read_only=True) as opened:
        rows = opened.query(SqlRun.lifecycle_stage, SqlRun.deleted_time)
        for stage, since in rows.filter(SqlRun.experiment_id == int(side.experiment)):
            found[stage, since is not None] = found.get((stage, since is not None), 0) + 1
    return found


def change(side: Side, verb: str) -> tuple[int, int]:
    """Delete or restore the experiment; give the status, and how many statements it took."""
    body = {"experiment_id": side.experiment}
    with counted() as seen:
        answer = side.world.client.post(f"{V2}/experiments/{verb}", json=body, headers=TEAM)
    return answer.status_code, len(seen)


def test_many_runs_go_and_come_back_in_a_few_statements(full: Side) -> None:
    before = stages(full)
    assert set(before) == {("active", False)}
    count = before["active", False]

    status, statements = change(full, "delete")
    assert (status, statements < _A_FEW) == (200, True), statements
    assert stages(full) == {("deleted", True): count}

    status, statements = change(full, "restore")
    assert (status, statements < _A_FEW) == (200, True), statements
    assert stages(full) == before


def test_what_its_runs_have_assessed_goes_along_and_nothing_else(world: Any, full: Side) -> None:
    other = Side(world, experiment="other-one")
    for side in (full, other):
        assess(side, side.run_id)
    assert {f"tr-{full.run_id}", f"tr-{other.run_id}"} <= assessed()

    assert change(full, "delete")[0] == 200

    assert f"tr-{full.run_id}" not in assessed()
    assert f"tr-{other.run_id}" in assessed()
    assert change(full, "restore")[0] == 200


def test_what_is_deleted_already_is_not_deleted_again(full: Side) -> None:
    assert change(full, "delete")[0] == 200
    # As MLflow answers.
    assert change(full, "delete")[0] == 404
    assert change(full, "restore")[0] == 200


@pytest.fixture
def judged(world: Any, full: Side) -> tuple[Side, set[str]]:
    """Give an experiment, and traces of which assessments name runs, of it and of others."""
    sibling, stranger = Side(world, experiment="sib"), Side(world, "default", "full")
    named = {full: [full.run_id, sibling.run_id, "0" * 32], sibling: [full.run_id[:31], ""]}
    named[sibling] += [full.run_id, full.run_id[1:], "%", sibling.run_id]
    named[stranger] = [stranger.run_id]
    traces = set()
    for side, runs in named.items():
        for number, run_id in enumerate(runs):
            trace = f"tr-{number}-{side.run_id}"
            assess(side, run_id, trace)
            traces.add(trace)
    return full, traces


def left_after(work: Any, traces: set[str]) -> set[str]:
    """Tell which assessments there are after a call that is taken back."""
    with session(read_only=False) as opened:
        work(opened)
        opened.flush()
        left = {trace for (trace,) in opened.query(SqlAssessments.trace_id)} & traces
        opened.rollback()
    return left


@pytest.mark.parametrize("at_once", [1, 2, 3])
def test_the_assessments_that_go_are_those_that_mlflow_would_delete(
    judged: tuple[Side, set[str]], monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    monkeypatch.setattr(deletions, "_DROPPED_AT_ONCE", at_once)
    side, traces = judged
    assert traces <= assessed()
    store = tracking_store()

    def theirs(opened: Any) -> None:
        for run in opened.query(SqlRun).filter(SqlRun.experiment_id == int(side.experiment)):
            SqlAlchemyStore._mark_run_deleted(store, opened, run)

    expected = left_after(theirs, traces)
    assert len(traces - expected) == 2
    assert change(side, "delete")[0] == 200
    assert assessed() & traces == expected
    assert change(side, "restore")[0] == 200


def test_of_one_run_go_those_that_mlflow_would_delete(judged: tuple[Side, set[str]]) -> None:
    side, traces = judged
    store = tracking_store()

    def deleted(of: Any) -> Any:
        return lambda opened: of(store, opened, opened.get(SqlRun, side.run_id))

    ours = left_after(deleted(type(store)._mark_run_deleted), traces)
    assert ours == left_after(deleted(SqlAlchemyStore._mark_run_deleted), traces)
    assert len(traces - ours) == 2


def test_of_assessments_none_is_read_and_only_those_of_the_namespace_are_looked_at(
    judged: tuple[Side, set[str]],
) -> None:
    side, traces = judged
    with counted() as seen:
        answer = side.world.client.post(
            f"{V2}/experiments/delete", json={"experiment_id": side.experiment}, headers=TEAM
        )
    assert answer.status_code == 200
    looks = [one for one in seen if "assessments" in one]
    assert len(looks) == 1
    assert looks[0].startswith("DELETE FROM assessments")
    # A run that another namespace's trace names is none of its business.
    assert "workspace = " in looks[0]
    assert assessed() & traces
    assert change(side, "restore")[0] == 200
