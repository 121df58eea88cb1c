"""One client connection: bytes in, requests out, answers back in the order of the requests.

    reading ──request complete──► routed ──answered──► written (in order)
       │ malformed, too large, too slow                     │ close
       └────────────► error answer ──► lingering ◄──────────┘ ──► closed

Lingering means: our side is shut, and what the client still sends is read and dropped for a
moment. Closing at once would make the kernel reset the connection and lose the answer.
"""

import asyncio
from collections import deque
from time import monotonic
from typing import Final, cast
from urllib.parse import unquote, urlsplit

import httptools

from trainyard_serving.settings import MAX_BODY_BYTES_ENV
from trainyard_serving.web.answers import Answer, Request, problem
from trainyard_serving.web.shared import Shared

_CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
_LINGER_SECONDS: Final = 2.0


class _Slot:
    """A request's place in the order of answers."""

    __slots__ = ("answer", "close", "head", "old")

    def __init__(self, *, head: bool, close: bool, old: bool) -> None:
        self.head = head
        self.close = close
        self.old = old
        self.answer: Answer | None = None


class Connection(asyncio.Protocol):
    """The callbacks of one connection, for the event loop and for the parser."""

    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        self._limits = shared.limits
        self._parser = httptools.HttpRequestParser(self)
        self._slots: deque[_Slot] = deque()
        self._deaf = False
        self._lingering = False
        self._blocked = False
        self._paused = False
        self._complete = 0
        self._writing_since: float | None = None
        self._active_since: float | None = None
        self._idle_since = monotonic()
        self._reset()

    def _reset(self) -> None:
        self._url = b""
        self._headers: dict[bytes, bytes] = {}
        self._header_bytes = 0
        self._raw_head_bytes = 0
        self._body: list[bytes] = []
        self._body_bytes = 0
        self._in_head = True
        self._upgraded = False

    # The event loop calls these.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._shared.connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._deaf = self._lingering = True
        self._shared.connections.discard(self)
        self._slots.clear()

    def eof_received(self) -> bool:
        """Keep our side open for answers that are still to be written."""
        if self._lingering or not self._slots:
            return False
        self._slots[-1].close = True
        return True

    def data_received(self, data: bytes) -> None:
        complete, rest = self._complete, data
        while rest and not self._deaf:
            rest = self._fed(rest)
        if self._in_head and self._active_since is not None and complete == self._complete:
            # Of a header line that is not complete the parser tells nothing.
            self._raw_head_bytes += len(data)
            self._check_head()

    def _fed(self, data: bytes) -> bytes:
        """Parse; return what has to be parsed again."""
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            return self._without_upgrade(data[upgrade.args[0] :])
        except httptools.HttpParserError as exc:
            self._fail(400, f"the request is not HTTP/1.1: {exc}")
        return b""

    def _without_upgrade(self, rest: bytes) -> bytes:
        """Return the request as if it had not asked for another protocol.

        Java's client asks for HTTP/2 in every plain request; RFC 9110 lets us ignore it.
        """
        method = self._parser.get_method()
        if method == b"CONNECT":
            self._fail(405, "CONNECT is not served here")
            return b""
        dropped = (b"upgrade", b"connection", b"http2-settings")
        lines = [method + b" " + self._url + b" HTTP/1.1"]
        lines += [k + b": " + v for k, v in self._headers.items() if k not in dropped]
        self._parser = httptools.HttpRequestParser(self)
        return b"\r\n".join(lines) + b"\r\n\r\n" + rest

    def pause_writing(self) -> None:
        self._blocked = True
        self._writing_since = monotonic()
        self._flow()

    def resume_writing(self) -> None:
        self._blocked = False
        self._writing_since = None
        self._flow()

    # The parser calls these.

    def on_message_begin(self) -> None:
        self._reset()
        self._active_since = monotonic()

    def on_url(self, url: bytes) -> None:
        self._url += url
        self._header_bytes += len(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers[name.lower()] = value
        self._header_bytes += len(name) + len(value) + 4

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._upgraded = self._parser.should_upgrade()
        self._check_head()
        length = self._headers.get(b"content-length", b"0")
        if length.isdigit() and int(length[:20]) > self._limits.body_bytes:
            self._too_large()
        elif self._headers.get(b"expect", b"").lower() == b"100-continue" and not self._slots:
            self._write(_CONTINUE)

    def on_body(self, body: bytes) -> None:
        self._body_bytes += len(body)
        if self._body_bytes > self._limits.body_bytes:
            self._too_large()
        elif not self._deaf:
            self._body.append(body)

    def on_message_complete(self) -> None:
        if self._deaf or self._upgraded:
            return
        method = self._parser.get_method().decode("ascii")
        old = self._parser.get_http_version() == "1.0"
        slot = _Slot(head=method == "HEAD", close=not self._parser.should_keep_alive(), old=old)
        body = self._body[0] if len(self._body) == 1 else b"".join(self._body)
        request = Request(method, _path(self._url), self._headers, body)
        self._active_since = None
        self._complete += 1
        self._deaf = slot.close
        self._reset()
        self._accept(slot, request)

    # Between the two.

    def _accept(self, slot: _Slot, request: Request) -> None:
        self._slots.append(slot)
        self._shared.inflight += 1
        self._flow()
        self._shared.route(request, lambda answer: self._answer(slot, answer))

    def _answer(self, slot: _Slot, answer: Answer) -> None:
        if slot.answer is not None:
            return
        slot.answer = answer
        self._shared.inflight -= 1
        self._flush()

    def _flush(self) -> None:
        """Write the answers that are next in order."""
        slots = self._slots
        while slots and slots[0].answer is not None and not self._transport.is_closing():
            slot = slots.popleft()
            close = slot.close or (self._shared.draining and not slots)
            assert slot.answer is not None  # noqa: S101  # for the type checker, see the condition
            self._write(slot.answer.encoded(head=slot.head, close=close, old=slot.old))
            if close:
                self._linger()
                return
        self._idle_since = monotonic()
        self._flow()

    def _flow(self) -> None:
        """Stop reading while the client is behind with reading, or far ahead with asking."""
        wanted = self._blocked or len(self._slots) >= self._limits.pipelined
        if wanted == self._paused or self._transport.is_closing():
            return
        self._paused = wanted
        if wanted:
            self._transport.pause_reading()
        else:
            self._transport.resume_reading()

    def _write(self, data: bytes) -> None:
        if not self._transport.is_closing():
            self._transport.write(data)

    def _check_head(self) -> None:
        if max(self._header_bytes, self._raw_head_bytes) > self._limits.header_bytes:
            self._fail(431, f"the headers are larger than {self._limits.header_bytes} bytes")

    def _too_large(self) -> None:
        limit = self._limits.body_bytes
        self._fail(
            413,
            f"the body is larger than {limit} bytes: send fewer rows in a request, or serve with"
            f" an image that sets {MAX_BODY_BYTES_ENV}",
        )

    def _fail(self, status: int, message: str) -> None:
        """Answer a request that can't be read to its end, after those before it."""
        if self._deaf:
            return
        self._deaf = True
        self._active_since = None
        self._body = []
        slot = _Slot(head=False, close=True, old=False)
        self._slots.append(slot)
        self._shared.inflight += 1
        self._shared.failed(status)
        self._answer(slot, problem(status, message))

    def _linger(self) -> None:
        self._deaf = self._lingering = True
        self._slots.clear()
        self._idle_since = monotonic()
        self._flow()
        if self._transport.can_write_eof():
            self._transport.write_eof()

    # The sweep calls these.

    def check(self, now: float) -> None:
        """End this connection if the client is too slow, or gone quiet."""
        limits = self._limits
        if self._lingering:
            if now - self._idle_since > _LINGER_SECONDS:
                self._transport.abort()
        elif self._writing_since is not None and now - self._writing_since > limits.write_seconds:
            self._transport.abort()
        elif self._active_since is not None and now - self._active_since > limits.request_seconds:
            self._fail(408, f"the request did not arrive within {limits.request_seconds:g} s")
        elif self._is_idle() and now - self._idle_since > limits.idle_seconds:
            self._transport.close()

    def close_if_idle(self) -> None:
        """Close if no request is under way."""
        if self._is_idle() and not self._lingering:
            self._transport.close()

    def _is_idle(self) -> bool:
        return not self._slots and self._active_since is None


def _path(url: bytes) -> str:
    """Return the decoded path of a request target, which may be a whole URL."""
    path = url.split(b"?", 1)[0].decode("latin-1")
    if not path.startswith("/"):
        try:
            path = urlsplit(path).path
        except ValueError:
            return path
    return unquote(path) if "%" in path else path
