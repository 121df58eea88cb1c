"""A request and its answer, over connections that stay open: what is done all the time.

A general client spends most of a request on what is of no use here: cookies, redirects, content
codings, proxies, hooks.
"""

import asyncio
import socket
import ssl
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Generic, TypeVar
from urllib.parse import quote, urlencode, urlsplit

from trainyard_operator.engine.connection import Answer, ClosedError, Connection
from trainyard_operator.engine.stream import Stream, Streamed

_CONNECT = 5.0
# Of several addresses of a name, one that does not answer leaves time for the next.
_ONE_OF_SEVERAL = 1.5
# Servers and balancers close what was idle; a service at its defaults after 5 s, which it tells.
_IDLE = 15.0
_KEPT = 64
_HARMLESS = frozenset({"GET", "HEAD"})


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked.

    Attributes:
        path: Unquoted, below the server's.
        patience: Seconds for all of it, the wait for a connection included; for a stream the
            longest silence. None for as long as it takes.
    """

    method: str
    path: str
    patience: float | None
    headers: Mapping[str, str]
    params: Mapping[str, str] | None = None
    body: bytes | None = None


C = TypeVar("C", bound=Connection)


class _Pool(Generic[C]):
    """A server, and the connections to it that stay open between requests."""

    def __init__(
        self, server: str, context: ssl.SSLContext | None, connection: Callable[[], C]
    ) -> None:
        url = urlsplit(server)
        tls = url.scheme == "https"
        self._address = url.hostname or "", url.port or (443 if tls else 80)
        self._context = (context or ssl.create_default_context()) if tls else None
        self._host, self._prefix = url.netloc.rpartition("@")[2], url.path.rstrip("/")
        self._connection = connection
        self._idle: list[tuple[C, float]] = []
        self._reached = ""

    def close(self) -> None:
        """Close what is idle."""
        while self._idle:
            self._idle.pop()[0].close()

    async def _answered(self, request: Request) -> tuple[C, Answer]:
        sent = self._head(request) + (request.body or b"")
        while connection := self._used():
            try:
                return connection, await self._asked(connection, request, sent)
            except ClosedError:
                # The server may have closed it as we began to write; a write may have come.
                if request.method not in _HARMLESS:
                    raise
        connection = await self._connected()
        return connection, await self._asked(connection, request, sent)

    async def _asked(self, connection: C, request: Request, sent: bytes) -> Answer:
        try:
            return await connection.ask(sent, bodiless=request.method == "HEAD")
        except BaseException:
            connection.close()  # an answer that comes yet must not be taken for the next one's
            raise

    def _keep(self, connection: C) -> None:
        if connection.is_open and len(self._idle) < _KEPT:
            self._idle.append((connection, time.monotonic()))
        else:
            connection.close()

    def _used(self) -> C | None:
        """Return the connection that was used last, if one is fit for another request."""
        since = time.monotonic() - _IDLE
        while self._idle:
            connection, left = self._idle.pop()
            if connection.is_open and left >= since:
                return connection
            connection.close()
        return None

    async def _connected(self) -> C:
        """Connect to the first of the server's addresses that answers, the last one that did first.

        The loop would try one after the other as long as each takes: one whose packets are
        dropped, as an IPv6 address is where only IPv4 gets through, would take all the time.
        """
        async with asyncio.timeout(_CONNECT):
            *others, last = await self._addresses()
            for address in others:
                with suppress(OSError):
                    async with asyncio.timeout(_ONE_OF_SEVERAL):
                        return await self._connected_to(address)
            return await self._connected_to(last)

    async def _addresses(self) -> Sequence[str]:
        loop = asyncio.get_running_loop()
        told = await loop.getaddrinfo(*self._address, type=socket.SOCK_STREAM)
        found = dict.fromkeys(str(place[0]) for *_, place in told)
        return sorted(found, key=lambda address: address != self._reached)

    async def _connected_to(self, address: str) -> C:
        host, port = self._address
        _, made = await asyncio.get_running_loop().create_connection(
            self._connection,
            address,
            port,
            ssl=self._context,
            server_hostname=host if self._context else None,
        )
        self._reached = address
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


class Exchange(_Pool[Connection]):
    """A server that is asked, up to *limit* times at once.

    Args:
        server: Such as https://10.0.0.1:443; a path of it comes before each request's.
    """

    def __init__(self, server: str, context: ssl.SSLContext | None, *, limit: int) -> None:
        super().__init__(server, context, Connection)
        self._places = asyncio.Semaphore(limit)

    async def send(self, request: Request) -> Answer:
        """Send a request, and wait for its answer.

        Raises:
            OSError: There is no answer, or none in time (TimeoutError).
        """
        async with asyncio.timeout(request.patience), self._places:
            connection, answer = await self._answered(request)
        self._keep(connection)
        return answer


class Streams(_Pool[Streamed]):
    """A server whose answers come bit by bit, each over a connection of its own, without a limit.

    Args:
        server: As an exchange's.
    """

    def __init__(self, server: str, context: ssl.SSLContext | None) -> None:
        super().__init__(server, context, Streamed)

    @asynccontextmanager
    async def open(self, request: Request) -> AsyncIterator[Stream]:
        """Send a request, and give its answer once its head is there.

        The API server sends no head of a log that is followed before its first byte.

        Raises:
            OSError: There is no answer, or none in time (TimeoutError).
        """
        async with asyncio.timeout(request.patience):
            connection, head = await self._answered(request)
        try:
            yield Stream(head.status, head.headers, request.patience, connection)
        finally:
            if connection.is_spent:
                self._keep(connection)
            else:
                connection.close()
