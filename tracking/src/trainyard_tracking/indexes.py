"""Our indexes of MLflow's tables, for what is asked of one experiment or one run among a million.

MLflow finds the runs of an experiment by a look at all there are, and the models of a run too.
Without them answers are slow, not wrong: they are made beside the service, one after the other.
"""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import sqlalchemy as sa
from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID

_log = logging.getLogger(__name__)
_AGAIN = 60.0
# An id has 32 letters, and a tag may have more than an index of PostgreSQL takes.
_INDEXES = {
    "index_trainyard_tags_parent": f"""tags (substr(value, 1, 32))
    WHERE key = '{MLFLOW_PARENT_RUN_ID}'""",
    "index_trainyard_runs_experiment": "runs (experiment_id, lifecycle_stage)",
    "index_trainyard_models_run": "logged_models (source_run_id)",
    "index_trainyard_models_experiment": "logged_models (experiment_id)",
    "index_trainyard_inputs_source": "inputs (source_id)",
    "index_trainyard_model_metrics_run": "logged_model_metrics (run_id)",
}
_THERE = {
    "sqlite": "SELECT name FROM sqlite_master WHERE type = 'index'",
    "postgresql": "SELECT relname FROM pg_index JOIN pg_class ON oid = indexrelid"
    " WHERE indisvalid AND relnamespace = current_schema()::regnamespace",
}


@dataclass(frozen=True, slots=True)
class Indexes:
    """Makes those that are missing, in a thread of its own."""

    engine: sa.Engine
    sleep: Callable[[float], None] = time.sleep

    def start(self) -> None:
        threading.Thread(target=self.run, name="indexes", daemon=True).start()

    def run(self) -> None:
        """Try until all are there; each one made, and each failure, is a line of the log."""
        while not self._is_done():
            self.sleep(_AGAIN)

    def _is_done(self) -> bool:
        try:
            make(self.engine)
        except Exception as exc:  # noqa: BLE001  # a thread that ends would never be noticed
            _log.warning("making indexes: %r; again in %.0f s", exc, _AGAIN)
            return False
        return True


def make(engine: sa.Engine) -> None:
    """See to it that all of them are there, each kept once it is made.

    PostgreSQL takes writes meanwhile. What an interrupted start began is invalid there for ever,
    and is made anew. SQLite takes none while it makes one.
    """
    # Its own transaction each; CONCURRENTLY is refused in any other.
    with engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
        dialect = connection.dialect.name
        there = set(connection.execute(sa.text(_THERE[dialect])).scalars())
        for name in (one for one in _INDEXES if one not in there):
            begun = time.monotonic()
            if dialect == "postgresql":
                connection.exec_driver_sql(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")
            how = "CONCURRENTLY" if dialect == "postgresql" else ""
            connection.exec_driver_sql(f"CREATE INDEX {how} {name} ON {_INDEXES[name]}")
            _log.info("made %s in %.1f s", name, time.monotonic() - begun)
