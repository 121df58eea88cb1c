"""Whether the service can do its work: the database answers.

Not the same as being alive: who restarts a service because its database is away makes it worse.
Nor does it take the cluster: programs go on logging while that is away, and who asks for what was
not read of it yet is told so by the caches.
"""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

_log = logging.getLogger(__name__)
_PATIENCE = 5.0
"""Seconds after which a database that says nothing does not answer."""


@dataclass(slots=True)
class Readiness:
    """Looks when it is asked, at the database once at a time; thread-safe."""

    engine: sa.Engine
    clock: Callable[[], float] = time.monotonic
    _asking: threading.Lock = field(default_factory=threading.Lock)
    _asked_at: float = 0.0
    _last: str = ""

    def obstacle(self) -> str:
        """Say what is missing, in one sentence; nothing if the service is ready."""
        if not self._asking.acquire(blocking=False):
            is_late = self.clock() - self._asked_at > _PATIENCE
            return f"The database says nothing for {_PATIENCE:.0f} s" if is_late else self._last
        try:
            self._asked_at = self.clock()
            self._last = self._of_database()
            return self._last
        finally:
            self._asking.release()

    def _of_database(self) -> str:
        try:
            with self.engine.connect() as connection:
                connection.execute(sa.text("SELECT 1"))
        except SQLAlchemyError as exc:
            _log.warning("the database does not answer: %s", exc)
            # Its kind alone: the text may name hosts and users, and anybody may ask.
            return f"The database does not answer: {type(exc).__name__}"
        return ""
