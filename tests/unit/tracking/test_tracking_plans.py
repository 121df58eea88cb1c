"""How SQLite would find what is asked of 50,000 runs: by index, whatever is asked most often."""

import sqlite3
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import sqlalchemy as sa
from builders.tracking_side import Side
from mlflow.entities import ViewType
from mlflow.store.tracking.dbmodels.models import SqlLoggedModel
from mlflow.utils.workspace_context import ServerWorkspaceContext
from sqlalchemy import event
from trainyard_tracking import attempts, claims, summary
from trainyard_tracking.attempts import _OWNED
from trainyard_tracking.auth import narrowing
from trainyard_tracking.deadlines import LIMIT
from trainyard_tracking.ledger import Ledger
from trainyard_tracking.statistics import Statistics

# What SQLite said of 50,000 runs in 100 experiments, with 400,000 tags, 250,000 latest metrics,
# a million points and 10,000 models.
STATISTICS = """
inputs index_trainyard_inputs_source 50000 10
inputs sqlite_autoindex_inputs_1 50000 50000 10 10 1
latest_metrics index_latest_metrics_run_uuid 253368 5
latest_metrics sqlite_autoindex_latest_metrics_1 236208 1001 1
logged_model_metrics index_logged_model_metrics_model_id 3872 1
logged_model_metrics index_trainyard_model_metrics_run 9568 1
logged_model_metrics sqlite_autoindex_logged_model_metrics_1 7912 1 1 1 1 1
logged_models index_trainyard_models_experiment 11067 501
logged_models index_trainyard_models_run 9568 1
logged_models sqlite_autoindex_logged_models_1 3872 1
metrics index_metrics_run_uuid 514188 20
metrics index_metrics_run_uuid_key_step 761608 20 4 1
metrics sqlite_autoindex_metrics_1 982344 1001 1001 1001 1 1 1
params index_params_run_uuid 149040 3
params sqlite_autoindex_params_1 148580 1001 1
runs index_trainyard_runs_experiment 55076 501 501
runs sqlite_autoindex_runs_1 44712 1
tags index_tags_run_uuid 454572 9
tags index_trainyard_tags_parent 28800 3
tags sqlite_autoindex_tags_1 466032 1001 1
trainyard_runs index_trainyard_runs_active 29568 501 501
trainyard_runs sqlite_autoindex_trainyard_runs_1 44712 1
"""
FULL = {line.split()[0] for line in STATISTICS.splitlines() if line}
BY_METRIC = "metrics.loss > 0.5"
ORDERED = ["metrics.accuracy DESC"]
RUNS_OF_EXPERIMENT = "index_trainyard_runs_experiment"


def store() -> Any:
    from mlflow.server import handlers  # noqa: PLC0415  # reads its environment

    return handlers._get_tracking_store()


@pytest.fixture
def side(world: Any) -> Side:
    if store().engine.dialect.name != "sqlite":
        pytest.skip("PostgreSQL keeps statistics by itself")
    return Side(world)


@pytest.fixture
def full(side: Side) -> Iterator[sqlite3.Connection]:
    """Give a database like the service's, that has the statistics of a full one."""
    with store().engine.connect() as connection:
        made = connection.exec_driver_sql(
            "SELECT sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite%'"
            " ORDER BY type = 'index'"
        ).fetchall()
    copy = sqlite3.connect(":memory:")
    for (statement,) in made:
        copy.execute(statement)
    copy.execute("ANALYZE")
    rows = [line.split(maxsplit=2) for line in STATISTICS.splitlines() if line]
    copy.executemany("INSERT INTO sqlite_stat1 VALUES (?, ?, ?)", rows)
    copy.execute("ANALYZE sqlite_schema")
    yield copy
    copy.close()


def plans(full: sqlite3.Connection, work: Callable[[], Any]) -> list[str]:
    """Give how the full database would do what `work` asks."""
    asked: list[tuple[str, Any]] = []

    def note(_: Any, __: Any, statement: str, parameters: Any, *___: Any) -> None:
        if statement.lstrip().upper().startswith(("SELECT", "WITH")):
            asked.append((statement, parameters))

    event.listen(store().engine, "before_cursor_execute", note)
    try:
        with ServerWorkspaceContext("team"):
            work()
    finally:
        event.remove(store().engine, "before_cursor_execute", note)
    assert asked
    return [
        row[3]
        for statement, parameters in asked
        for row in full.execute(f"EXPLAIN QUERY PLAN {statement}", parameters)
    ]


def slow(plan: list[str]) -> list[str]:
    """Give the steps that read a whole table, or try all pairs of two."""
    scans = [step.split() for step in plan if step.startswith("SCAN")]
    return [" ".join(words) for words in scans if words[1] in FULL or "LEFT-JOIN" in words]


def runs(side: Side, wanted: str = "", order: list[str] | None = None) -> Any:
    return store().search_runs([side.experiment], wanted, ViewType.ACTIVE_ONLY, 100, order or [])


def models(side: Side) -> Any:
    return store().search_logged_models([side.experiment], None, None, 100, None)


@pytest.mark.parametrize(
    ("wanted", "order"),
    [
        ("", []),
        (BY_METRIC, []),
        (BY_METRIC, ORDERED),
        ("params.lr != 'a'", ORDERED),
        ("params.lr != 'a' AND tags.k LIKE 'v%'", [*ORDERED, "params.b", "tags.k"]),
    ],
)
def test_runs_of_an_experiment_are_searched_by_index(
    side: Side, full: sqlite3.Connection, wanted: str, order: list[str]
) -> None:
    plan = plans(full, lambda: runs(side, wanted, order))

    assert slow(plan) == []
    if not wanted:
        assert any(RUNS_OF_EXPERIMENT in step for step in plan), plan


def test_a_runs_own_searches_go_by_the_index_of_parents(
    side: Side, full: sqlite3.Connection
) -> None:
    token = narrowing.NARROWED.set(narrowing.Family(side.run_id, "team"))
    try:
        plan = plans(full, lambda: (runs(side, "params.lr != 'a'", ORDERED), models(side)))
    finally:
        narrowing.NARROWED.reset(token)

    assert slow(plan) == []
    assert any("index_trainyard_tags_parent" in step for step in plan)
    # It would read all experiments first.
    assert not [step for step in plan if step.startswith("BLOOM FILTER ON experiments")]


def test_models_are_searched_by_their_experiment(side: Side, full: sqlite3.Connection) -> None:
    plan = plans(full, lambda: models(side))

    assert slow(plan) == []
    assert any("index_trainyard_models_experiment" in step for step in plan), plan


def test_the_data_sets_of_an_experiment_are_found_by_index(
    side: Side, full: sqlite3.Connection
) -> None:
    plan = plans(full, lambda: store()._search_datasets([side.experiment]))

    assert slow(plan) == []


def test_the_end_of_a_run_is_told_by_index(side: Side, full: sqlite3.Connection) -> None:
    def work() -> None:
        summary.outcome(side.run_id, "team")
        with store().ManagedSessionMaker(read_only=True) as session:
            claims._was_logged_to(session, side.run_id)
            attempts.children(session, side.run_id)

    assert slow(plans(full, work)) == []


def test_what_an_attempt_recorded_is_found_by_index(side: Side, full: sqlite3.Connection) -> None:
    def work() -> None:
        with store().ManagedSessionMaker(read_only=True) as session:
            for column, more in _OWNED:
                session.query(column).filter(column == side.run_id, *more).all()

    assert slow(plans(full, work)) == []


def test_the_ledger_is_read_by_index(side: Side, full: sqlite3.Connection) -> None:
    ledger = Ledger(store().engine)

    plan = plans(full, lambda: (ledger.active("team"), ledger.find(side.run_id)))

    assert slow(plan) == []
    assert any("index_trainyard_runs_active" in step for step in plan), plan


def test_statistics_are_made_and_what_is_asked_next_goes_by_them(side: Side) -> None:
    engine = store().engine
    with engine.connect() as before:
        Statistics(engine).refresh()
        with engine.connect() as connection:
            rows = connection.exec_driver_sql("SELECT tbl FROM sqlite_stat1").scalars().all()
            # Only a connection that is opened after them reads them.
            assert connection.connection.dbapi_connection is not before.connection.dbapi_connection

    assert SqlLoggedModel.__tablename__ in rows
    assert "runs" in rows
    assert "experiments" not in rows
    assert LIMIT.get() is None


def test_a_table_that_is_written_to_is_left_for_the_next_time(side: Side, tmp_path: Any) -> None:
    engine = sa.create_engine(f"sqlite:///{tmp_path}/a.db", connect_args={"timeout": 0})
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE a (i INTEGER PRIMARY KEY, j)")
        connection.exec_driver_sql("CREATE INDEX b ON a (j)")
        connection.exec_driver_sql("INSERT INTO a VALUES (1, 2)")
    statistics = Statistics(engine)
    with engine.connect() as writer:
        writer.exec_driver_sql("UPDATE a SET j = 3")
        statistics.refresh()
        writer.rollback()

    statistics.refresh()
    with engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT stat FROM sqlite_stat1").scalar() == "1 1"
    engine.dispose()
