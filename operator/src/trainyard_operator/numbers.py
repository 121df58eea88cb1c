"""Numbers of model versions: which are spent. None is ever given out twice.

Pure. A ModelVersion keeps its finalizer until its number stands among the retired, so whoever
takes the next number (`trainyard_api.names.next_version`) cannot take it twice.
"""

from collections.abc import Collection
from dataclasses import dataclass

LISTED = 100


@dataclass(frozen=True, slots=True)
class Retired:
    """The highest number ever retired, and the last ones retired, oldest first."""

    highest: int = 0
    numbers: tuple[int, ...] = ()


def retire(
    retired: Retired,
    *,
    existing: Collection[int],
    deleting: Collection[int],
    pointed: Collection[int],
    latest_seen: int = 0,
) -> Retired:
    """Add the numbers whose versions are going, except those that a pointer still holds.

    Args:
        retired: What is retired already.
        existing: Numbers of all versions that exist, those being deleted included.
        deleting: Numbers of versions with a deletion timestamp.
        pointed: Numbers that an alias or stage holds; their versions must stay.
        latest_seen: Highest number ever seen. If that version is gone without having
            been retired (its finalizer was taken off by hand), its number is spent all the same.
    """
    waiting = [n for n in retired.numbers if n in existing]
    # A number must be listed until its version is gone, so more than fit take turns.
    room = LISTED - len(waiting)
    going = sorted(set(deleting) - set(pointed) - set(retired.numbers))[: max(room, 0)]
    lost = {latest_seen} if latest_seen and latest_seen not in existing else set()
    gone = [n for n in retired.numbers if n not in existing]
    spare = max(LISTED - len(waiting) - len(going), 0)
    numbers = (*(gone[-spare:] if spare else ()), *waiting, *going)
    return Retired(highest=max({retired.highest, *going, *lost}), numbers=numbers)


def is_retired(retired: Retired, number: int) -> bool:
    """Tell whether the version of this number may go."""
    return number in retired.numbers
