"""One log, shipped through restarts of either side until its pod ends.

It goes on by goes: each is a task that reads what there is, or follows a stream, and ships it. Who
gives it the next go, and waits for that meanwhile: keeper.py.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from trainyard_operator.engine.errors import (
    Conflict,
    NotFound,
    OperatorError,
    Retry,
    Terminal,
    Unheard,
)
from trainyard_operator.engine.kube import Kube
from trainyard_operator.logs.limits import Limits
from trainyard_operator.logs.lines import Lines
from trainyard_operator.logs.spool import Spool
from trainyard_operator.logs.tail import End, Tail
from trainyard_operator.metrics import LOG_BYTES
from trainyard_operator.names import Log
from trainyard_operator.runs.effects import FollowLog

GIVE_UP_READS = 2
"""Reads without a byte after which a log is given up: a node that serves none, say."""

CUT = "cut"
"""Stands for the place once a log has been closed by a note."""

_MISSING = b"[trainyard] the pod is gone: up to 5 s of output before this line may be missing\n"
_UNREADABLE = b"[trainyard] the cluster gives no log of this pod\n"
_NO_MORE = b"[trainyard] the node gives no more of this log: its last lines may be missing\n"
_PAUSE = 0.5
_LONGEST = 15.0
_LONGEST_WAIT = 5.0
_STATUS_SECONDS = 5.0
_log = logging.getLogger(__name__)


def told(call: FollowLog) -> str:
    """Return which log this is, in words."""
    return f"attempt {call.attempt}, index {call.index} of Run {call.namespace}/{call.run}"


class Sink(Protocol):
    """Where logs go: tracking_client.TrackingClient, or a fake."""

    async def log_offset(self, log: Log) -> tuple[int, str]: ...
    async def append_log(self, log: Log, *, offset: int, reached: str, data: bytes) -> int: ...


class _LogClosedError(Exception):
    """The tracking service takes no more of a log; unlike a pod that has none to read yet."""


class _LogLostError(Exception):
    """The tracking service knows nothing of the Run; none of its log can be kept."""


class _PutOffError(Exception):
    """A go that is to be made again later: a service is away; it says nothing about the node."""


@dataclass(slots=True, eq=False)
class Follower:
    """Ships one log, but for a tail that goes with the end of its Run.

    Attributes:
        is_new: Nobody is likely to have shipped any of it, so the place is not asked for: if
            somebody has, the first append tells.
        tail: All that is left to ship, of a log that was read to its end.
    """

    kube: Kube
    sink: Sink
    call: FollowLog
    limits: Limits
    end: End = field(default_factory=End)
    is_new: bool = False
    tail: Tail | None = None
    _note: bytes = b""
    _offset: int = 0
    _place: str = ""
    _is_placed: bool = False
    _failures: int = 0
    _waits: int = 0
    _lines: Lines | None = None
    _reading: asyncio.Task[None] | None = None

    @property
    def reads(self) -> bool:
        """Tell whether the next go reads, for which there must be a place."""
        return bool(self.call.pod) and self.tail is None and not self._note

    @property
    def reached(self) -> str:
        """Return the place that reading has reached: the same as before if nothing came."""
        return self._lines.place if self._lines else ""

    def hang_up(self) -> None:
        """Break off a stream, of which what is left is read anew."""
        if self._reading is not None:
            self._reading.cancel()

    async def go(self, *, follows: bool, is_last: bool, leave: Callable[[], None]) -> float | None:
        """Ship what there is, and what comes as long as it is followed.

        Args:
            is_last: The program has ended: what there is is all.
            leave: Told once nothing more is read, whatever is still to be shipped.

        Returns:
            The seconds after which to go on; None once all is shipped or kept, or can't be.
        """
        try:
            if self.tail:
                await self._ship_tail(self.tail)
                return None
            if self.reads:
                again = await self._read_on(follows=follows, is_last=is_last, leave=leave)
                if again is not None:
                    return again
            await self._close()
        except _PutOffError:
            return self._until_tracking()
        except _LogClosedError as exc:
            # Archived already, by a step that was cut short or by another replica.
            _log.info("the log takes no more: %s", exc, extra={"run": self.call.run})
        except _LogLostError as exc:
            _log.warning("the log of %s is not kept, %s", told(self.call), exc)
        return None

    async def _ship_tail(self, tail: Tail) -> None:
        """Append what was kept.

        Raises:
            _PutOffError: The tracking service is away, or the log must be read again.
        """
        self._offset = tail.offset
        try:
            async with self.limits.shippers:
                is_there = await self._append(tail.data, tail.place)
        except (_LogClosedError, _LogLostError, _PutOffError):
            self._drop_tail()
            raise
        if not is_there:
            raise _PutOffError
        self._drop_tail()

    def _drop_tail(self) -> None:
        self.tail = None
        self.end.let_go()  # appended, or to be read again

    async def _read_on(
        self, *, follows: bool, is_last: bool, leave: Callable[[], None]
    ) -> float | None:
        """Read, and ship that; return when to go on, None if it is all but for a note."""
        if not self.is_new:
            await self._find_place()
        before = self._offset
        try:
            saw_end = await self._try_read(follows=follows, is_last=is_last, leave=leave)
        except NotFound:
            self._note = _MISSING
            return None
        if is_last and saw_end:
            return None
        self._failures = 0 if saw_end or self._offset > before else self._failures + 1
        if is_last and self._failures >= GIVE_UP_READS:
            self._note = _NO_MORE if self._offset else _UNREADABLE
            return None
        if is_last or not saw_end:
            return _pause(self._failures, longest=_LONGEST)
        # A stream ended, most likely because the program did: its status is on its way.
        return _STATUS_SECONDS if follows else self.limits.turn

    async def _close(self) -> None:
        """Say at the end of the log if something may be missing."""
        if self.call.cut and not self.call.pod:
            self._note = _MISSING
        if not self._note:
            return
        await self._find_place()
        line_end = b"\n" if "@" in self._place else b""
        if not await self._append(line_end + self._note, CUT):
            raise _PutOffError

    async def _try_read(self, *, follows: bool, is_last: bool, leave: Callable[[], None]) -> bool:
        """Read what there is; tell whether the stream came to its end."""
        try:
            return await self._read(follows=follows, is_last=is_last, leave=leave)
        except NotFound:
            raise
        except Unheard as exc:
            # Of the API server, while it starts or is busy: the node was not asked.
            raise _PutOffError from exc
        except OperatorError as exc:
            _log.debug("log not readable: %s", exc.message, extra={"run": self.call.run})
            return False
        except OSError as exc:
            _log.debug("log stream broke: %s", exc, extra={"run": self.call.run})
            return False

    async def _read(self, *, follows: bool, is_last: bool, leave: Callable[[], None]) -> bool:
        """Ship the log from where we are; tell whether that was all there was."""
        self._lines = lines = Lines(self._place)
        spool = Spool(self.limits.room)
        filling = self._fill(spool, lines, follows=follows, leave=leave)
        self._reading = reading = asyncio.create_task(filling)
        try:
            while await self._ship(spool, lines, is_last=is_last):
                if self._waits and not follows and not reading.done():
                    # Others have their turn: only what is read already waits for the service.
                    raise _PutOffError
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)
            spool.close()
            self._reading = self._lines = None
        return not lines.is_refused

    async def _fill(
        self, spool: Spool, lines: Lines, *, follows: bool, leave: Callable[[], None]
    ) -> None:
        """Read, in a place among the others that do; shipping needs none."""
        pod = (self.call.namespace, self.call.pod)
        try:
            async with self.kube.log(
                *pod, container="main", since=lines.since, follow=follows
            ) as stream:
                await spool.fill(stream, lines)
        except asyncio.CancelledError:
            await spool.end(ConnectionError("it was broken off"))
            raise
        except Exception as exc:  # noqa: BLE001  # raised where the log is shipped
            await spool.end(exc)
        finally:
            leave()

    async def _ship(self, spool: Spool, lines: Lines, *, is_last: bool) -> bool:
        """Ship the next of what was read, or keep it; tell whether there was more."""
        await spool.ready()
        if is_last and not lines.is_refused and self._keep(spool.rest()):
            return False
        async with self.limits.shippers:
            block = spool.take()
            if block is None:
                return False
            if await self._append(*block):
                return True
            spool.give_back()
        await asyncio.sleep(self._until_tracking())
        return True

    def _keep(self, rest: tuple[bytes, str] | None) -> bool:
        """Keep the last of the log for the end of the Run, if that may come soon."""
        if rest is None:
            return False
        data, place = rest
        return self.end.keep(Tail(self.call, self._offset, place, data))

    async def _append(self, data: bytes, reached: str) -> bool:
        """Append; tell whether it was taken: else the tracking service is away.

        Raises:
            _PutOffError: Some of it was there already: it must be read from another place.
        """
        try:
            self._offset = await self.sink.append_log(
                self.call.log, offset=self._offset, reached=reached, data=data
            )
            self._place = reached
            LOG_BYTES.inc(len(data))
        except Conflict:
            return await self._settle(len(data), reached)
        except Terminal as exc:
            raise _LogClosedError(exc.message) from exc
        except NotFound as exc:
            lost = f"{len(data)} bytes from byte {self._offset} on, and what follows"
            raise _LogLostError(f"{lost}: {exc.message}") from exc
        except Retry:
            return False
        self._is_placed, self._waits = True, 0
        return True

    async def _settle(self, size: int, reached: str) -> bool:
        """See what holds: an append of ours whose answer was lost, or another replica's."""
        is_placed, before = self._is_placed, self._offset
        try:
            offset, held = await self.sink.log_offset(self.call.log)
        except (Retry, NotFound):
            return False
        is_there = held == reached or (is_placed and offset >= before + size)
        self._offset, self._is_placed, self._waits = offset, True, 0
        if is_there or not is_placed:
            self._place = held
        if held == CUT:
            raise _LogClosedError("it has been closed")
        if not is_there and not is_placed:
            raise _PutOffError
        return is_there

    def _until_tracking(self) -> float:
        """Return the seconds until the tracking service, or the API server, is asked again."""
        self._waits += 1
        return _pause(self._waits, longest=_LONGEST_WAIT)

    async def _find_place(self) -> None:
        if self._is_placed:
            return
        try:
            self._offset, self._place = await self.sink.log_offset(self.call.log)
        except NotFound:
            pass
        except Retry as exc:
            raise _PutOffError from exc
        self._is_placed = True
        if self._place == CUT:
            raise _LogClosedError("it has been closed")


def _pause(failures: int, *, longest: float) -> float:
    """Return the seconds after so many failures, which may be thousands."""
    doubled: float = _PAUSE * 2 ** min(max(failures - 1, 0), 9)
    return min(doubled, longest)
