"""Indexes are made beside the service, one by one, and an interrupted start keeps what it made."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from builders.tracking_database import fresh_database
from sqlalchemy import event
from trainyard_tracking.indexes import _INDEXES, _THERE, Indexes, make

TABLES = (
    "tags (key VARCHAR, value VARCHAR)",
    "runs (experiment_id INTEGER, lifecycle_stage VARCHAR)",
    "logged_models (source_run_id VARCHAR, experiment_id INTEGER)",
    "inputs (source_id VARCHAR)",
    "logged_model_metrics (run_id VARCHAR)",
)


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[sa.Engine]:
    with fresh_database(tmp_path) as url:
        made = sa.create_engine(url)
        with made.begin() as connection:
            for table in TABLES:
                connection.exec_driver_sql(f"CREATE TABLE {table}")
        yield made
        made.dispose()


def there(engine: sa.Engine) -> set[str]:
    with engine.connect() as connection:
        return set(connection.execute(sa.text(_THERE[engine.dialect.name])).scalars())


def refuse(engine: sa.Engine, name: str) -> Any:
    """Have the database refuse what names an index, as one that is gone does."""

    def begin(_: Any, __: Any, statement: str, *___: Any) -> None:
        if statement.startswith("CREATE") and name in statement:
            raise OSError("gone")

    event.listen(engine, "before_cursor_execute", begin)
    return lambda: event.remove(engine, "before_cursor_execute", begin)


def test_what_an_interrupted_start_made_is_kept(engine: sa.Engine) -> None:
    last = list(_INDEXES)[-1]
    refuse(engine, last)
    with pytest.raises(OSError, match="gone"):
        make(engine)
    assert there(engine) == _INDEXES.keys() - {last}


def test_a_database_that_is_away_is_tried_again(engine: sa.Engine) -> None:
    mend, waits = refuse(engine, "index_trainyard_models_run"), []

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        mend()

    Indexes(engine, sleep).run()
    assert len(waits) == 1
    assert there(engine) == _INDEXES.keys()


def test_what_is_there_is_not_made_again(engine: sa.Engine) -> None:
    make(engine)
    refuse(engine, "index_trainyard")
    make(engine)


def test_an_index_that_was_left_invalid_is_made_anew(engine: sa.Engine) -> None:
    if engine.dialect.name == "sqlite":
        pytest.skip("SQLite leaves none")
    make(engine)
    with engine.begin() as connection:
        connection.exec_driver_sql(
            "UPDATE pg_index SET indisvalid = false"
            " WHERE indexrelid = 'index_trainyard_models_run'::regclass"
        )
    assert there(engine) == _INDEXES.keys() - {"index_trainyard_models_run"}
    make(engine)
    assert there(engine) == _INDEXES.keys()
