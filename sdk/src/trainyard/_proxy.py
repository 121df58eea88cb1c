"""A local door to the tracking service, for browsers and unmodified MLflow clients.

Listens on 127.0.0.1 only and adds the login and the workspace to every request,
so it answers nobody that a web page of another origin sent.
"""

from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BufferedIOBase
from typing import Any
from urllib.parse import urlsplit

import httpx
from trainyard_api.contract import AUTHORIZATION_HEADER, WORKSPACE_HEADER

from trainyard._tracking import Tracking
from trainyard.errors import InvalidInput, TrainyardError

_BLOCK = 64 * 1024
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

    def __init__(self, tracking: Tracking, *, port: int, namespace: str) -> None:
        """Bind the port (0 takes a free one).

        Raises:
            InvalidInput: the port is taken.
        """
        self.tracking = tracking
        self.namespace = namespace
        try:
            super().__init__(("127.0.0.1", port), _Handler)
        except OSError as exc:
            raise InvalidInput(
                f"Port {port} of this machine is taken ({exc.strerror})",
                fix="Choose another: trainyard proxy --port 5001 (on macOS AirPlay uses 5000)",
            ) from exc

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: TrackingProxy

    def forward(self) -> None:
        """Pass the request on and the answer back, both piece by piece."""
        self._answering = False
        if not self._is_local():
            self._refuse(403, "This door is for programs and pages of this machine only")
            return
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
        except (httpx.TransportError, TrainyardError) as exc:
            if self._answering:
                self.close_connection = True
                return
            self._refuse(502, f"The tracking service does not answer: {exc}")

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
        # The API server prefixes absolute links in HTML with its own path to the service.
        return self.path.removeprefix(self.server.tracking.base) or "/"

    def _headers(self) -> list[tuple[str, str]]:
        passed = [(k, v) for k, v in self.headers.items() if k.lower() not in _NOT_FORWARDED]
        names = {name.lower() for name, _ in passed}
        added = dict(self.server.tracking.headers())
        if WORKSPACE_HEADER.lower() not in names:
            added[WORKSPACE_HEADER] = self.server.namespace
        if "accept-encoding" not in names:
            added["Accept-Encoding"] = "identity"
        return [*passed, *added.items()]

    def _body(self) -> Iterator[bytes] | None:
        if "chunked" in self.headers.get("Transfer-Encoding", "").lower():
            return _chunks(self.rfile)
        length = int(self.headers.get("Content-Length") or 0)
        return _blocks(self.rfile, length) if length else None

    def _answer(self, answer: httpx.Response) -> None:
        self._answering = True
        self.send_response_only(answer.status_code, answer.reason_phrase)
        for name, value in answer.headers.multi_items():
            if name.lower() == "location":
                value = value.removeprefix(self.server.tracking.base) or "/"  # noqa: PLW2901  # the same header, made local
            if name.lower() not in _NOT_FORWARDED:
                self.send_header(name, value)
        bare = self.command == "HEAD" or answer.status_code in {204, 304}
        chunked = "content-length" not in answer.headers and not bare
        if chunked:
            self.send_header("Transfer-Encoding", "chunked")
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
        self.wfile.write(body)


def _blocks(body: BufferedIOBase, length: int) -> Iterator[bytes]:
    while length > 0 and (block := body.read(min(_BLOCK, length))):
        length -= len(block)
        yield block


def _chunks(body: BufferedIOBase) -> Iterator[bytes]:
    while size := int(body.readline().partition(b";")[0].strip() or b"0", 16):
        yield from _blocks(body, size)
        body.readline()
    while body.readline().strip():
        """Trailers have no meaning here."""
