"""An experiment is deleted and restored with its runs, in a few statements for any number."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from builders.tracking import OPERATOR, bearer
from builders.tracking_side import V2, Side
from mlflow.store.tracking.dbmodels.models import SqlAssessments, SqlRun
from sqlalchemy import Engine, event

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


def session(*, read_only: bool) -> Any:
    from mlflow.server import handlers  # noqa: PLC0415  # reads its environment

    return handlers._get_tracking_store().ManagedSessionMaker(read_only=read_only)


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


def assess(side: Side, run_id: str) -> None:
    """Have a run make an assessment of a trace of its own."""
    trace = f"tr-{run_id}"
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
