"""What a start needs of the object store, done beside the service: it serves without it meanwhile.

A store that is away for the length of a start would end it, and the next one, for as long as that
lasts; runs, metrics and the registry need none.
"""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from trainyard_tracking.errors import BadSettings

_log = logging.getLogger(__name__)
_FIRST_WAIT = 1.0
_LONGEST_WAIT = 30.0


@dataclass(frozen=True, slots=True)
class Opening:
    """Makes the bucket, then aborts what an earlier service left, in a thread of its own."""

    ensure_bucket: Callable[[], None]
    sweep: Callable[[], None]
    sleep: Callable[[float], None] = time.sleep

    def start(self) -> None:
        threading.Thread(target=self.run, name="opening", daemon=True).start()

    def run(self) -> None:
        """Try until the store answers; each failure is a line of the log."""
        wait = _FIRST_WAIT
        while not self._is_done():
            self.sleep(wait)
            wait = min(wait * 2, _LONGEST_WAIT)

    def _is_done(self) -> bool:
        try:
            self.ensure_bucket()
            self.sweep()
        except BadSettings as exc:
            _log.error("files can't be kept yet: %s", exc)  # its words say enough
            return False
        except Exception as exc:  # noqa: BLE001  # a thread that ends would never be noticed
            _log.warning("opening the object store: %r; again soon", exc)
            return False
        return True
