"""What requests read of the database: counted until they are answered, each and all together.

Nothing bounds the metrics and tags of a run, or the spans of a trace; of each byte that is read
MLflow makes six, in objects, messages and JSON. One answer would take the memory of all.
"""

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, TypeVar

from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE, TEMPORARILY_UNAVAILABLE
from sqlalchemy import Engine, event
from sqlalchemy.engine.cursor import CursorFetchStrategy

from trainyard_tracking.auth.reading import Share
from trainyard_tracking.lanes import share_of

_MOST = 192 << 20
"""Bytes of rows of all requests; six times that is what the chart's limit of memory leaves."""
_FREE = 1 << 20
"""So much each request may read, whatever others hold: most read less."""
_VALUE = 48
"""Bytes that a value takes, beside those of a text."""
_STEP = 64 << 10
_T = TypeVar("_T")


class TooMuchError(MlflowException):  # type: ignore[misc]  # MLflow is untyped
    """One request reads more than any may: it must ask for less."""


@dataclass(slots=True)
class Room:
    """The rows of all requests under way; thread-safe."""

    most: int = _MOST
    held: int = 0
    by_owner: Counter[str] = field(default_factory=Counter)
    lock: threading.Lock = field(default_factory=threading.Lock)

    @contextmanager
    def request(self, share: Share) -> Iterator["Read"]:
        """Count what a request reads, against its owners as well, until it is over."""
        read = Read(self, share)
        token = READ.set(read)
        try:
            yield read
        finally:
            READ.reset(token)
            read.close()

    @property
    def most_of_one(self) -> int:
        """Tell how much one request may hold, or all of one owner."""
        return share_of(self.most)


@dataclass(slots=True)
class Read:
    """What one request has read."""

    room: Room
    share: Share
    size: int = 0
    held: int = 0
    owners: tuple[str, ...] = ()
    closed: bool = False

    def add(self, size: int) -> None:
        """Count bytes more.

        Raises:
            TooMuchError: It is too much for one request.
            MlflowException: It is too much beside those of others.
        """
        self.size += size
        if self.size <= _FREE:
            return
        room = self.room
        if self.size > room.most_of_one:
            raise TooMuchError(
                f"This reads more than {room.most_of_one >> 20} MiB of the database, which is the"
                " limit of the service: ask for less at once, by max_results with page_token, by"
                " a filter, or by fewer runs or traces",
                INVALID_PARAMETER_VALUE,
            )
        with room.lock:
            # Whoever reads on for a request that was cut off gives nothing back any more.
            if not self.closed:
                self._hold(self.size - self.held)

    def _hold(self, size: int) -> None:
        room = self.room
        self.owners = self.owners or self.share.owners
        is_full = room.held + size > room.most or any(
            room.by_owner[owner] + size > room.most_of_one for owner in self.owners
        )
        if is_full:
            raise MlflowException(
                "Answers under way, of your namespace or of all, fill the memory for what is read"
                " of the database: try again",
                TEMPORARILY_UNAVAILABLE,
            )
        room.held += size
        self.held += size
        for owner in self.owners:
            room.by_owner[owner] += size

    def forget(self, size: int) -> None:
        """Give back what was read beyond so many bytes, which nobody holds any more."""
        with self.room.lock:
            self.size = size
            self._give_back(max(self.held - size, 0))

    def close(self) -> None:
        """Give all back."""
        with self.room.lock:
            self.closed = True
            self._give_back(self.held)

    def _give_back(self, size: int) -> None:
        room = self.room
        room.held -= size
        self.held -= size
        for owner in self.owners if size else ():
            room.by_owner[owner] -= size
            if not room.by_owner[owner]:
                del room.by_owner[owner]


READ: ContextVar[Read | None] = ContextVar("trainyard_read", default=None)
"""That of this request; None, for migrations and sweeps, which nobody else waits for."""


def bound(engine: Engine) -> None:
    """Have what is read by an engine counted."""
    event.listen(engine, "after_cursor_execute", _count)


def page(search: Callable[[int], _T], most: int) -> _T:
    """Search for a page of so many, or of fewer if that reads more than a request may.

    Clients ask for what follows by the page's token, however many it holds.

    Raises:
        TooMuchError: A single one is too much.
    """
    read = READ.get()
    before = read.size if read else 0
    while True:
        try:
            return search(most)
        except TooMuchError:
            if read is None or most <= 1:
                raise
            read.forget(before)
            most = max(most // 4, 1)


class _Counted(CursorFetchStrategy):
    """Fetches rows one by one: all at once, they would be there before anybody counts them."""

    __slots__ = ("read",)

    def __init__(self, read: Read) -> None:
        self.read = read

    def fetchone(self, result: Any, dbapi_cursor: Any, hard_close: bool = False) -> Any:
        row = super().fetchone(result, dbapi_cursor, hard_close)
        if row is not None:
            self.read.add(_weight(row))
        return row

    def fetchall(self, result: Any, dbapi_cursor: Any) -> Any:
        try:
            rows = self._all(dbapi_cursor)
            result._soft_close()  # noqa: SLF001  # as its own
        except BaseException as exc:  # noqa: BLE001  # SQLAlchemy raises it again, in its own words
            self.handle_exception(result, dbapi_cursor, exc)
        return rows

    def _all(self, dbapi_cursor: Any) -> list[Any]:
        rows, size = [], 0
        for row in dbapi_cursor:
            rows.append(row)
            size += _weight(row)
            if size > _STEP:
                self.read.add(size)
                size = 0
        self.read.add(size)
        return rows


def _weight(row: Sequence[Any]) -> int:
    size = _VALUE * len(row)
    for value in row:
        if type(value) is str or type(value) is bytes:
            size += len(value)
    return size


def _count(_: Any, __: Any, ___: Any, ____: Any, context: Any, _____: Any) -> None:
    read = READ.get()
    # Another one has its rows already, as that of an insert.
    if read is not None and type(context.cursor_fetch_strategy) is CursorFetchStrategy:
        context.cursor_fetch_strategy = _Counted(read)
