"""What SQLite knows of its tables, kept up to date: without it, it joins by trying all pairs.

PostgreSQL looks by itself (autovacuum). Here each table is a transaction of its own, which looks at
so many entries of each index and no more: a write waits for hundredths of a second.
"""

import logging
import threading
from dataclasses import dataclass, field

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from trainyard_tracking.deadlines import LIMIT, Limit

_log = logging.getLogger(__name__)
_EVERY_SECONDS = 600.0
_LONGEST = 10.0
"""Seconds that one table may take."""
_ENTRIES = 1000
_LEFT_OUT = frozenset({"experiments"})
"""Found by their key or workspace anyway; knowing their number, SQLite first reads them all to
find the descendants of a run (a Bloom filter)."""


@dataclass(frozen=True, slots=True)
class Statistics:
    """Looks at the start and every ten minutes, in a thread of its own; only at SQLite's."""

    engine: sa.Engine
    others: tuple[sa.Engine, ...] = ()
    """Of the same database: their connections have read what was known before."""
    stopped: threading.Event = field(default_factory=threading.Event)

    def start(self) -> None:
        if self.engine.dialect.name == "sqlite":
            threading.Thread(target=self._run, name="statistics", daemon=True).start()

    def refresh(self) -> None:
        """Look at each table; one that is written to for long is left for the next time."""
        limit = LIMIT.set(Limit(_LONGEST))
        try:
            with self.engine.connect() as connection:
                tables = sa.inspect(connection).get_table_names()
                connection.exec_driver_sql(f"PRAGMA analysis_limit = {_ENTRIES}")
                for table in sorted(set(tables) - _LEFT_OUT):
                    _look(connection, table)
        finally:
            LIMIT.reset(limit)
        for engine in (self.engine, *self.others):
            # Whoever opens a connection reads anew; those in use are closed when they come back.
            engine.dispose()

    def _run(self) -> None:
        while not self.stopped.is_set():
            try:
                self.refresh()
            except Exception as exc:  # noqa: BLE001  # a thread that ends would never be noticed
                _log.warning("statistics: %r; again later", exc)
            self.stopped.wait(_EVERY_SECONDS)


def _look(connection: sa.Connection, table: str) -> None:
    name = connection.dialect.identifier_preparer.quote_identifier(table)
    try:
        connection.exec_driver_sql(f"ANALYZE {name}")
    except SQLAlchemyError as exc:
        _log.warning("statistics of %s: %s; again later", table, exc)
    finally:
        connection.rollback()  # SQLite has committed by itself; this one has begun nothing
