"""Ship what programs print to the tracking service, as it is printed.

One follower per attempt: the API server's log of `main`, with timestamps, is read as a stream
and appended by offset. The tracking service's offset and last timestamp are the only state, so
a follower that is killed anywhere goes on where the last append ended; decision 0002 says why
there is no sidecar.

    log?follow ─▶ whole lines ─▶ without stamps ─▶ PATCH at offset (≤ 1 s, ≤ 4 MiB)
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

import aiohttp

from trainyard_operator.calls import FollowLog
from trainyard_operator.errors import Conflict, NotFound, OperatorError, Retry, Terminal
from trainyard_operator.kube import Kube
from trainyard_operator.log_lines import (
    after_stamp,
    last_stamp,
    seconds_between,
    stamp_of,
    strip_stamps,
    whole_seconds,
)
from trainyard_operator.metrics import LOG_BYTES

BATCH_BYTES = 4 << 20
BATCH_SECONDS = 1.0
ROTATION_SECONDS = 3.0
"""A node looks every ten seconds for logs to rotate: in less, no whole file has come and gone."""
GIVE_UP_READS = 2
"""Reads without a byte after which a log is given up: a node that serves none, say."""

CUT = "cut"
"""Stands for the last timestamp once a log has been closed by a note."""

_MISSING = b"[trainyard] the pod is gone: up to 5 s of output before this line may be missing\n"
_DROPPED = b"[trainyard] output may be missing here: the node dropped it before it was read\n"
_UNREADABLE = b"[trainyard] the cluster gives no log of this pod\n"
_PAUSE = 0.5
_LONGEST = 15.0
_LOOKS = 10
_log = logging.getLogger(__name__)


class Sink(Protocol):
    """Where logs go: tracking_client.TrackingClient, or a fake."""

    async def log_offset(self, namespace: str, run_id: str, attempt: int) -> tuple[int, str]: ...
    async def append_log(
        self, namespace: str, run_id: str, attempt: int, *, offset: int, stamp: str, data: bytes
    ) -> int: ...


Key = tuple[str, int, str]


def _key(call: FollowLog) -> Key:
    return call.run_id, call.attempt, call.pod_uid


class LogKeeper:
    """All followers of this process.

    Args:
        is_over: Tells whether a pod's program has ended, or the pod is gone.
        on_complete: Told when all of a log has been shipped.
    """

    def __init__(
        self,
        kube: Kube,
        sink: Sink,
        *,
        is_over: Callable[[FollowLog], bool],
        on_complete: Callable[[FollowLog], None],
    ) -> None:
        self._kube = kube
        self._sink = sink
        self._is_over = is_over
        self._on_complete = on_complete
        self._following: dict[Key, asyncio.Task[None]] = {}
        self._complete: set[Key] = set()

    def follow(self, call: FollowLog) -> None:
        """Have a log followed, if it is not yet."""
        key = _key(call)
        if key in self._complete or key in self._following:
            return
        follower = Follower(self._kube, self._sink, call, is_over=self._is_over)
        task = asyncio.create_task(follower.run(), name=f"log of {call.run} {call.attempt}")
        self._following[key] = task
        task.add_done_callback(lambda done: self._ended(call, done))

    def is_complete(self, call: FollowLog) -> bool:
        """Tell whether all of a log has been shipped; follows it if nobody does."""
        attempt = _key(call)[:2]
        if any(key[:2] == attempt for key in self._following):
            return False
        done = any(key[:2] == attempt for key in self._complete)
        if done or not (call.pod or call.cut):
            return True
        self.follow(call)
        return False

    def forget(self, run_id: str) -> None:
        """Let go of what is known about the logs of a Run whose end is on record."""
        self._complete = {key for key in self._complete if key[0] != run_id}

    async def stop(self) -> None:
        """Stop following; another process goes on from the last append."""
        tasks = list(self._following.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _ended(self, call: FollowLog, task: asyncio.Task[None]) -> None:
        del self._following[_key(call)]
        if task.cancelled():
            return
        if task.exception():
            _log.error("following a log failed", exc_info=task.exception())
        self._complete.add(_key(call))
        self._on_complete(call)


class _LogClosedError(Exception):
    """The tracking service takes no more of a log; unlike a pod that has none to read yet."""


@dataclass(slots=True)
class Follower:
    """Ships one log, through restarts of either side, until its pod ends."""

    kube: Kube
    sink: Sink
    call: FollowLog
    is_over: Callable[[FollowLog], bool]
    _offset: int = 0
    _stamp: str = ""
    _buffer: bytearray = field(default_factory=bytearray)
    _failures: int = 0
    _saw_end: bool = False
    _is_mid_line: bool = False
    _joins: bool = False

    async def run(self) -> None:
        """Ship all of the log, and say at its end if something may be missing."""
        try:
            await self._ship_all()
        except _LogClosedError as exc:
            # Archived already, by a step that was cut short or by another replica.
            _log.info("the log takes no more: %s", exc, extra={"run": self.call.run})

    async def _ship_all(self) -> None:
        await self._find_place()
        if self._stamp == CUT:
            return
        note = await self._follow() if self.call.pod else b""
        if self.call.cut and not self.call.pod:
            note = _MISSING
        if note:
            line_end = b"\n" if self._is_mid_line else b""
            await self._append(line_end + note, CUT)

    async def _follow(self) -> bytes:
        """Read until the program has ended; return the note to close the log with."""
        while True:
            over, before = self.is_over(self.call), self._offset
            try:
                self._saw_end = await self._try_read(over=over)
            except NotFound:
                return await self._after_gone()
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

    async def _try_read(self, *, over: bool) -> bool:
        """Read what there is; tell whether the stream came to its end."""
        try:
            await self._read(over=over)
        except NotFound:
            raise
        except OperatorError as exc:
            _log.debug("log not readable: %s", exc.message, extra={"run": self.call.run})
            return False
        except (aiohttp.ClientError, TimeoutError, OSError) as exc:
            _log.debug("log stream broke: %s", exc, extra={"run": self.call.run})
            return False
        return True

    async def _after_gone(self) -> bytes:
        # Nobody saw the program end. If the stream did, a line without its end may be left.
        if self._saw_end:
            await self._ship("", last=True)
        return _MISSING

    async def _read(self, *, over: bool) -> None:
        """Read the log from where we are until the stream ends.

        A line without its end is only shipped once the program is over: if the stream just
        broke off, the line comes again whole.
        """
        skip = self._stamp
        since = whole_seconds(skip)
        async with self.kube.log(
            self.call.namespace, self.call.pod, container="main", since=since
        ) as stream:
            self._buffer.clear()
            self._joins = not skip
            ended = False
            while not ended:
                try:
                    ended = await self._fill(stream)
                except (aiohttp.ClientError, OSError):
                    # The pod may be gone for good: keep what did arrive.
                    await self._ship(skip, last=False)
                    raise
                skip = await self._ship(skip, last=ended and over)

    async def _fill(self, stream: aiohttp.StreamReader) -> bool:
        """Gather a batch; tell whether the stream has ended."""
        deadline = asyncio.get_running_loop().time() + BATCH_SECONDS
        while len(self._buffer) < BATCH_BYTES:
            left = deadline - asyncio.get_running_loop().time()
            if left <= 0 and self._buffer:
                return False
            try:
                async with asyncio.timeout(left if self._buffer else None):
                    data = await stream.readany()
            except TimeoutError:
                return False
            if not data:
                return True
            if not self._buffer:
                deadline = asyncio.get_running_loop().time() + BATCH_SECONDS
            self._buffer += data
        return False

    async def _ship(self, skip: str, *, last: bool) -> str:
        """Append the whole lines of the buffer (all of it at the end); return what to skip on."""
        end = len(self._buffer) if last else self._buffer.rfind(b"\n") + 1
        block = bytes(self._buffer[:end])
        del self._buffer[:end]
        fresh = after_stamp(block, skip)
        # Where we left off must come again: a node keeps the end of a log, not all of it.
        self._joins = self._joins or len(fresh) < len(block)
        if not fresh:
            return skip
        dropped = not self._joins and seconds_between(skip, stamp_of(fresh)) > ROTATION_SECONDS
        note = _DROPPED if dropped else b""
        self._joins = True
        await self._append(note + strip_stamps(fresh), last_stamp(fresh) or self._stamp)
        return ""

    async def _append(self, data: bytes, stamp: str) -> None:
        """Append, waiting for the tracking service as long as it takes."""
        while True:
            place = (self.call.namespace, self.call.run_id, self.call.attempt)
            try:
                self._offset = await self.sink.append_log(
                    *place, offset=self._offset, stamp=stamp, data=data
                )
                self._stamp = stamp
                LOG_BYTES.inc(len(data))
                self._is_mid_line = not data.endswith(b"\n")
                return
            except Conflict:
                # An append of ours whose answer was lost, or another replica's: see what holds.
                offset, held = await self.sink.log_offset(*place)
                if held == stamp or offset >= self._offset + len(data):
                    self._offset, self._stamp = offset, held
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
                self._offset, self._stamp = await self.sink.log_offset(*place)
                return
            except NotFound:
                return
            except Retry:
                await asyncio.sleep(_PAUSE)
