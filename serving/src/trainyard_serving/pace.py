"""Where the model is called: on the event loop's own thread, or beside it. Pure.

A call beside the loop costs two changes of thread, which is more than a small model takes; a
call on it keeps probes and everybody else waiting. What a call costs is known for sure where it
was made inline: beside the loop, its time includes waiting for the interpreter's lock.
"""

from math import inf
from typing import Final

MEASURED_CALLS: Final = 3
INLINE_SECONDS: Final = 0.001
"""Calls that cost this on average are made beside the loop."""
STALL_SECONDS: Final = 0.02
"""While one of the recent calls took this much of a processor, none is made inline."""
WAIT_SECONDS: Final = 0.25
"""The same, where it waited for something; shorter waits are mostly those for a processor."""
_TRY_AGAIN: Final = 32
_FADING: Final = 0.999
_DOUBTED_CALLS: Final = 1000


class Pace:
    """What calls cost lately, in seconds."""

    def __init__(self) -> None:
        self._first = True
        self._measured = 0
        self._worst = 0.0
        self._mean = 0.0
        self._last = inf
        self._beside = 0
        self._never = False
        self._doubt = 0

    @property
    def known(self) -> bool:
        """Say whether enough calls were measured to know what one costs."""
        return self._measured >= MEASURED_CALLS

    def called(self, seconds: float, of_processor: float) -> None:
        """Count a call of the model, wherever it was made.

        Args:
            of_processor: Seconds of a processor that it took; 0 if that was not doubtful.
        """
        if self._first:  # it imports, compiles and fills caches: none is like it
            self._first = False
            return
        self._measured += 1
        stall = seconds if seconds > WAIT_SECONDS else of_processor
        self._worst = max(stall, self._worst * _FADING)
        self._doubt = _DOUBTED_CALLS if seconds > STALL_SECONDS else self._doubt - 1

    @property
    def doubtful(self) -> bool:
        """Say whether to measure the processor's time too, which takes the kernel to ask."""
        return self._doubt > 0 or not self.known

    def was_inline(self, cost: float) -> None:
        """Count what the loop waited for a call and for writing its answers."""
        lower = min(cost, self._last)  # one that is alone was the machine's doing
        fresh = self._mean > INLINE_SECONDS or not self._mean
        self._mean += (lower - self._mean) * (1.0 if fresh else 0.2)
        self._last = cost

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
