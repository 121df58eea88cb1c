"""Saying how far something long is, now and then: in the log of a container."""

import threading
import time
from collections.abc import Callable

_EVERY_SECONDS = 10.0


class Told:
    """Says how far it is, at most every ten seconds, whoever of several is further."""

    def __init__(self, name: str, say: Callable[[str], None]) -> None:
        self._name = name
        self._say = say
        self._at = time.monotonic()
        self._lock = threading.Lock()

    def __call__(self, done: int, size: int) -> None:
        """Say how many bytes are done, and of how many if that is known."""
        with self._lock:
            if time.monotonic() - self._at < _EVERY_SECONDS:
                return
            self._at = time.monotonic()
        of = f" of {size >> 20}" if size else ""
        self._say(f"{self._name}: {done >> 20}{of} MiB")
