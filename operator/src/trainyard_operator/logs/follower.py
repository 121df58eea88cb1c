"""One log, shipped through restarts of either side until its pod ends."""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
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

FOLLOW_AFTER = 3.0
"""Seconds: what has ended by then is read once, and never followed."""

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
    """A read that is to begin again later; it says nothing about the node."""


@dataclass(slots=True)
class Follower:
    """Ships one log, but for a tail that goes with the end of its Run.

    Attributes:
        is_over: Tells whether the pod's program has ended, or the pod is gone.
        is_new: Nobody is likely to have shipped any of it, so the place is not asked for: if
            somebody has, the first append tells.
        tail: All that is left to ship, of a log that was read to its end.
    """

    kube: Kube
    sink: Sink
    call: FollowLog
    limits: Limits
    is_over: Callable[[FollowLog], bool]
    end: End = field(default_factory=End)
    is_new: bool = False
    tail: Tail | None = None
    _offset: int = 0
    _place: str = ""
    _is_placed: bool = False
    _failures: int = 0
    _waits: int = 0
    _saw_end: bool = False

    async def run(self) -> None:
        """Ship all of the log, and say at its end if something may be missing."""
        self.limits.logs += 1
        try:
            await self._ship_all()
        except _LogClosedError as exc:
            # Archived already, by a step that was cut short or by another replica.
            _log.info("the log takes no more: %s", exc, extra={"run": self.call.run})
        except _LogLostError as exc:
            _log.warning("the log of %s is not kept, %s", told(self.call), exc)
        finally:
            self.limits.logs -= 1
            if self.tail:
                self.end.let_go()  # appended, or to be read again

    async def _ship_all(self) -> None:
        if self.tail and await self._ship_tail(self.tail):
            return
        if self.tail or not self.is_new:
            await self._find_place()
        note = await self._follow() if self.call.pod else b""
        if self.call.cut and not self.call.pod:
            note = _MISSING
        if note:
            if not self._is_placed:
                await self._find_place()
            line_end = b"\n" if "@" in self._place else b""
            while not await self._append(line_end + note, CUT):
                await self._wait_for_tracking()

    async def _ship_tail(self, tail: Tail) -> bool:
        """Append what was kept; tell whether it is there: else the log must be read again."""
        self._offset = tail.offset
        try:
            while True:
                async with self.limits.shippers:
                    if await self._append(tail.data, tail.place):
                        return True
                await self._wait_for_tracking()
        except _PutOffError:
            return False

    async def _follow(self) -> bytes:
        """Read until the program has ended; return the note to close the log with."""
        await self._rest(FOLLOW_AFTER)
        while True:
            over, before = self._has_ended(), self._offset
            follows = not over and not self.limits.followers.locked()
            try:
                self._saw_end = await self._try_read(follow=follows, is_last=over)
            except NotFound:
                return _MISSING
            except _PutOffError:
                await self._wait_for_tracking()
                continue
            if over and self._saw_end:
                return b""
            self._failures = 0 if self._saw_end or self._offset > before else self._failures + 1
            if over and self._failures >= GIVE_UP_READS:
                return _NO_MORE if self._offset else _UNREADABLE
            await self._pause(over=over, follows=follows)

    async def _pause(self, *, over: bool, follows: bool) -> None:
        if over or not self._saw_end:
            await asyncio.sleep(min(_PAUSE * 2 ** max(self._failures - 1, 0), _LONGEST))
            return
        # A stream ended, most likely because the program did: its status is on its way.
        await self._rest(_STATUS_SECONDS if follows else self.limits.turn)

    async def _rest(self, seconds: float) -> None:
        """Wait, but no longer than for the end of the program: told, or looked for."""
        while seconds > 0 and not self._has_ended():
            look = min(self.limits.look, seconds)
            with suppress(TimeoutError):
                async with asyncio.timeout(look):
                    await self.end.is_known.wait()
            seconds -= look

    def _has_ended(self) -> bool:
        return self.end.is_known.is_set() or self.is_over(self.call)

    async def _try_read(self, *, follow: bool, is_last: bool) -> bool:
        """Read what there is; tell whether the stream came to its end."""
        try:
            return await self._read(follow=follow, is_last=is_last)
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

    async def _read(self, *, follow: bool, is_last: bool) -> bool:
        """Ship the log from where we are; tell whether that was all there was."""
        lines, spool = Lines(self._place), Spool(self.limits.room)
        reading = asyncio.create_task(self._fill(spool, lines, follow=follow))
        try:
            while await self._ship(spool, lines, is_last=is_last):
                if self._waits and not follow and not reading.done():
                    # Others have their turn: only what is read already waits for the service.
                    raise _PutOffError
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)
            spool.close()
        return not lines.is_refused

    async def _fill(self, spool: Spool, lines: Lines, *, follow: bool) -> None:
        """Read, in a place among the others that do; shipping needs none."""
        pod = (self.call.namespace, self.call.pod)
        try:
            async with (
                self.limits.followers if follow else self.limits.readers,
                self.kube.log(*pod, container="main", since=lines.since, follow=follow) as stream,
            ):
                await spool.fill(stream, lines)
        except Exception as exc:  # noqa: BLE001  # raised where the log is shipped
            await spool.end(exc)

    async def _ship(self, spool: Spool, lines: Lines, *, is_last: bool) -> bool:
        """Ship the next of what was read, or keep it; tell whether there was more."""
        await spool.ready()
        if is_last and not lines.is_refused and await self._keep(spool.rest()):
            return False
        async with self.limits.shippers:
            block = spool.take()
            if block is None:
                return False
            if await self._append(*block):
                return True
            spool.give_back()
        await self._wait_for_tracking()
        return True

    async def _keep(self, rest: tuple[bytes, str] | None) -> bool:
        """Keep the last of the log for the end of the Run, if that comes soon."""
        if rest is None:
            return False
        data, place = rest
        if not self.end.keep(Tail(self.call, self._offset, place, data)):
            return False
        with suppress(TimeoutError):
            async with asyncio.timeout(self.limits.patience):
                await self.end.is_decided.wait()
        return self.end.confirm()

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

    async def _wait_for_tracking(self) -> None:
        self._waits += 1
        await asyncio.sleep(min(_PAUSE * 2 ** min(self._waits - 1, 9), _LONGEST_WAIT))

    async def _find_place(self) -> None:
        while not self._is_placed:
            try:
                self._offset, self._place = await self.sink.log_offset(self.call.log)
                self._is_placed = True
            except NotFound:
                self._is_placed = True
            except Retry:
                await self._wait_for_tracking()
        if self._place == CUT:
            raise _LogClosedError("it has been closed")
