"""An end for each query: an unlucky one would hold a thread and a connection for minutes.

PostgreSQL ends a query by itself; SQLite asks between its steps whether to go on. Either way the
transaction is taken back, so that no half of a write stays.
"""

import math
import sqlite3
from contextvars import ContextVar
from dataclasses import dataclass
from time import monotonic
from typing import Any

from sqlalchemy import Engine, event

_READS = frozenset({"GET", "HEAD"})
# Questions of MLflow's that have a body, by the end of their paths.
_QUESTIONS = (
    "/search",
    "/search-datasets",
    "/graphql",
    "/traces/metrics",
    "/batchGetInfos",
    "/calculate-filter-correlation",
)
_STEPS = 500_000
"""Of SQLite's, some hundredths of a second: to be asked takes the interpreter's lock."""
_END = "trainyard_end"
_CANCELED = "57014"
"""PostgreSQL's word for a query that was ended."""


@dataclass(frozen=True, slots=True)
class Limit:
    """What a query of a request may take; `asks` if it only reads, so that less can be asked."""

    seconds: float
    asks: bool = False


LIMIT: ContextVar[Limit | None] = ContextVar("trainyard_query_limit", default=None)
"""That of this request; None, for migrations and sweeps, for as long as it takes."""


def is_read(method: str, path: str) -> bool:
    """Tell whether a request only asks something, whatever its method."""
    return method in _READS or path.endswith(_QUESTIONS)


def bound(engine: Engine) -> None:
    """Have the queries of an engine end as the request of each says."""
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _watch)
        event.listen(engine, "before_cursor_execute", _begin)
        # Those that are open are not watched.
        engine.dispose()
    else:
        event.listen(engine, "begin", _tell)


def was_ended(error: object) -> bool:
    """Tell whether a driver's error says that the query had taken too long."""
    if isinstance(error, sqlite3.Error):
        return getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_INTERRUPT
    return getattr(error, "sqlstate", None) == _CANCELED


def _watch(connection: Any, record: Any) -> None:
    known = record.info
    connection.set_progress_handler(lambda: monotonic() > known.get(_END, math.inf), _STEPS)


def _begin(connection: Any, *_: Any) -> None:
    limit = LIMIT.get()
    connection.info[_END] = math.inf if limit is None else monotonic() + limit.seconds


def _tell(connection: Any) -> None:
    limit = LIMIT.get()
    if limit is not None:
        # For this transaction alone: a pooler may lend the session to others.
        milliseconds = max(1, round(limit.seconds * 1000))
        connection.exec_driver_sql(f"SET LOCAL statement_timeout = {milliseconds}")
