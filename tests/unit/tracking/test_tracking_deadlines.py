"""A query that finds no end is ended: an error for who asked, nothing for the database."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from builders.tracking import OPERATOR, SCIENTIST, bearer
from builders.tracking_side import V2, Side
from mlflow.exceptions import MlflowException
from mlflow.store.tracking.dbmodels.models import SqlParam, SqlRun
from sqlalchemy import Engine, event, text
from trainyard_tracking.deadlines import LIMIT, Limit, is_read

REPEATED = {408, 429, 500, 502, 503, 504}
"""Statuses after which clients of MLflow from 2.22 to 3.18 ask the same again by themselves."""
ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"
FEW_LONG = (
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 500)"
    " SELECT count(*) FROM n WHERE :text || i LIKE :pattern"
)
"""Some thousand steps of SQLite's, of which each compares for long."""
TEAM = bearer(SCIENTIST, **{"X-MLFLOW-WORKSPACE": "team"})
END = {"status": "FINISHED", "endTime": 1_800_000_000_000}
_MOST_STATEMENTS = 60


@pytest.fixture
def impatient(world: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(world.service.app.inside, "query_seconds", 0.05)
    return world


@contextmanager
def endless(begin: str, number: int = 1) -> Iterator[list[str]]:
    """Have the statement of this number, of those that begin so, find no end; tell which it was."""
    met: list[str] = []
    left = [number]

    def change(_: Any, __: Any, statement: str, parameters: Any, *___: Any) -> tuple[str, Any]:
        if statement.startswith(("PRAGMA", "SET")) or not statement.startswith(begin):
            return statement, parameters
        left[0] -= 1
        if left[0]:
            return statement, parameters
        met.append(statement)
        return ENDLESS, ()

    event.listen(Engine, "before_cursor_execute", change, retval=True)
    try:
        yield met
    finally:
        event.remove(Engine, "before_cursor_execute", change)


def store() -> Any:
    from mlflow.server import handlers  # noqa: PLC0415  # reads its environment

    return handlers._get_tracking_store()


def test_a_search_that_takes_too_long_says_what_to_narrow_and_is_not_repeated(
    impatient: Any,
) -> None:
    side = Side(impatient)
    body = {"experiment_ids": [side.experiment], "filter": "metrics.m > 0"}

    with endless("SELECT DISTINCT runs") as met:
        answer = impatient.client.post(f"{V2}/runs/search", json=body, headers=TEAM)

    assert met
    assert answer.status_code not in REPEATED
    assert (answer.status_code, answer.json()["error_code"]) == (400, "INVALID_PARAMETER_VALUE")
    for word in ("0.05 s", "experiments", "filter", "order_by", "tracking.querySeconds"):
        assert word in answer.json()["message"]
    assert "SELECT" not in answer.text
    assert impatient.client.post(f"{V2}/runs/search", json=body, headers=TEAM).status_code == 200


def test_a_write_that_takes_too_long_leaves_no_half_of_itself_and_may_be_repeated(
    impatient: Any,
) -> None:
    side = Side(impatient)
    with store().ManagedSessionMaker(read_only=True) as session:
        before = session.query(SqlParam).filter_by(run_uuid=side.run_id).count()
    limit = LIMIT.set(Limit(0.05))
    try:
        with pytest.raises(MlflowException) as ended:
            late(side.run_id)
    finally:
        LIMIT.reset(limit)

    assert ended.value.get_http_status_code() == 503
    with store().ManagedSessionMaker(read_only=True) as session:
        assert session.query(SqlParam).filter_by(run_uuid=side.run_id).count() == before
        assert session.query(SqlRun.name).filter_by(run_uuid=side.run_id).scalar() == side.name


def late(run_id: str) -> None:
    """Write into a run, and then take for ever before the commit."""
    with store().ManagedSessionMaker(read_only=False) as session:
        session.add(SqlParam(run_uuid=run_id, key="half", value="1"))
        session.query(SqlRun).filter_by(run_uuid=run_id).update({"name": "half"})
        session.flush()
        session.execute(text(ENDLESS))


def test_a_query_of_few_long_steps_is_ended_as_well(impatient: Any) -> None:
    asked = {"text": "a" * 100_000, "pattern": "%" + "a" * 400 + "b"}
    limit = LIMIT.set(Limit(0.05))
    try:
        with (
            pytest.raises(MlflowException, match=r"longer than 0\.05 s"),
            store().ManagedSessionMaker(read_only=True) as session,
        ):
            session.execute(text(FEW_LONG), asked)
    finally:
        LIMIT.reset(limit)


GRAPHQL = """query Q($f: String) { mlflowSearchRuns(input: {experimentIds: ["%s"], filter: $f})
 { apiError { code message } runs { info { runId } } } }"""


def test_a_question_of_the_ui_has_no_long_pattern_compared_either(world: Any) -> None:
    side = Side(world)
    side.post(f"{V2}/runs/set-tag", {"run_id": side.run_id, "key": "k", "value": "a"})
    body = {
        "query": GRAPHQL % side.experiment,
        "operationName": "Q",
        "variables": {"f": f"tags.k LIKE '%{'a' * 600}'"},
    }

    answer = world.client.post("/graphql", json=body, headers=TEAM)

    assert "too long a text" in answer.text
    assert answer.status_code < 500


def test_sqlite_itself_takes_no_long_pattern(world: Any) -> None:
    asked = {"text": "a", "pattern": "%" + "a" * 600}
    with (
        pytest.raises(MlflowException, match="too long a text") as refused,
        store().ManagedSessionMaker(read_only=True) as session,
    ):
        session.execute(text(FEW_LONG), asked)

    assert refused.value.get_http_status_code() == 400


def unhurried(ask: Callable[[], Any], answer: Any) -> Any:
    """Return an answer that was in time, which a busy machine may miss by itself."""
    for _ in range(20):
        if answer.status_code == 200:
            break
        answer = ask()
    return answer


def assert_ended_in_turn(ask: Callable[[], Any]) -> None:
    """Ask again and again, each time with the next statement ended, until none is left to end."""
    seen = set()
    for number in range(1, _MOST_STATEMENTS):
        with endless("", number) as met:
            answer = ask()
        if not met:
            answer = unhurried(ask, answer)
            break
        seen.add(answer.status_code)

    assert number > 3
    assert seen <= {429, 503}
    assert answer.status_code == 200


def test_whichever_statement_of_a_batch_is_ended_a_repeat_makes_it_whole(impatient: Any) -> None:
    side = Side(impatient)
    metric = {"key": "loss", "value": 1.0, "timestamp": 1, "step": 0}
    batch = {
        "run_id": side.run_id,
        "metrics": [metric],
        "params": [{"key": "lr", "value": "1"}],
        "tags": [{"key": "k", "value": "v"}],
    }

    assert_ended_in_turn(lambda: side.post(f"{V2}/runs/log-batch", batch))

    data = side.get(f"{V2}/runs/get?run_id={side.run_id}").json()["run"]["data"]
    assert [one["key"] for one in data["metrics"]] == ["loss"]
    assert {"key": "lr", "value": "1"} in data["params"]
    assert {"key": "k", "value": "v"} in data["tags"]


def test_what_cant_be_asked_for_less_is_told_as_passing(impatient: Any) -> None:
    path = f"/api/trainyard/v1/namespaces/team/runs/{Side(impatient).run_id}/summary"

    assert_ended_in_turn(lambda: impatient.client.get(path, headers=TEAM))


def test_what_the_operator_asks_may_take_longer(impatient: Any) -> None:
    seen: list[Limit | None] = []

    def note(*_: Any) -> None:
        seen.append(LIMIT.get())

    side = Side(impatient)
    path = f"/api/trainyard/v1/namespaces/team/runs/{side.run_id}"
    event.listen(Engine, "before_cursor_execute", note)
    try:
        impatient.client.post(f"{path}/finish", json=END, headers=bearer(OPERATOR))
        operators, seen = seen, []
        impatient.client.get(f"{path}/summary", headers=TEAM)
    finally:
        event.remove(Engine, "before_cursor_execute", note)

    assert {limit.seconds for limit in operators if limit} == {0.5}
    assert {limit.seconds for limit in seen if limit} == {0.05}


def test_what_nobody_asked_for_has_no_end() -> None:
    assert LIMIT.get() is None


@pytest.mark.parametrize(
    ("method", "path", "reads"),
    [
        ("GET", f"{V2}/metrics/get-history", True),
        ("POST", f"{V2}/runs/search", True),
        ("POST", "/ajax-api/3.0/mlflow/traces/metrics", True),
        ("POST", "/graphql", True),
        ("POST", f"{V2}/runs/log-batch", False),
        ("POST", f"{V2}/experiments/delete", False),
    ],
)
def test_a_question_is_told_from_a_write(method: str, path: str, reads: bool) -> None:
    assert is_read(method, path) is reads
