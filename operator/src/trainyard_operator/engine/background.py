"""Tasks that a leader cannot do without: when one of them ends, the process ends.

A task that died alone leaves a process that looks well and does half its work. The kubelet
starts it anew, and the other replica leads meanwhile.
"""

import asyncio
import logging
import os
from collections.abc import Callable, Coroutine
from typing import Any

from trainyard_operator.engine.errors import OperatorError

_log = logging.getLogger("trainyard_operator")
# What ends a process: told why, and what was raised if anything was.
Die = Callable[[str, BaseException | None], None]


def die(why: str, exc: BaseException | None) -> None:
    """End the process at once: another replica may be writing already."""
    if exc is None or isinstance(exc, OperatorError):
        _log.error("%s: %s", why, exc or "ending the process")  # no bug, no trace
    else:
        _log.error("%s", why, exc_info=exc)
    logging.shutdown()
    os._exit(1)


class Background:
    """The tasks that must go on for as long as this process leads.

    Args:
        die: Ends the process.
    """

    def __init__(self, die: Die) -> None:
        self._die = die
        self._tasks: list[asyncio.Task[None]] = []
        self._ending = False
        self._failed = False

    def is_alive(self) -> bool:
        """Tell whether none of the tasks has ended before its time."""
        return not self._failed

    def start(self, what: str, work: Coroutine[Any, Any, None]) -> None:
        """Start a task, and end the process when it ends."""
        self.watch_over(asyncio.create_task(work, name=what))

    def watch_over(self, task: asyncio.Task[None]) -> None:
        """End the process when a task ends."""
        self._tasks.append(task)
        task.add_done_callback(self._ended)

    def expect_end(self) -> None:
        """From now on, tasks may end; one that fails still ends the process."""
        self._ending = True

    async def stop(self) -> None:
        """Stop all tasks."""
        self._ending = True
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _ended(self, task: asyncio.Task[None]) -> None:
        exc = None if task.cancelled() else task.exception()
        if self._ending and exc is None:
            return
        self._failed = True
        self._die(f"the background task {task.get_name()!r} ended", exc)
