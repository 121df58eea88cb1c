"""What all logs of a process share: connections, memory and disk, all of them bounded.

    who            at once   each holds at most
    followers          200   a stream, and a block of 192 KiB in memory
    readers             16   the same, for a moment: logs read in turns, or once at their end
    shippers             8   a segment of 2 MiB on its way to the tracking service
    who waits          all   a kilobyte: neither a task nor a timer
    tails              all   8 MiB together, of 16 KiB at most: they go with the end of a Run
                             ≤ 65 MiB in memory together, and 512 MiB of segments on disk

A log that finds no place among the followers is polled: read from where it was left, every few
seconds. Nobody starves: places are given in the order in which they are asked for. Between its
turns it looks now and then whether its program has ended: of a Run's end it is told.
"""

import asyncio
from dataclasses import dataclass, field

FOLLOWERS = 200
READERS = 16
SHIPPERS = 8
POLL_SECONDS = 5.0
POLLS_PER_SECOND = 50
"""Each costs the API server and a node some milliseconds; with many logs, turns come later."""
LOOK_SECONDS = 0.5
LOOKS = 250
"""So many at once. Each unpacks a pod, some 30 µs; with many logs, an end that nobody tells is seen
later."""
ROOM_BYTES = 512 << 20
PATIENCE_SECONDS = 15.0
TAIL_BYTES = 8 << 20
"""A tail that finds no room is appended."""


@dataclass(slots=True)
class Room:
    """Bytes that are left for what all logs of this process share: on disk, if not said."""

    left: int = ROOM_BYTES

    def has(self, size: int, *, held: int = 0) -> bool:
        """Tell whether a spool that holds so much may hold more.

        It leaves as much as it holds, so that one chatty log never takes the place of all.
        """
        return held + size <= self.left


@dataclass(slots=True)
class Places:
    """Places of which as many are taken as there are: who finds none comes later."""

    free: int

    def take(self) -> bool:
        """Take a place; tell whether there was one."""
        if self.free <= 0:
            return False
        self.free -= 1
        return True

    def leave(self) -> None:
        """Leave a place that was taken."""
        self.free += 1


@dataclass(slots=True)
class Limits:
    """The places that the logs of this process share.

    Attributes:
        logs: How many there are that are not complete.
    """

    followers: Places = field(default_factory=lambda: Places(FOLLOWERS))
    readers: Places = field(default_factory=lambda: Places(READERS))
    shippers: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(SHIPPERS))
    room: Room = field(default_factory=Room)
    tails: Room = field(default_factory=lambda: Room(TAIL_BYTES))
    logs: int = 0

    @property
    def turn(self) -> float:
        """Return the seconds between two looks at a log that is polled."""
        return max(POLL_SECONDS, (self.logs - FOLLOWERS) / POLLS_PER_SECOND)

    @property
    def patience(self) -> float:
        """Return the seconds for which the last of a log waits for its Run's end.

        An operator that is busy tells of it late, and an append then makes it busier.
        """
        return max(PATIENCE_SECONDS, self.turn)
