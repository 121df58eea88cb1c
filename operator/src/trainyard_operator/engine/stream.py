"""An answer that comes bit by bit: a watch, the log of a pod."""

import asyncio
import socket
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

from trainyard_operator.engine.connection import Answer, Connection

_HELD = 256 << 10
"""Bytes that wait for who reads; then the server waits."""

_ALIVE = {"TCP_KEEPIDLE": 30, "TCP_KEEPINTVL": 10, "TCP_KEEPCNT": 3, "TCP_USER_TIMEOUT": 60_000}
"""After how many seconds, asked how often, and a request after how many milliseconds, a machine
that is gone without a word is given up: what is followed may be silent for hours."""


class Streamed(Connection):
    """Gives the head of an answer first, and its body as it comes."""

    def __init__(self) -> None:
        super().__init__()
        self.is_over = True
        self._held = 0
        self._broken: ConnectionError | None = None
        self._more: asyncio.Future[None] | None = None

    @property
    def is_awaited(self) -> bool:
        return not self.is_over

    @property
    def is_spent(self) -> bool:
        """Tell whether all of the answer was read: else its rest might hold up the next one's."""
        return self.is_over and not self._body

    async def ask(self, sent: bytes, *, bodiless: bool = False) -> Answer:
        self.is_over, self._broken, self._held = False, None, 0
        return await super().ask(sent, bodiless=bodiless)

    async def readany(self, patience: float | None) -> bytes:
        """Return what has come, as soon as anything has; nothing at the end.

        Raises:
            OSError: The answer is cut short, or nothing came for so long (TimeoutError).
        """
        while not self._body:
            if self._broken is not None:
                raise self._broken
            if self.is_over:
                return b""
            self._more = asyncio.get_running_loop().create_future()
            async with asyncio.timeout(patience):
                await self._more
        data = self._body[0] if len(self._body) == 1 else b"".join(self._body)
        self._body.clear()
        if self._held > _HELD and self._transport is not None:
            self._transport.resume_reading()
        self._held = 0
        return data

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        opened = transport.get_extra_info("socket")
        with suppress(OSError):  # a system that has not all of it
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            for name, value in _ALIVE.items():
                if option := getattr(socket, name, None):
                    opened.setsockopt(socket.IPPROTO_TCP, option, value)

    def connection_lost(self, exc: Exception | None) -> None:
        if exc is None and self._waiting is None and not self._tells_its_end():
            self.is_over = True
            self._wake()
        super().connection_lost(exc)

    def on_headers_complete(self) -> None:
        status = self._parser.get_status_code()
        if status >= 200:
            self._give(Answer(status, self._headers, b""))

    def on_body(self, body: bytes) -> None:
        if self.is_over:
            return  # of an answer that nobody asked for
        super().on_body(body)
        before, self._held = self._held, self._held + len(body)
        if before <= _HELD < self._held and self._transport is not None:
            self._transport.pause_reading()
        self._wake()

    def _done(self, *, goes_on: bool) -> None:
        self.is_over = True
        self._wake()
        if not goes_on:
            self.close()

    def _fail(self, exc: ConnectionError) -> None:
        super()._fail(exc)
        if not self.is_over:
            self.is_over, self._broken = True, exc
        self._wake()

    def _tells_its_end(self) -> bool:
        return not self._headers.keys().isdisjoint({"content-length", "transfer-encoding"})

    def _wake(self) -> None:
        if self._more is not None and not self._more.done():
            self._more.set_result(None)


@dataclass(frozen=True, slots=True)
class Stream:
    """An answer whose head is there.

    Attributes:
        headers: By name, in lower case.
        patience: Seconds without a byte after which it is given up; None for never.
    """

    status: int
    headers: Mapping[str, str]
    patience: float | None
    _connection: Streamed

    async def readany(self) -> bytes:
        """Return what has come, as soon as anything has; nothing at the end.

        Raises:
            OSError: The answer is cut short, or nothing came for so long (TimeoutError).
        """
        return await self._connection.readany(self.patience)

    async def beginning(self, size: int) -> bytes:
        """Return at least so many bytes, or all if it has less.

        Raises:
            OSError: As `readany`.
        """
        read = b""
        while len(read) < size and (data := await self.readany()):
            read += data
        return read
