"""How long to go on asking a server that does not answer: one policy for every request.

Who asks says whether a repeat is harmless. A request that was never sent (no connection,
429) is repeated anyway; one that may have been carried out is repeated only if that is so.
"""

import random
import sys
import threading
import time
from collections.abc import Callable
from typing import TypeVar

from trainyard.errors import TrainyardError

T = TypeVar("T")
Tell = Callable[[str], None]

SECONDS = 300.0
_FIRST_PAUSE = 0.5
_LONGEST_PAUSE = 15.0

clock = time.monotonic
pause = time.sleep


def on_stderr(text: str) -> None:
    """Say *text* in a line on standard error."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


class Patience:
    """Repeats requests while nobody answers, and says so once. Thread-safe.

    Args:
        seconds: for how long each request is repeated; 0 never repeats.
        tell: called with one line when the waiting begins, and with one when it is over.
    """

    def __init__(self, seconds: float = SECONDS, tell: Tell | None = None) -> None:
        self.seconds = seconds
        self._tell = tell or on_stderr
        self._lock = threading.Lock()
        self._told = False

    def ask(self, request: Callable[[], T], *, harmless: bool, until: float | None = None) -> T:
        """Send *request* until it is answered, and return what it returns.

        An error with `progress` begins a new spell: what took long was no silence.

        Args:
            harmless: a repeat changes nothing that the first try did not.
            until: repeat no longer than to this moment of `clock()`.

        Raises:
            TrainyardError: as *request* does; `doubtful` says that an earlier try may have
                been carried out although it was not answered.
        """
        spell = Spell(self, until)
        while True:
            try:
                answer = request()
            except TrainyardError as exc:
                if exc.progress:
                    spell = Spell(self, until, doubtful=spell.doubtful)
                exc.doubtful = spell.doubtful
                if not (exc.passing and (harmless or exc.unsent) and spell.wait(exc)):
                    raise
            else:
                self.answered()
                return answer

    def say(self, error: TrainyardError) -> None:
        """Tell that there is no answer, unless that was told already."""
        with self._lock:
            told, self._told = self._told, True
        if not told:
            self._tell(f"{error.message}. Trying for {_minutes(self.seconds)} …")

    def answered(self) -> None:
        """Tell that there is an answer again, if it was told that there is none."""
        with self._lock:
            told, self._told = self._told, False
        if told:
            self._tell("There is an answer again")


class Spell:
    """One spell without an answer: how long it lasts, and the pauses in it."""

    def __init__(
        self, patience: Patience, until: float | None = None, *, doubtful: bool = False
    ) -> None:
        self.doubtful = doubtful
        self._patience = patience
        self._until = until
        self._end: float | None = None
        self._next = _FIRST_PAUSE

    def wait(self, error: TrainyardError) -> bool:
        """Pause before the next try; False without a pause where patience is at its end."""
        self.doubtful = self.doubtful or not error.unsent
        now = clock()
        if self._end is None:
            self._end = now + self._patience.seconds
            if self._until is not None:
                self._end = min(self._end, self._until)
        if now >= self._end:
            return False
        if self._next > _FIRST_PAUSE or error.retry_after > _FIRST_PAUSE:
            self._patience.say(error)
        # Whoever lost the same server should not come back in the same moment.
        wished = max(self._next * random.uniform(0.8, 1), error.retry_after)  # noqa: S311  # no secret
        pause(min(wished, self._end - now))
        self._next = min(2 * self._next, _LONGEST_PAUSE)
        return True


def _minutes(seconds: float) -> str:
    return f"{seconds / 60:.0f} minutes" if seconds >= 120 else f"{seconds:.0f} seconds"
