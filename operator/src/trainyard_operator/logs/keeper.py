"""All logs that this process follows."""

import asyncio
import logging
from collections.abc import Callable

from trainyard_operator.engine.kube import Kube
from trainyard_operator.logs.follower import Follower, Sink
from trainyard_operator.logs.spool import Room
from trainyard_operator.runs.effects import FollowLog

_log = logging.getLogger(__name__)

Key = tuple[str, int, str]


def _key(call: FollowLog) -> Key:
    return call.run_id, call.attempt, call.pod_uid


class LogKeeper:
    """All followers of this process.

    Args:
        is_over: Tells whether a pod's program has ended, or the pod is gone.
        on_complete: Told when all of a log has been shipped.
    """

    def __init__(
        self,
        kube: Kube,
        sink: Sink,
        *,
        is_over: Callable[[FollowLog], bool],
        on_complete: Callable[[FollowLog], None],
    ) -> None:
        self._kube = kube
        self._sink = sink
        self._is_over = is_over
        self._on_complete = on_complete
        self._room = Room()
        self._following: dict[Key, asyncio.Task[None]] = {}
        self._complete: set[Key] = set()

    def follow(self, call: FollowLog) -> None:
        """Have a log followed, if it is not yet."""
        key = _key(call)
        if key in self._complete or key in self._following:
            return
        follower = Follower(self._kube, self._sink, call, self._room, self._is_over)
        task = asyncio.create_task(follower.run(), name=f"log of {call.run} {call.attempt}")
        self._following[key] = task
        task.add_done_callback(lambda done: self._ended(call, done))

    def is_complete(self, call: FollowLog) -> bool:
        """Tell whether all of a log has been shipped; follows it if nobody does."""
        attempt = _key(call)[:2]
        if any(key[:2] == attempt for key in self._following):
            return False
        done = any(key[:2] == attempt for key in self._complete)
        if done or not (call.pod or call.cut):
            return True
        self.follow(call)
        return False

    def forget(self, run_id: str) -> None:
        """Let go of what is known about the logs of a Run whose end is on record."""
        self._complete = {key for key in self._complete if key[0] != run_id}

    async def stop(self) -> None:
        """Stop following; another process goes on from the last append."""
        tasks = list(self._following.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _ended(self, call: FollowLog, task: asyncio.Task[None]) -> None:
        del self._following[_key(call)]
        if task.cancelled():
            return
        if task.exception():
            _log.error("following a log failed", exc_info=task.exception())
        self._complete.add(_key(call))
        self._on_complete(call)
