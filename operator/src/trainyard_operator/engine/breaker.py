"""A circuit breaker: a service that fails is asked by one caller at a time, seldom.

    closed ── failure ──▶ open: everybody is refused at once, but for one probe per interval
       ▲                    │
       └── any answer ──────┘   the interval doubles with every probe that fails

A failure opens it only if nobody has been answered since the failed call began, so that one
request which the service cannot bear does not cut off all others. It does no I/O.
"""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass

FIRST = 1.0
LONGEST = 8.0
# Refusals of a service that answers otherwise may be one caller's trouble: several in a row.
DOUBTS = 3


@dataclass(frozen=True, slots=True)
class Pass:
    """Leave for one call."""

    began: float
    is_probe: bool


class Breaker:
    """The state of one service, as its callers found it.

    Args:
        monotonic, jitter: A clock, and a number in [0, 1).
    """

    def __init__(
        self,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._monotonic = monotonic
        self._jitter = jitter
        self._answered = -float("inf")
        self._doubts = 0
        self._interval = FIRST
        self._is_open = False
        self._is_probed = False
        self._probe_at = 0.0

    @property
    def is_open(self) -> bool:
        """Whether the service failed and has not answered since."""
        return self._is_open

    @property
    def has_answered(self) -> bool:
        """Whether the service ever answered."""
        return self._answered > -float("inf")

    def enter(self) -> Pass | None:
        """Return leave to call, None if the caller must not."""
        now = self._monotonic()
        if not self._is_open:
            return Pass(now, is_probe=False)
        if self._is_probed or now < self._probe_at:
            return None
        self._is_probed = True
        return Pass(now, is_probe=True)

    def answered(self) -> None:
        """Say that the service answered, whatever it said."""
        self._answered = self._monotonic()
        self._is_open, self._doubts, self._interval = False, 0, FIRST

    def failed(self, leave: Pass) -> bool:
        """Say that a call got no answer; tell whether that opened the circuit."""
        if self._answered > leave.began:
            return False
        if self._is_open and not leave.is_probe:
            return False
        opened = not self._is_open
        self._is_open = True
        self._probe_at = self._monotonic() + self._interval * (1 + 0.2 * self._jitter())
        self._interval = min(self._interval * 2, LONGEST)
        return opened

    def doubted(self, leave: Pass) -> bool:
        """Say that the service said it failed; several in a row are a failure."""
        self._doubts += 1
        return (leave.is_probe or self._doubts >= DOUBTS) and self.failed(leave)

    def left(self, leave: Pass) -> None:
        """Say that a call ended, however it did."""
        if leave.is_probe:
            self._is_probed = False
