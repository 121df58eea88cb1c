"""What was read of a log and is not shipped yet.

A node skips a file of a log for a reader that is too far behind, so reading never waits for the
tracking service: whole blocks wait on disk, within the room that all spools share.
"""

import asyncio
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field
from tempfile import TemporaryFile
from typing import IO, Protocol

from trainyard_operator.logs.lines import Lines

BLOCK_BYTES = 4 << 20
BLOCK_SECONDS = 1.0
ROOM_BYTES = 512 << 20
_LOOK_SECONDS = 0.1


class Stream(Protocol):
    """A response's content: aiohttp.StreamReader, or a fake."""

    async def readany(self) -> bytes: ...


@dataclass(slots=True)
class Room:
    """Bytes on disk that are left for the spools of this process."""

    left: int = ROOM_BYTES


@dataclass(slots=True)
class Spool:
    """One log's output between the one who reads and the one who ships."""

    room: Room
    _waiting: deque[tuple[IO[bytes], int, str]] = field(default_factory=deque)
    _block: bytearray = field(default_factory=bytearray)
    _place: str = ""
    _is_over: bool = False
    _error: Exception | None = None
    _changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def fill(self, stream: Stream, lines: Lines) -> None:
        """Read a stream to its end."""
        try:
            while data := await stream.readany():
                await self._put(lines.feed(data), lines.place)
        except Exception as exc:  # noqa: BLE001  # raised where the log is shipped
            self._error = exc
        self._is_over = True
        await self._tell()

    async def take(self) -> tuple[bytes, str] | None:
        """Return a block and the place it ends at; None at the end.

        Waits for output, and then at most a second for a whole block.

        Raises:
            Exception: Whatever broke the stream, once all that came before has been taken.
        """
        async with self._changed:
            await self._changed.wait_for(lambda: self._has_whole or self._block)
            with suppress(TimeoutError):
                async with asyncio.timeout(BLOCK_SECONDS):
                    await self._changed.wait_for(lambda: self._has_whole)
        if self._waiting:
            return self._oldest()
        if self._block:
            block, self._block = self._block, bytearray()
            return bytes(block), self._place
        if self._error:
            raise self._error
        return None

    def close(self) -> None:
        """Let go of what was not taken."""
        while self._waiting:
            self._oldest()

    @property
    def _has_whole(self) -> bool:
        return bool(self._waiting) or len(self._block) >= BLOCK_BYTES or self._is_over

    async def _put(self, data: bytes, place: str) -> None:
        if not data:
            return
        self._block += data
        self._place = place
        await self._tell()
        # Polled: room is made by any spool, and by whoever takes the block.
        while len(self._block) >= BLOCK_BYTES and self.room.left < len(self._block):  # noqa: ASYNC110
            await asyncio.sleep(_LOOK_SECONDS)
        if len(self._block) >= BLOCK_BYTES:
            self._set_aside()

    def _set_aside(self) -> None:
        file = TemporaryFile()  # noqa: SIM115  # closed when it is taken
        file.write(self._block)
        self._waiting.append((file, len(self._block), self._place))
        self.room.left -= len(self._block)
        self._block = bytearray()

    def _oldest(self) -> tuple[bytes, str]:
        file, size, place = self._waiting.popleft()
        self.room.left += size
        with file:
            file.seek(0)
            return file.read(), place

    async def _tell(self) -> None:
        async with self._changed:
            self._changed.notify_all()
