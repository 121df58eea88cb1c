"""The API server's time. Deletions, conditions and leases are told by it, and this node's clock may
be wrong: a minute ahead would give up pods that have just been told to leave.
"""

from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from statistics import median

# Answers take time, and a Date header has whole seconds: less is no error of a clock.
_TOLERATED = timedelta(seconds=2)
_REMEMBERED = 15


class ServerClock:
    """This process' clock, corrected by what answers say.

    Args:
        local: This node's clock.
    """

    def __init__(self, local: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._local = local
        self._behind: deque[float] = deque(maxlen=_REMEMBERED)
        self._last = ""
        self._correction = timedelta(0)

    def __call__(self) -> datetime:
        """Return the API server's time, as far as it is known."""
        return self._local() + self._correction

    def heard(self, date: str | None) -> None:
        """Take note of an answer's Date header; nonsense is passed over."""
        if not date or date == self._last:
            return  # of hundreds in a second the first says it all
        self._last = date
        try:
            told = parsedate_to_datetime(date).astimezone(UTC)
        except ValueError:
            return
        # Of several, the one in the middle: of two API servers one may be wrong.
        self._behind.append((told - self._local()).total_seconds() + 0.5)
        behind = timedelta(seconds=median(self._behind))
        self._correction = behind if abs(behind) > _TOLERATED else timedelta(0)
