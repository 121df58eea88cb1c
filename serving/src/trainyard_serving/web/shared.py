"""What the connections of one server share: where requests go, limits, counts, and memory."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

from trainyard_serving.web.answers import Answer, Request

Respond = Callable[[Answer], None]
Route = Callable[[Request, Respond], None]

SMALL_BYTES: Final = 64 << 10
_SPARE_CONNECTIONS: Final = 64
_CROWDED_IDLE_SECONDS: Final = 2.0


@dataclass(frozen=True, slots=True)
class Limits:
    """What clients may take, one by one and together."""

    body_bytes: int = 32 * 1024 * 1024
    header_bytes: int = 32 * 1024
    headers: int = 128
    pipelined: int = 32
    request_seconds: float = 30.0
    """From the first byte of a request to its last."""
    idle_seconds: float = 75.0
    write_seconds: float = 30.0
    """How long a client may read nothing of an answer."""
    slowest_reader: int = 64 * 1024
    """Bytes a second at which an answer must be read, `write_seconds` more granted."""
    held_bytes: int = 256 * 1024 * 1024
    """Requests under way, requests whose answer isn't there yet, and answers unread, together."""
    connections: int = 4096


class Closing(Protocol):
    """A connection, as far as its server ends it."""

    def check(self, now: float) -> None: ...

    def close_if_idle(self) -> None: ...


class Shared:
    """What all connections of a server share.

    Attributes:
        held: Bytes that count against `Limits.held_bytes`.
    """

    def __init__(self, route: Route, limits: Limits, failed: Callable[[int], None]) -> None:
        self.route = route
        self.limits = limits
        self.failed = failed
        """Told the status of each request that could not be read."""
        self.connections: set[Closing] = set()
        self.draining = False
        self.inflight = 0
        self.held = 0

    def has_room(self, size: int, *, body: int) -> bool:
        """Say whether `size` bytes more of a body of `body` bytes so far may be held.

        An eighth is left to small ones, so that a few large ones don't stop them.
        """
        most = self.limits.held_bytes
        return self.held + size <= (most if body <= SMALL_BYTES else most - most // 8)

    @property
    def crowded(self) -> bool:
        """Say whether one more connection gets answers to probes only."""
        return len(self.connections) >= self.limits.connections

    @property
    def full(self) -> bool:
        """Say whether one more connection gets nothing."""
        return len(self.connections) >= self.limits.connections + _SPARE_CONNECTIONS

    @property
    def idle_seconds(self) -> float:
        """Return for how long a connection may be idle: not long while others wait for one."""
        longest = self.limits.idle_seconds
        return min(longest, _CROWDED_IDLE_SECONDS) if self.crowded else longest

    def sweep(self, now: float) -> None:
        """End what is late; called about once a second."""
        for connection in list(self.connections):
            connection.check(now)

    def close_idle(self) -> None:
        """Close the connections on which no request is under way."""
        for connection in list(self.connections):
            connection.close_if_idle()
