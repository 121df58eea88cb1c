"""HTTP to the API server: who we are, what its answers count as, and what time it says it is."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

import aiohttp

from trainyard_operator.engine.access import Access
from trainyard_operator.engine.answers import error_of
from trainyard_operator.engine.clock import ServerClock
from trainyard_operator.engine.connection import Answer
from trainyard_operator.engine.errors import Unheard, told
from trainyard_operator.engine.exchange import Exchange, Request
from trainyard_operator.metrics import REST_REQUESTS

JSON = "application/json"


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
    async def stream(
        self,
        path: str,
        *,
        session: aiohttp.ClientSession,
        params: Mapping[str, str],
        limits: aiohttp.ClientTimeout,
        accept: str = JSON,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Open an answer that comes bit by bit; what is no success is raised.

        Raises:
            OperatorError: As the answer says, or Unavailable if there is none.
        """
        headers = self.headers(accept=accept)
        url = self.access.server + path
        try:
            async with session.get(
                url, params=params, headers=headers, timeout=limits, allow_redirects=False
            ) as response:
                REST_REQUESTS.labels(str(response.status), "GET").inc()
                self.clock.heard(response.headers.get("Date"))
                if response.status >= 300:
                    raise error_of(response.status, await response.read(), response.headers)
                yield response
        except (aiohttp.ClientError, TimeoutError) as exc:
            raise _no_answer("GET", path, exc) from exc


def _no_answer(method: str, path: str, exc: Exception) -> Unheard:
    REST_REQUESTS.labels("<error>", method).inc()
    return Unheard("APIServerUnavailable", f"{method} {path}: {told(exc)}")
