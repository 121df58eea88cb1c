"""Counts requests and how long they take, by the template of their route, never by their path."""

import time
from dataclasses import dataclass

from prometheus_client import Counter, Histogram
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from trainyard_tracking.auth.middleware import ROUTE_KEY

REQUESTS = Counter(
    "trainyard_tracking_requests",
    "Requests to the tracking service.",
    ["method", "route", "code"],
)
SECONDS = Histogram(
    "trainyard_tracking_request_seconds",
    "Time from a request to the end of its answer.",
    ["method", "route"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


@dataclass(slots=True)
class Measured:
    """ASGI application that measures `inside`."""

    inside: ASGIApp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.inside(scope, receive, send)
            return
        code = "500"

        async def noting(message: Message) -> None:
            nonlocal code
            if message["type"] == "http.response.start":
                code = str(message["status"])
            await send(message)

        begun = time.perf_counter()
        try:
            await self.inside(scope, receive, noting)
        finally:
            # What no rule knows has no bound on its paths and methods.
            method = scope["method"] if scope["method"] in _METHODS else "other"
            route = scope.get(ROUTE_KEY, "unknown")
            REQUESTS.labels(method, route, code).inc()
            SECONDS.labels(method, route).observe(time.perf_counter() - begun)
