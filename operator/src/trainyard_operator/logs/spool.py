"""What was read of a log and is not shipped yet.

A node skips a file of a log for a reader that is too far behind, so reading never waits for the
tracking service: what it has not taken waits on disk, within the room that all spools share.
"""

import asyncio
import errno
import os
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field
from tempfile import TemporaryFile
from typing import IO, Protocol

from trainyard_operator.logs.limits import Room
from trainyard_operator.logs.lines import Lines

BLOCK_BYTES = 192 << 10
"""So much is kept in memory."""
SEGMENT_BYTES = 2 << 20
"""So much is shipped at once, at most."""
REST_BYTES = 16 << 10
"""So little stays in memory of a log that was read to its end, until it is shipped."""
BLOCK_SECONDS = 1.0
_LOOK_SECONDS = 0.1


class Stream(Protocol):
    """An answer that comes bit by bit: engine.stream.Stream, or a fake."""

    async def readany(self) -> bytes: ...


def _file_on_disk() -> IO[bytes]:
    # Unbuffered: what finds no room is told when it is written.
    return TemporaryFile(buffering=0)


@dataclass(slots=True)
class Segment:
    """Blocks on disk that are shipped together."""

    place: str = ""
    size: int = 0
    is_closed: bool = False
    """Was on its way once: an append whose answer was lost is known again by its place."""
    _file: IO[bytes] = field(default_factory=_file_on_disk)

    def add(self, block: bytes | bytearray, place: str) -> None:
        if self._file.write(block) < len(block):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self.size += len(block)
        self.place = place

    def read(self) -> bytes:
        self.is_closed = True
        self._file.seek(0)
        # No more than was added: a write that a full disk cut short may have left some.
        return self._file.read(self.size)

    def close(self) -> None:
        self._file.close()


@dataclass(slots=True)
class Spool:
    """One log's output between the one who reads and the one who ships."""

    room: Room
    _segments: deque[Segment] = field(default_factory=deque)
    _held: int = 0
    _block: bytearray = field(default_factory=bytearray)
    _place: str = ""
    _taken: Segment | tuple[bytes, str] | None = None
    _is_over: bool = False
    _error: Exception | None = None
    _changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def fill(self, stream: Stream, lines: Lines) -> None:
        """Read a stream to its end."""
        try:
            while data := await stream.readany():
                await self._put(lines.feed(data), lines.place)
            if len(self._block) > REST_BYTES and self.room.has(len(self._block), held=self._held):
                self._set_block_aside()
            await self.end()
        except Exception as exc:  # noqa: BLE001  # raised where the log is shipped
            await self.end(exc)

    async def end(self, error: Exception | None = None) -> None:
        """Say that nothing more is read, and what broke the reading."""
        self._is_over, self._error = True, error
        await self._tell()

    async def ready(self) -> None:
        """Wait for output, and then at most a second for a whole block."""
        async with self._changed:
            await self._changed.wait_for(lambda: self._has_whole or self._block)
            with suppress(TimeoutError):
                async with asyncio.timeout(BLOCK_SECONDS):
                    await self._changed.wait_for(lambda: self._has_whole)

    def take(self) -> tuple[bytes, str] | None:
        """Return the oldest output and the place it ends at; None at the end.

        What was taken before counts as shipped.

        Raises:
            Exception: Whatever broke the stream, once all that came before has been taken.
        """
        self._settle()
        if self._segments:
            segment = self._segments.popleft()
            self._taken = segment
            return segment.read(), segment.place
        if self._block:
            block, self._block = bytes(self._block), bytearray()
            self._taken = (block, self._place)
            return block, self._place
        if self._error:
            raise self._error
        return None

    def rest(self) -> tuple[bytes, str] | None:
        """Return the last of a log that was read to its end, if it is little; it stays here."""
        is_last = self._is_over and not self._error and not self._segments
        is_little = 0 < len(self._block) <= REST_BYTES
        return (bytes(self._block), self._place) if is_last and is_little else None

    def give_back(self) -> None:
        """Have what was taken last taken again: it could not be shipped."""
        taken, self._taken = self._taken, None
        if isinstance(taken, tuple):
            # Whatever room there is: it was in memory, and shall not stay there.
            segment = Segment()
            self._set_aside(segment, *taken)
            segment.is_closed = True
            taken = segment
        if taken is not None:
            self._segments.appendleft(taken)

    def close(self) -> None:
        """Let go of what was not taken."""
        self._settle()
        while self._segments:
            self._drop(self._segments.popleft())

    @property
    def _has_whole(self) -> bool:
        return bool(self._segments) or len(self._block) >= BLOCK_BYTES or self._is_over

    async def _put(self, data: bytes, place: str) -> None:
        if not data:
            return
        self._block += data
        self._place = place
        await self._tell()
        # Polled: room is made by any spool, and by whoever takes the block.
        while len(self._block) >= BLOCK_BYTES and not self.room.has(  # noqa: ASYNC110
            len(self._block), held=self._held
        ):
            await asyncio.sleep(_LOOK_SECONDS)
        if len(self._block) >= BLOCK_BYTES:
            self._set_block_aside()

    def _set_block_aside(self) -> None:
        last = self._segments[-1] if self._segments else None
        fits = last and not last.is_closed and last.size + len(self._block) <= SEGMENT_BYTES
        segment = last if last and fits else Segment()
        self._set_aside(segment, self._block, self._place)
        # Not before: without room on disk it is shipped from memory.
        self._block = bytearray()
        if segment is not last:
            self._segments.append(segment)

    def _set_aside(self, segment: Segment, block: bytes | bytearray, place: str) -> None:
        segment.add(block, place)
        self._held += len(block)
        self.room.left -= len(block)

    def _settle(self) -> None:
        taken, self._taken = self._taken, None
        if isinstance(taken, Segment):
            self._drop(taken)

    def _drop(self, segment: Segment) -> None:
        self._held -= segment.size
        self.room.left += segment.size
        segment.close()

    async def _tell(self) -> None:
        async with self._changed:
            self._changed.notify_all()
