"""One request, one answer, over connections that stay open: what is done all the time.

A general client spends most of a request on what is of no use here: cookies, redirects, content
codings, proxies, hooks. Streams, which are few and long, are aiohttp's.
"""

import asyncio
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote, urlencode, urlsplit

from trainyard_operator.engine.connection import Answer, ClosedError, Connection

_CONNECT = 5.0
# Servers and balancers close what was idle; a service at its defaults after 5 s, which it tells.
_IDLE = 15.0
_HARMLESS = frozenset({"GET", "HEAD"})


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked.

    Attributes:
        path: Unquoted, below the server's.
        patience: Seconds for all of it, the wait for a connection included.
    """

    method: str
    path: str
    patience: float
    headers: Mapping[str, str]
    params: Mapping[str, str] | None = None
    body: bytes | None = None


class Exchange:
    """A server, and up to *limit* connections to it.

    Args:
        server: Such as https://10.0.0.1:443; a path of it comes before each request's.
    """

    def __init__(self, server: str, context: ssl.SSLContext | None, *, limit: int) -> None:
        url = urlsplit(server)
        tls = url.scheme == "https"
        self._address = url.hostname or "", url.port or (443 if tls else 80)
        self._context = (context or ssl.create_default_context()) if tls else None
        self._host, self._prefix = url.netloc.rpartition("@")[2], url.path.rstrip("/")
        self._places = asyncio.Semaphore(limit)
        self._idle: list[tuple[Connection, float]] = []

    async def send(self, request: Request) -> Answer:
        """Send a request, and wait for its answer.

        Raises:
            OSError: There is no answer, or none in time (TimeoutError).
        """
        sent = self._head(request) + (request.body or b"")
        async with asyncio.timeout(request.patience), self._places:
            while connection := self._used():
                try:
                    return await self._asked(connection, request, sent)
                except ClosedError:
                    # The server may have closed it as we began to write; a write may have come.
                    if request.method not in _HARMLESS:
                        raise
            return await self._asked(await self._connected(), request, sent)

    def close(self) -> None:
        """Close what is idle."""
        while self._idle:
            self._idle.pop()[0].close()

    async def _asked(self, connection: Connection, request: Request, sent: bytes) -> Answer:
        try:
            answer = await connection.ask(sent, bodiless=request.method == "HEAD")
        except BaseException:
            connection.close()  # an answer that comes yet must not be taken for the next one's
            raise
        if connection.is_open:
            self._idle.append((connection, time.monotonic()))
        return answer

    def _used(self) -> Connection | None:
        """Return the connection that was used last, if one is fit for another request."""
        since = time.monotonic() - _IDLE
        while self._idle:
            connection, left = self._idle.pop()
            if connection.is_open and left >= since:
                return connection
            connection.close()
        return None

    async def _connected(self) -> Connection:
        async with asyncio.timeout(_CONNECT):
            _, made = await asyncio.get_running_loop().create_connection(
                Connection, *self._address, ssl=self._context
            )
        return made

    def _head(self, request: Request) -> bytes:
        query = f"?{urlencode(request.params)}" if request.params else ""
        target = self._prefix + quote(request.path, safe="/:@%") + query
        lines = [f"{request.method} {target} HTTP/1.1", f"Host: {self._host}"]
        lines += [f"{name}: {value}" for name, value in request.headers.items()]
        if request.body is not None:
            lines.append(f"Content-Length: {len(request.body)}")
        if any("\r" in line or "\n" in line for line in lines):
            raise ValueError(f"{request.method} {request.path}: a header is of several lines")
        return "\r\n".join((*lines, "\r\n")).encode("latin-1")
