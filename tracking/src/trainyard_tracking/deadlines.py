"""An end for each query: an unlucky one would hold a thread and a connection for minutes.

PostgreSQL ends a query by itself; SQLite is interrupted, between two rows. Either way the
transaction is taken back, so that no half of a write stays. What one row may cost is bounded by
the length of what it is compared with.
"""

import sqlite3
import threading
from contextvars import ContextVar
from dataclasses import dataclass, field
from time import monotonic, sleep
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
_TICK = 0.1
"""Seconds between two looks at what takes too long; a look costs microseconds, a row nothing."""
_PATTERN = 512
"""Bytes of what LIKE compares with: a limit of SQLite's own, which holds for every statement.

It compares a text in one step, which nothing interrupts and which takes as long as both lengths
multiplied. The door lets half of it pass; MLflow puts names of attributes around that.
"""
_TOO_LONG = "pattern too complex"
# Of one statement: SQLite's words, and those of PostgreSQL's driver; PostgreSQL has a class.
_TOO_MUCH = (
    "too many SQL variables",
    "Expression tree is too large",
    "string or blob too big",
    "number of parameters must be",
)
_LIMITS = "54"
"""SQLite's words for a longer one."""
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
    # Of other methods the end of a path may be a name that the caller chose.
    return method in _READS or (method == "POST" and path.endswith(_QUESTIONS))


def bound(engine: Engine) -> None:
    """Have the queries of an engine end as the request of each says."""
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _bound_patterns)
        event.listen(engine, "before_cursor_execute", _begin)
        event.listen(engine, "checkin", _end)
        # Those that are open take any pattern.
        engine.dispose()
    else:
        event.listen(engine, "begin", _tell)


def was_ended(error: object) -> bool:
    """Tell whether a driver's error says that the query had taken too long."""
    if isinstance(error, sqlite3.Error):
        return getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_INTERRUPT
    return getattr(error, "sqlstate", None) == _CANCELED


def is_long_pattern(error: object) -> bool:
    """Tell whether a driver's error says that LIKE was asked for a pattern that is too long."""
    return isinstance(error, sqlite3.Error) and _TOO_LONG in str(error)


def is_too_much(error: object) -> bool:
    """Tell whether a driver's error says that a statement names too much, or is nested too deep."""
    is_of_limits = str(getattr(error, "sqlstate", None) or "").startswith(_LIMITS)
    return is_of_limits or any(words in str(error) for words in _TOO_MUCH)


@dataclass(slots=True)
class _Ends:
    """When the query of each connection to SQLite is to end; one thread interrupts what does not.

    SQLite's own question whether to go on comes after so many of its steps, which may be long ones.
    """

    _of: dict[Any, float] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _some: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def begin(self, connection: Any, limit: Limit | None) -> None:
        """Note that a statement begins."""
        with self._lock:
            if limit is None:
                self._of.pop(connection, None)
                return
            self._of[connection] = monotonic() + limit.seconds
            if self._thread is None:
                self._thread = threading.Thread(target=self._watch, name="deadlines", daemon=True)
                self._thread.start()
        self._some.set()

    def forget(self, connection: Any) -> None:
        """Note that nobody uses a connection any more."""
        with self._lock:
            self._of.pop(connection, None)

    def _watch(self) -> None:
        while self._some.wait():
            sleep(_TICK)
            self._interrupt()

    def _interrupt(self) -> None:
        # Under the lock, so that it never meets the statement that begins next.
        with self._lock:
            now = monotonic()
            for connection in [one for one, end in self._of.items() if end < now]:
                try:
                    connection.interrupt()
                except sqlite3.Error:
                    # It is closed.
                    del self._of[connection]
            if not self._of:
                self._some.clear()


_ENDS = _Ends()


def _bound_patterns(connection: Any, _: Any) -> None:
    connection.setlimit(sqlite3.SQLITE_LIMIT_LIKE_PATTERN_LENGTH, _PATTERN)


def _begin(_: Any, cursor: Any, *__: Any) -> None:
    _ENDS.begin(cursor.connection, LIMIT.get())


def _end(connection: Any, _: Any) -> None:
    _ENDS.forget(connection)


def _tell(connection: Any) -> None:
    limit = LIMIT.get()
    if limit is not None:
        # For this transaction alone: a pooler may lend the session to others.
        milliseconds = max(1, round(limit.seconds * 1000))
        connection.exec_driver_sql(f"SET LOCAL statement_timeout = {milliseconds}")
