"""One client connection: bytes in, requests out, answers back in the order of the requests.

    reading ──request complete──► routed ──answered──► written (in order)
       │ malformed, too large, too slow                     │ close
       └────────────► error answer ──► lingering ◄──────────┘ ──► closed

Lingering means: our side is shut, and what the client still sends is read and dropped for a
moment, once it has the whole answer. Closing at once would make the kernel reset the connection
and lose the answer.
"""

import asyncio
import fcntl
import termios
from collections import deque
from contextlib import suppress
from time import monotonic
from typing import Final, cast

import httptools
from trainyard_api.serving import MAX_BODY_BYTES_ENV

from trainyard_serving.web.answers import AGAIN_SOON, Answer, Request, path_of, problem
from trainyard_serving.web.shared import Shared

_CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
_LINGER_SECONDS: Final = 2.0
_CROWDED_SECONDS: Final = 5.0
_LINE_BYTES: Final = 256
"""What a header line takes beside its bytes."""
_PLAIN_HEAD_BYTES: Final = 8 << 10
"""A head up to here always has room, or a probe would have none: connections have a bound."""


class _Slot:
    """A request's place in the order of answers."""

    __slots__ = ("answer", "close", "head", "held", "old")

    def __init__(self, *, head: bool, close: bool, old: bool, held: int = 0) -> None:
        self.head = head
        self.close = close
        self.old = old
        self.held = held
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
        self._unsent = 0
        self._read_last = self._read_by = 0.0
        self._crowded = self._half_closed = False
        self._patience = shared.limits.request_seconds
        self.gone = False
        self._body_bytes = self._head_held = 0
        self._active_since: float | None = None
        self._idle_since = monotonic()
        self._reset()

    def _reset(self) -> None:
        self._shared.held -= self._head_held
        self._head_held = 0
        self._url = b""
        self._headers: dict[bytes, bytes] = {}
        self._header_bytes = 0
        self._raw_head_bytes = 0
        self._body: bytes | bytearray = b""
        self._in_head = True
        self._after_chunks = False
        self._pieces = 0
        self._upgraded = False

    # The event loop calls these.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        if self._shared.full:
            self._transport.abort()
            return
        self._crowded = self._shared.crowded
        if self._crowded:
            self._patience = min(self._patience, _CROWDED_SECONDS)
        self._shared.connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._deaf = self._lingering = self.gone = True
        shared = self._shared
        shared.connections.discard(self)
        # What is still to be answered gives its bytes back when that happens.
        shared.held -= sum(slot.held for slot in self._slots if slot.answer is not None)
        shared.held -= self._unsent
        self._unsent = 0
        self._slots.clear()
        self._drop_request()

    def eof_received(self) -> bool:
        """Keep our side open for answers that are still to be written."""
        if self._lingering or not self._slots:
            return False
        self._slots[-1].close = True
        self._half_closed = not self._slots[-1].old
        return True

    def data_received(self, data: bytes) -> None:
        complete, pieces, rest = self._complete, self._pieces, data
        while rest and not self._deaf:
            rest = self._fed(rest)
        if self._active_since is None or complete != self._complete:
            return
        if self._in_head or (self._after_chunks and pieces == self._pieces):
            # Of a header line, or a trailer's, that is not complete the parser tells nothing.
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
        self._note_unsent(monotonic())
        self._flow()

    def resume_writing(self) -> None:
        self._blocked = False
        self._note_unsent(monotonic())
        self._flow()

    # The parser calls these.

    def on_message_begin(self) -> None:
        self._reset()
        self._active_since = monotonic()

    def on_url(self, url: bytes) -> None:
        if not self._deaf:
            self._url += url
            self._header_bytes += len(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._deaf:
            return
        self._header_bytes += len(name) + len(value) + 4
        if self._in_head:  # of a trailer nothing is wanted here
            self._headers[name.lower()] = value
        self._check_head()

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._upgraded = self._parser.should_upgrade()
        self._check_head()
        length = self._headers.get(b"content-length", b"0")
        if length.isdigit() and int(length[:20]) > self._limits.body_bytes:
            self._too_large()
        elif self._crowded and self._parser.get_method() not in {b"GET", b"HEAD"}:
            self._fail(503, f"{self._limits.connections} connections are open: try again later")
        elif self._expects_continue():
            self._write(_CONTINUE)

    def _expects_continue(self) -> bool:
        # A request whose upgrade is ignored is parsed twice, and asked for its body once.
        return (
            not self._upgraded
            and not self._slots
            and self._headers.get(b"expect", b"").lower() == b"100-continue"
        )

    def on_chunk_header(self) -> None:
        """Begin a chunk; the one without a body is the last, and trailers may follow it."""
        self._pieces += 1
        self._after_chunks = True

    def on_body(self, body: bytes) -> None:
        if self._deaf:
            return
        self._pieces += 1
        self._after_chunks = False
        size = len(body)
        if self._body_bytes + size > self._limits.body_bytes:
            self._too_large()
            return
        shared = self._shared
        if not shared.has_room(size, body=self._body_bytes + size):
            self._fail(503, "requests of others fill the memory for them: try again later")
            return
        shared.held += size
        self._body_bytes += size
        if not self._body:
            self._body = body
            return
        if isinstance(self._body, bytes):  # one array: a list of many small pieces weighs more
            self._body = bytearray(self._body)
        self._body += body

    def on_message_complete(self) -> None:
        if self._deaf or self._upgraded:
            return
        method = self._parser.get_method().decode("ascii")
        old = self._parser.get_http_version() == "1.0"
        close = self._crowded or not self._parser.should_keep_alive()
        held = self._body_bytes + self._head_held
        slot = _Slot(head=method == "HEAD", close=close, old=old, held=held)
        request = Request(method, path_of(self._url), self._headers, bytes(self._body), self)
        self._body_bytes = self._head_held = 0  # the slot's now
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
        shared = self._shared
        shared.inflight -= 1
        size = 0 if self.gone else len(answer.body)
        shared.held += size - slot.held
        slot.held = size
        self._flush()

    def _flush(self) -> None:
        """Write the answers that are next in order."""
        slots = self._slots
        while slots and slots[0].answer is not None and not self._transport.is_closing():
            slot = slots.popleft()
            close = slot.close or (self._shared.draining and not slots)
            assert slot.answer is not None  # noqa: S101  # for the type checker, see the condition
            self._shared.held -= slot.held
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
            if self._blocked:
                self._note_unsent(monotonic())

    def _note_unsent(self, now: float) -> None:
        """Count what the client has not read yet, and until when it must have."""
        unsent, before = self._transport.get_write_buffer_size(), self._unsent
        if not before:
            self._read_by = now + self._limits.write_seconds
        if not before or unsent < before:
            self._read_last = now
        if unsent > before:
            self._read_by += (unsent - before) / self._limits.slowest_reader
        self._unsent = unsent
        self._shared.held += unsent - before

    def _check_head(self) -> None:
        """Count what is held of a head, and refuse what is too much of one, or of all."""
        limits, lines = self._limits, len(self._headers)
        size = max(self._header_bytes, self._raw_head_bytes)
        if size > limits.header_bytes:
            self._fail(431, f"the headers are larger than {limits.header_bytes} bytes")
        elif lines > limits.headers:
            self._fail(431, f"there are more than {limits.headers} headers")
        elif not self._deaf:
            size += lines * _LINE_BYTES
            more = size - self._head_held
            if size > _PLAIN_HEAD_BYTES and not self._shared.has_room(more, body=size):
                self._fail(503, "requests of others fill the memory for them: try again later")
                return
            self._shared.held += more
            self._head_held = size

    def _too_large(self) -> None:
        limit = self._limits.body_bytes
        self._fail(
            413,
            f"the body is larger than {limit} bytes: send fewer rows in a request, or raise"
            f" maxBodyBytes in the Deployment's spec ({MAX_BODY_BYTES_ENV} elsewhere)",
        )

    def _fail(self, status: int, message: str) -> None:
        """Answer a request that can't be read to its end, after those before it."""
        if self._deaf:
            return
        self._deaf = True
        self._active_since = None
        self._drop_request()
        slot = _Slot(head=False, close=True, old=False)
        self._slots.append(slot)
        self._shared.inflight += 1
        self._shared.failed(status)
        extra = AGAIN_SOON if status == 503 else b""
        self._answer(slot, problem(status, message, extra=extra))

    def _drop_request(self) -> None:
        self._shared.held -= self._body_bytes + self._head_held
        self._body, self._body_bytes, self._head_held = b"", 0, 0
        self._headers, self._url = {}, b""

    def _linger(self) -> None:
        self._deaf = self._lingering = True
        self._idle_since = now = monotonic()
        self._read_by = max(self._read_by, now + self._limits.write_seconds)
        self._flow()
        if self._transport.can_write_eof():
            self._transport.write_eof()

    # The sweep calls these.

    def check(self, now: float) -> None:
        """End this connection if the client is too slow, or gone quiet."""
        limits = self._limits
        self._note_unsent(now)
        if self._unsent:
            self._idle_since = now
            if now > self._read_by or now - self._read_last > limits.write_seconds:
                self._transport.abort()
        elif self._lingering:
            self._check_lingering(now)
        elif self._half_closed and self._slots:
            # A client that closed looks like one that only said all it has to say. Words that
            # mean nothing tell them apart: the first draws a reset, the second finds it.
            self._write(_CONTINUE)
        elif self._active_since is not None and now - self._active_since > self._patience:
            self._fail(408, f"the request did not arrive within {self._patience:g} s")
        elif self._is_idle() and now - self._idle_since > self._shared.idle_seconds:
            self._transport.close()

    def _check_lingering(self, now: float) -> None:
        """End this connection a moment after the client's kernel has the whole answer."""
        kept = bytearray(4)
        with suppress(OSError, ValueError):
            fcntl.ioctl(self._transport.get_extra_info("socket").fileno(), termios.TIOCOUTQ, kept)
        if any(kept) and now < self._read_by:  # a reset would lose it
            self._idle_since = now
        elif now - self._idle_since > _LINGER_SECONDS:
            self._transport.abort()

    def close_if_idle(self) -> None:
        """Close if no request is under way."""
        if self._is_idle() and not self._lingering:
            self._transport.close()

    def _is_idle(self) -> bool:
        return not self._slots and self._active_since is None
