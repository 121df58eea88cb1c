"""A local door to the tracking service, for browsers and unmodified MLflow clients.

Listens on 127.0.0.1 only and adds the login and the workspace to every request,
so it answers nobody that a web page of another origin sent, and, where the machine
tells whose a connection is, no other user of it.
"""

import errno
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BufferedIOBase
from typing import Any
from urllib.parse import quote, urlsplit

import httpx
from trainyard_api.contract import AUTHORIZATION_HEADER, WORKSPACE_HEADER

from trainyard import _peers
from trainyard._tracking import Tracking
from trainyard.errors import InvalidInput, TrainyardError

_BLOCK = 64 * 1024
_IDLE_SECONDS = 600
_NOT_YOURS = (
    "This door is another user's of this machine; who opened it can share it:"
    " trainyard proxy --shared"
)
_ASCII = bytes(range(0x21, 0x7F)).decode()
_LOCAL = {"127.0.0.1", "localhost", "::1"}
# Of one connection only, made anew for the next one; or the caller's own login.
_NOT_FORWARDED = {
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "host",
    "origin",
    "referer",
    "authorization",
    "expect",
    AUTHORIZATION_HEADER.lower(),
}


class TrackingProxy(ThreadingHTTPServer):
    """The server; each connection has a thread."""

    daemon_threads = True

    def __init__(
        self, tracking: Tracking, *, port: int, namespace: str, shared: bool = False
    ) -> None:
        """Bind the port (0 takes a free one).

        Args:
            shared: answer every user of this machine.

        Raises:
            InvalidInput: the port is taken.
        """
        self.tracking = tracking
        self.namespace = namespace
        self.is_private = _peers.tells() and not shared
        try:
            super().__init__(("127.0.0.1", port), _Handler)
        except OSError as exc:
            raise _not_opened(port, exc) from exc

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.server_address[1]}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of a browser that went away, and a line of what is worse."""
        error = sys.exception() if sys.version_info >= (3, 12) else sys.exc_info()[1]
        if not isinstance(error, OSError):
            sys.stderr.write(f"A request failed: {type(error).__name__}: {error}\n")


def _not_opened(port: int, error: OSError) -> InvalidInput:
    if error.errno == errno.EADDRINUSE:
        return InvalidInput(
            f"Port {port} of this machine is taken ({error.strerror})",
            fix="Choose another, such as --port 5001 (on macOS AirPlay uses 5000), or --port 0",
        )
    return InvalidInput(
        f"Port {port} of this machine cannot be opened ({error.strerror})",
        fix="Choose one above 1023, such as --port 5001, or --port 0 for any",
    )


class _BadRequest(Exception):  # noqa: N818  # said to the client, not raised to anybody
    """The client sent what is no HTTP request."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = _IDLE_SECONDS
    server: TrackingProxy

    def setup(self) -> None:
        super().setup()
        here = self.connection.getsockname()
        self._is_ours = not self.server.is_private or _peers.is_own(self.client_address, here)

    def forward(self) -> None:
        """Pass the request on and the answer back, both piece by piece."""
        self._answering = False
        if not self._is_ours:
            self._refuse(403, _NOT_YOURS)
        elif not self._is_local():
            self._refuse(403, "This door is for programs and pages of this machine only")
        else:
            self._exchange()

    def _exchange(self) -> None:
        try:
            with self.server.tracking.http.stream(
                self.command,
                self.server.tracking.base + self._path(),
                headers=self._headers(),
                content=self._body(),
                timeout=httpx.Timeout(None, connect=10),
                extensions=self.server.tracking.extensions,
            ) as answer:
                self._answer(answer)
        except (_BadRequest, httpx.LocalProtocolError, httpx.InvalidURL) as exc:
            self._give_up(400, f"This is no HTTP request that can be passed on: {exc}")
        except (httpx.TransportError, TrainyardError) as exc:
            self._give_up(502, f"The tracking service does not answer: {exc}")

    def _give_up(self, status: int, message: str) -> None:
        self.close_connection = True
        if not self._answering:
            self._refuse(status, message)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = forward  # noqa: N815  # http.server requires these names.

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # the base class's name
        """Say nothing: the terminal belongs to the user."""

    def _is_local(self) -> bool:
        """Guard against pages elsewhere that make a browser call us (and DNS rebinding)."""
        hosts = [f"//{self.headers.get('Host', '')}"]
        if origin := self.headers.get("Origin"):
            hosts.append(origin)
        return all(urlsplit(host).hostname in _LOCAL for host in hosts)

    def _path(self) -> str:
        path = self.path
        if not path.startswith("/"):  # as to a proxy: the whole address
            parts = urlsplit(path)
            if not parts.netloc:
                raise _BadRequest(f"{path!r} is no path")
            path = f"{parts.path or '/'}{'?' + parts.query if parts.query else ''}"
        # The API server prefixes absolute links in HTML with its own path to the service.
        path = path.removeprefix(self.server.tracking.base) or "/"
        return quote(path.encode("latin-1"), safe=_ASCII)

    def _headers(self) -> list[tuple[bytes, bytes]]:
        passed = [(k, v) for k, v in self.headers.items() if k.lower() not in _NOT_FORWARDED]
        names = {name.lower() for name, _ in passed}
        added = dict(self.server.tracking.headers())
        if WORKSPACE_HEADER.lower() not in names:
            added[WORKSPACE_HEADER] = self.server.namespace
        if "accept-encoding" not in names:
            added["Accept-Encoding"] = "identity"
        # As bytes: what is not ASCII is the service's to judge.
        sent = [*passed, *added.items()]
        return [(name.encode("latin-1"), str(value).encode("latin-1")) for name, value in sent]

    def _body(self) -> Iterator[bytes] | None:
        lengths = self.headers.get_all("Content-Length") or []
        if encoding := self.headers.get("Transfer-Encoding", "").strip().lower():
            if encoding != "chunked" or lengths:
                raise _BadRequest(f"Transfer-Encoding {encoding!r} with {len(lengths)} lengths")
            return _chunks(self.rfile)
        if not lengths:
            return None
        if len(set(lengths)) > 1 or not (lengths[0].isascii() and lengths[0].isdigit()):
            raise _BadRequest(f"Content-Length {', '.join(lengths)!r} is no number of bytes")
        length = int(lengths[0])
        return _blocks(self.rfile, length) if length else None

    def _answer(self, answer: httpx.Response) -> None:
        self._answering = True
        self.send_response_only(answer.status_code, answer.reason_phrase)
        for raw_name, raw_value in answer.headers.raw:
            name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1")
            if name.lower() == "location":
                value = value.removeprefix(self.server.tracking.base) or "/"
            if name.lower() not in _NOT_FORWARDED:
                self.send_header(name, value)
        bare = self.command == "HEAD" or answer.status_code in {204, 304}
        unsized = "content-length" not in answer.headers and not bare
        chunked = unsized and self.request_version != "HTTP/1.0"
        if chunked:
            self.send_header("Transfer-Encoding", "chunked")
        elif unsized:  # HTTP/1.0 knows the end by the end of the connection
            self.close_connection = True
        self.end_headers()
        for block in filter(None, () if bare else answer.iter_raw()):
            self.wfile.write(b"%x\r\n%s\r\n" % (len(block), block) if chunked else block)
            self.wfile.flush()
        if chunked:
            self.wfile.write(b"0\r\n\r\n")

    def _refuse(self, status: int, message: str) -> None:
        body = f"{message}\n".encode()
        self.close_connection = True
        self.send_response_only(status)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


def _blocks(body: BufferedIOBase, length: int) -> Iterator[bytes]:
    while length > 0:
        if not (block := body.read(min(_BLOCK, length))):
            raise _BadRequest(f"{length} bytes of the body are missing")
        length -= len(block)
        yield block


def _chunks(body: BufferedIOBase) -> Iterator[bytes]:
    while size := _chunk_size(body.readline(_BLOCK)):
        yield from _blocks(body, size)
        if body.readline(3).strip():
            raise _BadRequest("a chunk is longer than it says")
    while body.readline(_BLOCK).strip():
        """Trailers have no meaning here."""


def _chunk_size(line: bytes) -> int:
    text = line.partition(b";")[0].strip()
    if not text or text.strip(b"0123456789abcdefABCDEF"):
        raise _BadRequest(f"{line[:20]!r} is no length of a chunk")
    return int(text, 16)
