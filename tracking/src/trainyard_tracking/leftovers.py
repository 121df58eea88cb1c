"""Logs that nobody archives any more, so that nothing stays on the volume for ever.

A line may come after its Run was finished: the operator was cut off between two calls, or the
Run was deleted while its pod still printed.
"""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from trainyard_tracking.errors import NotFound
from trainyard_tracking.ledger import Ledger
from trainyard_tracking.logs import Logs
from trainyard_tracking.sources import artifact_root

QUIET_SECONDS = 3600.0
KEPT_SECONDS = 7 * 24 * 3600.0
"""Of a log without an MLflow run: its database may be about to be restored."""
_EVERY_SECONDS = 3600.0
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Leftovers:
    """Sweeps the spool, in a thread of its own."""

    logs: Logs
    ledger: Ledger
    clock: Callable[[], float] = time.time

    def start(self) -> None:
        threading.Thread(target=self._run, name="leftovers", daemon=True).start()

    def sweep(self) -> None:
        """Archive the logs of Runs that have finished; drop those that have no record at all."""
        for namespace, run_id, grown in list(self.logs.spooled()):
            entry = self.ledger.find(run_id)
            is_live = bool(entry and entry.finished_at is None)
            quiet = self.clock() - grown
            if quiet < (KEPT_SECONDS if is_live else QUIET_SECONDS):
                continue
            try:
                root = artifact_root(namespace, run_id)
            except NotFound:
                if quiet >= KEPT_SECONDS:
                    self.logs.drop(namespace, run_id)
                    _log.warning("dropped the log of %s: it has no MLflow run", run_id)
                continue
            if not is_live:
                self.logs.archive_all(namespace, run_id, root)

    def _run(self) -> None:
        while True:
            try:
                self.sweep()
            except Exception as exc:  # noqa: BLE001  # a thread that ends would never be noticed
                _log.warning("sweeping the spool: %r; again later", exc)
            time.sleep(_EVERY_SECONDS)
