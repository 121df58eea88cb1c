"""The last of a log, which goes to the tracking service with the end of its Run.

A Run that prints little would else cost an append of its own. Only what is left unshipped of a
log that was read to its end waits so, and only once its Run's end is asked for: what an attempt
printed that is followed by another one is to be seen at once. A tail that the first try does not
take along is appended.
"""

from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from trainyard_operator.logs.limits import Room
from trainyard_operator.runs.effects import FollowLog


@dataclass(frozen=True, slots=True)
class Tail:
    """The last bytes of a log, and the place in it that they end at."""

    call: FollowLog
    offset: int
    place: str
    data: bytes

    def told(self) -> Mapping[str, Any]:
        """Return it as the tracking service takes it: with JSON, whatever bytes they are."""
        data = b64encode(self.data).decode()
        tail = {"offset": self.offset, "place": self.place, "data": data}
        return {"attempt": self.call.attempt, "index": self.call.index, "tail": tail}


@dataclass(slots=True)
class End:
    """What is known of the end of a pod's log.

    Attributes:
        room: Bytes that are left for the tails of this process.
        is_known: Whether the end of its attempt is, whatever its pod shows.
        takes_tail: No, once another attempt or another pod follows, or a tail was kept.
        tail: What is kept of the log.
    """

    room: Room = field(default_factory=lambda: Room(0))
    is_known: bool = False
    takes_tail: bool = True
    tail: Tail | None = None

    def keep(self, tail: Tail) -> bool:
        """Keep the last of a log for now, unless it is to be appended."""
        if not (self.takes_tail and self.room.has(len(tail.data))):
            return False
        self.room.left -= len(tail.data)
        self.tail = tail
        return True

    def confirm(self) -> bool:
        """Tell whether what is kept is to stay so, because its Run's end is asked for."""
        if self.takes_tail and self.is_known:
            self.takes_tail = False
            return True
        return False

    def let_go(self) -> None:
        """Keep nothing more."""
        if self.tail:
            self.room.left += len(self.tail.data)
            self.tail = None
