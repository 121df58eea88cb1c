"""Where the model is called: on the event loop's own thread, or beside it. Pure.

A call beside the loop costs two changes of thread, which is more than a small model takes; a
call on it keeps probes and everybody else waiting. What a call costs is known for sure where it
was made inline: beside the loop, its time includes waiting for the interpreter's lock.
"""

from typing import Final

MEASURED_CALLS: Final = 3
INLINE_SECONDS: Final = 0.001
"""Calls that cost this on average are made beside the loop."""
STALL_SECONDS: Final = 0.02
"""While one of the recent calls cost this, none is made inline."""
_TRY_AGAIN: Final = 64
_FADING: Final = 0.999


class Pace:
    """What calls cost lately, in seconds."""

    def __init__(self) -> None:
        self._first = True
        self._measured = 0
        self._worst = 0.0
        self._mean = 0.0
        self._beside = 0
        self._never = False

    @property
    def known(self) -> bool:
        """Say whether enough calls were measured to know what one costs."""
        return self._measured >= MEASURED_CALLS

    def called(self, cost: float) -> None:
        """Count a call of the model, wherever it was made."""
        if self._first:  # it imports, compiles and fills caches: none is like it
            self._first = False
            return
        self._measured += 1
        self._worst = max(cost, self._worst * _FADING)

    def was_inline(self, cost: float) -> None:
        """Count what the loop waited for a call and for writing its answers."""
        self._mean += (cost - self._mean) * (0.2 if self._mean else 1.0)
        self._worst = max(cost, self._worst)

    def fails_inline(self) -> None:
        """Remember that the model works in its thread and not on the loop's."""
        self._never = True

    def inline(self) -> bool:
        """Say whether the next call may keep the loop waiting.

        A model that cost too much inline gets another chance now and then: it may have been
        the machine.
        """
        if self._never or not self.known or self._worst > STALL_SECONDS:
            return False
        if self._mean <= INLINE_SECONDS:
            return True
        self._beside = (self._beside + 1) % _TRY_AGAIN
        return not self._beside
