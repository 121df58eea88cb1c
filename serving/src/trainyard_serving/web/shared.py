"""What the connections of one server share: where requests go, limits, and counts."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from trainyard_serving.web.answers import Answer, Request

Respond = Callable[[Answer], None]
Route = Callable[[Request, Respond], None]


@dataclass(frozen=True, slots=True)
class Limits:
    """What one client may take."""

    body_bytes: int = 32 * 1024 * 1024
    header_bytes: int = 32 * 1024
    pipelined: int = 32
    request_seconds: float = 30.0
    """From the first byte of a request to its last."""
    idle_seconds: float = 75.0
    write_seconds: float = 30.0


class Closing(Protocol):
    """A connection, as far as its server ends it."""

    def check(self, now: float) -> None: ...

    def close_if_idle(self) -> None: ...


class Shared:
    """What all connections of a server share."""

    def __init__(self, route: Route, limits: Limits, failed: Callable[[int], None]) -> None:
        self.route = route
        self.limits = limits
        self.failed = failed
        """Told the status of each request that could not be read."""
        self.connections: set[Closing] = set()
        self.draining = False
        self.inflight = 0

    def sweep(self, now: float) -> None:
        """End what is late; called about once a second."""
        for connection in list(self.connections):
            connection.check(now)

    def close_idle(self) -> None:
        """Close the connections on which no request is under way."""
        for connection in list(self.connections):
            connection.close_if_idle()
