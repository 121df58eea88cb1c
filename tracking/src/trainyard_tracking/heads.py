"""Bounds for what comes before a request is one: heads, connections, and the time for both.

uvicorn's protocol takes headers of any number, length and slowness, and memory for them before
anybody is asked who calls. Requests themselves are bounded behind it (auth/reading.py).
"""

import asyncio
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, ClassVar

from trainyard_api.listening import written
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from trainyard_tracking.peers import Waiting

_LINE_BYTES = 256
"""What a header takes beside its bytes."""
_PLAIN_BYTES = 8 << 10
"""A head up to here always has room, or a probe would have none."""

_LINGER_SECONDS = 2.0
_READ_BYTES = 64 << 10
"""What a client that reads takes meanwhile, at least."""


@dataclass(slots=True)
class Heads:
    """What heads may take, one by one and together, and what they take.

    Attributes:
        one: Bytes of one head, trailers included; of all, what headers take beside them counts too.
        seconds: From a connection's begin, or a head's, to the head's end.
        pipelined: Requests that a connection sends before it has the answer.
        unread_seconds: How long a client may read next to nothing of its answers.
        waiting: Connections without a request, or whose client reads nothing, or that are closing;
            one of them ends where a new one has no place.
    """

    one: int = 64 << 10
    lines: int = 256
    all: int = 64 << 20
    connections: int = 8192
    seconds: float = 30.0
    pipelined: int = 32
    unread_seconds: float = 60.0
    held: int = 0
    waiting: Waiting = field(default_factory=Waiting)


def address_of(transport: asyncio.BaseTransport) -> str:
    """Return from where a connection comes, without its port."""
    peer = transport.get_extra_info("peername")
    return written(str(peer[0])) if peer else ""


class BoundedProtocol(HttpToolsProtocol):
    """One connection, of which only whole heads of bounded size reach the application."""

    heads: ClassVar[Heads] = Heads()

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self._in_head = True
        self._in_trailers = self._refused = False
        self._pieces = self._complete = 0
        self._raw = self._told = self._lines = 0
        self._counted = self._held = 0
        self._timer: asyncio.TimerHandle | None = None
        self._unread: asyncio.TimerHandle | None = None
        self.address = ""

    # The event loop calls these.

    def connection_made(self, transport: Any) -> None:
        if len(self.connections) >= self.heads.connections and not self.heads.waiting.make_room():
            self._refused = True
            self.transport = transport
            transport.abort()
            return
        super().connection_made(transport)
        self.address = address_of(transport)
        if self.client:  # as lists of trusted proxies write it
            self.client = self.address, self.client[1]
        self.heads.waiting.add(self)
        self._expect()

    def connection_lost(self, exc: Exception | None) -> None:
        self._refused = True
        self._unexpect()
        self._follow(None)
        self.heads.waiting.discard(self)
        self.heads.held -= self._held
        self._held = self._counted = 0
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._refused:
            return
        pieces, complete = self._pieces, self._complete
        super().data_received(data)
        if self._refused or self.transport.is_closing():
            return
        if not self._is_answering():
            self._expect()
        is_head = self._in_head and complete == self._complete
        if is_head or (self._in_trailers and pieces == self._pieces):
            # Of a line that is not complete the parser tells nothing.
            self._raw += len(data)
            self._count()

    def pause_writing(self) -> None:
        super().pause_writing()
        self.heads.waiting.add(self)
        self._follow(self._unsent())

    def resume_writing(self) -> None:
        self._follow(None)
        if self._is_answering() and not self.transport.is_closing():
            self.heads.waiting.discard(self)
        super().resume_writing()

    # The parser calls these.

    def on_message_begin(self) -> None:
        self._in_head = True
        self._raw = self._told = self._lines = self._counted = 0
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        if not self._refused:
            self._told += len(url)
            super().on_url(url)
            self._count()

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._refused:
            self._pieces += 1
            self._lines += 1
            self._told += len(name) + len(value)
            super().on_header(name, value)
            self._count()

    def on_headers_complete(self) -> None:
        self._in_head = False
        if self._refused:
            return
        if len(self.pipeline) >= self.heads.pipelined:
            self._refuse(HTTPStatus.TOO_MANY_REQUESTS, "Wait for answers before you ask on")
            return
        self._unexpect()
        self.heads.waiting.discard(self)
        super().on_headers_complete()

    def on_chunk_header(self) -> None:
        """Begin a chunk; the one without a body is the last, and trailers may follow it."""
        self._pieces += 1
        self._in_trailers = True

    def on_body(self, body: bytes) -> None:
        self._pieces += 1
        self._in_trailers = False
        if not self._refused:
            super().on_body(body)

    def on_message_complete(self) -> None:
        self._complete += 1
        self._in_trailers = False
        self._raw = self._told = 0  # a head that comes too late is no part of this one
        if not self._refused:
            super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        if self._refused:
            return
        if self._is_answering():
            self._refuse(HTTPStatus.BAD_REQUEST, msg)
            return
        super().send_400_response(msg)
        self.heads.waiting.add(self)

    # The answer calls this.

    def on_response_complete(self) -> None:
        if not self.pipeline:
            kept = self._counted if self._in_head else 0
            self.heads.held -= self._held - kept
            self._held = self._counted = kept
            self.heads.waiting.add(self)
        super().on_response_complete()

    def abort(self) -> None:
        """End it at once; its place is free from now on."""
        self.connections.discard(self)
        self.transport.abort()

    def _count(self) -> None:
        heads = self.heads
        size = max(self._told, self._raw)
        if size > heads.one or self._lines > heads.lines:
            most = f"{heads.one} bytes or {heads.lines} lines"
            self._refuse(
                HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, f"The headers have more than {most}"
            )
            return
        more = size + self._lines * _LINE_BYTES - self._counted
        if self._held + more > _PLAIN_BYTES and heads.held + more > heads.all:
            self._refuse(HTTPStatus.SERVICE_UNAVAILABLE, "Headers of others fill the memory")
            return
        self._counted += more
        self._held += more
        heads.held += more

    def _unsent(self) -> int:
        size: int = self.transport.get_write_buffer_size()
        return size

    def _follow(self, unsent: int | None) -> None:
        """Look in a while whether the client has read on; None: no more."""
        if self._unread is not None:
            self._unread.cancel()
            self._unread = None
        if unsent is not None:
            self._unread = self.loop.call_later(self.heads.unread_seconds, self._look, unsent)

    def _look(self, before: int) -> None:
        if (unsent := self._unsent()) > before - _READ_BYTES:
            self.abort()
        else:
            self._follow(unsent)

    def _is_answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _expect(self) -> None:
        """Give the head that is to come its time, which what else comes does not prolong."""
        if self._timer is None:
            self._timer = self.loop.call_later(self.heads.seconds, self._late)

    def _unexpect(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _late(self) -> None:
        self._timer = None
        if not (self._told or self._raw):
            self.transport.close()
        elif not self._is_answering():
            told = f"The headers did not arrive within {self.heads.seconds:g} s"
            self._refuse(HTTPStatus.REQUEST_TIMEOUT, told)

    def _refuse(self, status: HTTPStatus, message: str) -> None:
        """Answer and close; between the bytes of another answer there is no place for one."""
        self._refused = True
        self._unexpect()
        self.headers, self.url = [], b""
        # By TLS it is open until its client says good-bye.
        self.heads.waiting.add(self)
        if self._is_answering():
            self.transport.close()
            return
        content = message.encode()
        head = f"HTTP/1.1 {status} {status.phrase}\r\nContent-Type: text/plain\r\n"
        if status == HTTPStatus.SERVICE_UNAVAILABLE:
            head += "Retry-After: 10\r\n"
        head += f"Content-Length: {len(content)}\r\nConnection: close\r\n\r\n"
        self.transport.write(head.encode() + content)
        # Closed at once, while the client sends on, its kernel would throw the answer away.
        if self.transport.can_write_eof():  # TLS knows no half of a connection
            self.transport.write_eof()
        self._timer = self.loop.call_later(_LINGER_SECONDS, self.transport.close)
