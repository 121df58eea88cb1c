"""What no single resource's reconciliation sees: things left behind. The leader's, now and then."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import timedelta

from trainyard_operator.engine.errors import OperatorError

EVERY = timedelta(minutes=5)
_log = logging.getLogger(__name__)


async def sweep_for_ever(sweep: Callable[[], Awaitable[None]]) -> None:
    """Sweep at the start and then every few minutes."""
    while True:
        try:
            await sweep()
        except OperatorError as exc:
            _log.info("sweep put off: %s", exc.message)
        await asyncio.sleep(EVERY.total_seconds())
