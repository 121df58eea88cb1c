"""Say what goes on where it lasts: nothing in the first seconds, then a line now and then."""

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

from trainyard._patience import on_stderr

Step = Callable[[int], None]
Showing = Callable[[str, int], AbstractContextManager[Step]]
"""Shows how far something is: its name, and of how many bytes; yields what takes steps."""

FIRST_SECONDS = 3.0
EVERY_SECONDS = 10.0
_UNITS = ("KiB", "MiB", "GiB")


def human_size(count: int) -> str:
    """Write *count* bytes for people: `12 B`, `3.4 KiB`."""
    size, unit = float(count), "B"
    for larger in _UNITS:
        if size < 1024:
            break
        size, unit = size / 1024, larger
    return f"{size:.0f} B" if unit == "B" else f"{size:.1f} {unit}"


class Pace:
    """Counts steps and tells of them in lines, once they last.

    Args:
        told: writes the line for so many steps.
        tell, clock: where lines go, and what time it is.
    """

    def __init__(
        self,
        told: Callable[[int], str],
        *,
        tell: Callable[[str], None] = on_stderr,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._told, self._tell, self._clock = told, tell, clock
        self._count = 0
        self._next = clock() + FIRST_SECONDS

    def __call__(self, step: int) -> None:
        self._count += step
        now = self._clock()
        if now >= self._next:
            self._next = now + EVERY_SECONDS
            self._tell(self._told(self._count))


@contextmanager
def in_lines(what: str, total: int) -> Iterator[Step]:
    """Say in lines on standard error how many bytes of *total* there are."""
    yield Pace(lambda count: f"{what}: {human_size(count)} of {human_size(total)}")


def counted(what: str, unit: str) -> Pace:
    """Say in lines on standard error how many there are so far."""
    return Pace(lambda count: f"{what}: {count:,} {unit} so far")
