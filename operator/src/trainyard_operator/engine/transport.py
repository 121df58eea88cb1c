"""HTTP to the API server: who we are, what its answers count as, and what time it says it is."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

import aiohttp

from trainyard_operator.engine.access import Access
from trainyard_operator.engine.answers import error_of
from trainyard_operator.engine.clock import ServerClock
from trainyard_operator.engine.errors import Unavailable, told
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

    @asynccontextmanager
    async def request(
        self,
        method: str,
        path: str,
        *,
        session: aiohttp.ClientSession,
        params: Mapping[str, str],
        limits: aiohttp.ClientTimeout,
        data: bytes | None = None,
        content_type: str = "",
        accept: str = JSON,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Send a request; what is no success is raised.

        Raises:
            OperatorError: As the answer says, or Unavailable if there is none.
        """
        headers = {**self.access.headers(), "Accept": accept}
        if data is not None:
            headers["Content-Type"] = content_type
        url = self.access.server + path
        try:
            async with session.request(
                method, url, params=params, data=data, headers=headers, timeout=limits
            ) as response:
                REST_REQUESTS.labels(str(response.status), method).inc()
                self.clock.heard(response.headers.get("Date"))
                if response.status >= 400:
                    raise error_of(response.status, await response.read(), response.headers)
                yield response
        except (aiohttp.ClientError, TimeoutError) as exc:
            REST_REQUESTS.labels("<error>", method).inc()
            raise Unavailable("APIServerUnavailable", f"{method} {path}: {told(exc)}") from exc
