"""One log, shipped through restarts of either side until its pod ends."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import aiohttp

from trainyard_operator.engine.errors import Conflict, NotFound, OperatorError, Retry, Terminal
from trainyard_operator.engine.kube import Kube
from trainyard_operator.logs.lines import Lines
from trainyard_operator.logs.spool import Room, Spool
from trainyard_operator.metrics import LOG_BYTES
from trainyard_operator.runs.effects import FollowLog

GIVE_UP_READS = 2
"""Reads without a byte after which a log is given up: a node that serves none, say."""

CUT = "cut"
"""Stands for the place once a log has been closed by a note."""

_MISSING = b"[trainyard] the pod is gone: up to 5 s of output before this line may be missing\n"
_UNREADABLE = b"[trainyard] the cluster gives no log of this pod\n"
_PAUSE = 0.5
_LONGEST = 15.0
_LOOKS = 10
_log = logging.getLogger(__name__)


class Sink(Protocol):
    """Where logs go: tracking_client.TrackingClient, or a fake."""

    async def log_offset(self, namespace: str, run_id: str, attempt: int) -> tuple[int, str]: ...
    async def append_log(
        self, namespace: str, run_id: str, attempt: int, *, offset: int, reached: str, data: bytes
    ) -> int: ...


class _LogClosedError(Exception):
    """The tracking service takes no more of a log; unlike a pod that has none to read yet."""


@dataclass(slots=True)
class Follower:
    """Ships one log."""

    kube: Kube
    sink: Sink
    call: FollowLog
    room: Room
    is_over: Callable[[FollowLog], bool]
    _offset: int = 0
    _place: str = ""
    _failures: int = 0
    _saw_end: bool = False

    async def run(self) -> None:
        """Ship all of the log, and say at its end if something may be missing."""
        try:
            await self._ship_all()
        except _LogClosedError as exc:
            # Archived already, by a step that was cut short or by another replica.
            _log.info("the log takes no more: %s", exc, extra={"run": self.call.run})

    async def _ship_all(self) -> None:
        await self._find_place()
        if self._place == CUT:
            return
        note = await self._follow() if self.call.pod else b""
        if self.call.cut and not self.call.pod:
            note = _MISSING
        if note:
            line_end = b"\n" if "@" in self._place else b""
            await self._append(line_end + note, CUT)

    async def _follow(self) -> bytes:
        """Read until the program has ended; return the note to close the log with."""
        while True:
            over, before = self.is_over(self.call), self._offset
            try:
                self._saw_end = await self._try_read()
            except NotFound:
                return _MISSING
            if over and self._saw_end:
                return b""
            self._failures = 0 if self._saw_end or self._offset > before else self._failures + 1
            if over and self._failures >= GIVE_UP_READS:
                return b"" if self._offset else _UNREADABLE
            await self._pause(over=over)

    async def _pause(self, *, over: bool) -> None:
        if over or not self._saw_end:
            await asyncio.sleep(min(_PAUSE * 2 ** max(self._failures - 1, 0), _LONGEST))
            return
        # The stream ended, most likely because the program did: its status is on its way.
        for _ in range(_LOOKS):
            if self.is_over(self.call):
                return
            await asyncio.sleep(_PAUSE)

    async def _try_read(self) -> bool:
        """Read what there is; tell whether the stream came to its end."""
        try:
            await self._read()
        except NotFound:
            raise
        except OperatorError as exc:
            _log.debug("log not readable: %s", exc.message, extra={"run": self.call.run})
            return False
        except (aiohttp.ClientError, TimeoutError, OSError) as exc:
            _log.debug("log stream broke: %s", exc, extra={"run": self.call.run})
            return False
        return True

    async def _read(self) -> None:
        """Ship the log from where we are until the stream ends."""
        lines, spool = Lines(self._place), Spool(self.room)
        pod = (self.call.namespace, self.call.pod)
        async with self.kube.log(*pod, container="main", since=lines.since) as stream:
            reading = asyncio.create_task(spool.fill(stream, lines))
            try:
                while block := await spool.take():
                    await self._append(*block)
            finally:
                reading.cancel()
                await asyncio.gather(reading, return_exceptions=True)
                spool.close()

    async def _append(self, data: bytes, reached: str) -> None:
        """Append, waiting for the tracking service as long as it takes."""
        while True:
            place = (self.call.namespace, self.call.run_id, self.call.attempt)
            try:
                self._offset = await self.sink.append_log(
                    *place, offset=self._offset, reached=reached, data=data
                )
                self._place = reached
                LOG_BYTES.inc(len(data))
                return
            except Conflict:
                # An append of ours whose answer was lost, or another replica's: see what holds.
                offset, held = await self.sink.log_offset(*place)
                if held == reached or offset >= self._offset + len(data):
                    self._offset, self._place = offset, held
                    return
                self._offset = offset
            except Terminal as exc:
                raise _LogClosedError(exc.message) from exc
            except Retry:
                await asyncio.sleep(_PAUSE)

    async def _find_place(self) -> None:
        place = (self.call.namespace, self.call.run_id, self.call.attempt)
        while True:
            try:
                self._offset, self._place = await self.sink.log_offset(*place)
                return
            except NotFound:
                return
            except Retry:
                await asyncio.sleep(_PAUSE)
