"""A connection to an HTTP/1.1 server, with one request under way at a time (RFC 9112)."""

import asyncio
from collections.abc import Mapping
from typing import NamedTuple, cast

import httptools


class ClosedError(ConnectionResetError):
    """The server closed the connection before it began to answer."""


class Answer(NamedTuple):
    """What a server answered.

    Attributes:
        headers: By name, in lower case; of several of one name the last.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes


class Connection(asyncio.Protocol):
    """Writes a request as it is, and reads its answer."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._waiting: asyncio.Future[Answer] | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._bodiless = self._began = False
        self._headers: dict[str, str] = {}
        self._body: list[bytes] = []

    @property
    def is_open(self) -> bool:
        return self._transport is not None and not self._transport.is_closing()

    @property
    def is_awaited(self) -> bool:
        """Tell whether more of an answer is expected."""
        return self._waiting is not None

    async def ask(self, sent: bytes, *, bodiless: bool) -> Answer:
        """Send a request and wait for its answer; close the connection if this is interrupted.

        Args:
            bodiless: The answer to HEAD tells of a body that does not come.

        Raises:
            ClosedError: There is no byte of an answer.
            ConnectionError: It is cut short, or is no HTTP.
        """
        self._bodiless, self._began = bodiless, False
        self._headers, self._body = {}, []
        self._parser = httptools.HttpResponseParser(self)
        self._waiting = asyncio.get_running_loop().create_future()
        if self._transport is None or self._transport.is_closing():
            raise ClosedError("the connection is closed")
        self._transport.write(sent)
        return await self._waiting

    def close(self) -> None:
        self._waiting = None
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        if not self.is_awaited:
            self.close()  # an answer that nobody asked for
            return
        self._began = True
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as exc:
            self._fail(ConnectionError(f"the answer is no HTTP: {exc}"))
            self.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        why = f": {exc}" if exc else ""
        if self._began:
            self._fail(ConnectionError(f"the server closed the connection in its answer{why}"))
        else:
            self._fail(ClosedError(f"the server closed the connection without an answer{why}"))

    # What httptools calls.

    def on_message_begin(self) -> None:
        if not self.is_awaited:
            self.close()  # two answers for one request

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        if self._bodiless and self._parser.get_status_code() >= 200:
            self._done(goes_on=self._parser.should_keep_alive())

    def on_body(self, body: bytes) -> None:
        self._body.append(body)

    def on_message_complete(self) -> None:
        if self._parser.get_status_code() < 200:
            self._headers = {}  # an interim answer; the true one follows
        elif not self._bodiless:
            self._done(goes_on=self._parser.should_keep_alive())

    def _done(self, *, goes_on: bool) -> None:
        if self._waiting is None:
            return
        self._give(Answer(self._parser.get_status_code(), self._headers, b"".join(self._body)))
        self._headers, self._body = {}, []  # what follows it is not of this answer
        if not goes_on:
            self.close()

    def _give(self, answer: Answer) -> None:
        waiting, self._waiting = self._waiting, None
        if waiting is not None and not waiting.done():
            waiting.set_result(answer)

    def _fail(self, exc: ConnectionError) -> None:
        waiting, self._waiting = self._waiting, None
        if waiting is not None and not waiting.done():
            waiting.set_exception(exc)
