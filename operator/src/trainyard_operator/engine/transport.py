"""HTTP to the API server: who we are, what its answers count as, and what time it says it is."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from trainyard_operator.engine.access import Access
from trainyard_operator.engine.answers import error_of
from trainyard_operator.engine.clock import ServerClock
from trainyard_operator.engine.connection import Answer
from trainyard_operator.engine.errors import OperatorError, Unheard, told
from trainyard_operator.engine.exchange import Exchange, Request, Streams
from trainyard_operator.engine.stream import Stream
from trainyard_operator.metrics import REST_REQUESTS

JSON = "application/json"
# More of a refusal is a proxy's page.
_REFUSAL_BYTES = 64 << 10
_REFUSAL_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Transport:
    """Sends requests.

    Attributes:
        clock: Told what time answers say it is.
    """

    access: Access
    clock: ServerClock

    def headers(self, *, accept: str) -> dict[str, str]:
        """Return the headers that every request has."""
        return {**self.access.headers(), "Accept": accept}

    async def ask(self, exchange: Exchange, request: Request) -> Answer:
        """Send a request and return its answer; what is no success is raised.

        Raises:
            OperatorError: As the answer says, or Unavailable if there is none.
        """
        try:
            answer = await exchange.send(request)
        except OSError as exc:
            raise _no_answer(request.method, request.path, exc) from exc
        REST_REQUESTS.labels(str(answer.status), request.method).inc()
        self.clock.heard(answer.headers.get("date"))
        if answer.status >= 300:  # a redirect is a proxy's, too
            raise error_of(answer.status, answer.body, answer.headers)
        return answer

    @asynccontextmanager
    async def stream(self, streams: Streams, request: Request) -> AsyncIterator[Stream]:
        """Open an answer that comes bit by bit; what is no success is raised.

        Raises:
            OperatorError: As the answer says, or Unavailable if there is none.
        """
        try:
            async with streams.open(request) as stream:
                REST_REQUESTS.labels(str(stream.status), request.method).inc()
                self.clock.heard(stream.headers.get("date"))
                if stream.status >= 300:
                    raise await _refusal(stream)
                yield stream
        except OSError as exc:
            raise _no_answer(request.method, request.path, exc) from exc


async def _refusal(stream: Stream) -> OperatorError:
    async with asyncio.timeout(_REFUSAL_SECONDS):
        body = await stream.beginning(_REFUSAL_BYTES)
    return error_of(stream.status, body, stream.headers)


def _no_answer(method: str, path: str, exc: Exception) -> Unheard:
    REST_REQUESTS.labels("<error>", method).inc()
    return Unheard("APIServerUnavailable", f"{method} {path}: {told(exc)}")
