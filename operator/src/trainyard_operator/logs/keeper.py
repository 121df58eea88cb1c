"""All logs that this process follows."""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from trainyard_operator.engine.kube import Kube
from trainyard_operator.logs.follower import Follower, Sink, told
from trainyard_operator.logs.limits import Limits
from trainyard_operator.logs.tail import End, Tail
from trainyard_operator.metrics import LOG_BYTES
from trainyard_operator.runs.effects import FollowLog

YOUNG_SECONDS = 60.0
"""So long after its start a process asks how much of a log another one has shipped."""

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Attempt:
    """The logs of one index of an attempt, by the UIDs of its pods."""

    has_ended: bool = False
    ends: dict[str, End] = field(default_factory=dict)
    following: dict[str, asyncio.Task[None]] = field(default_factory=dict)
    complete: set[str] = field(default_factory=set)
    failed: set[str] = field(default_factory=set)
    """Broke off for a reason that nobody foresaw, and are followed once more."""


class LogKeeper:
    """All followers of this process.

    Args:
        is_over: Tells whether a pod's program has ended, or the pod is gone.
        on_complete: Told when all of a log has been shipped, or its tail kept, or it is to be
            followed once more.
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
        self._limits = Limits()
        self._runs: dict[str, dict[tuple[int, int], _Attempt]] = {}
        self._first: float | None = None

    def follow(self, call: FollowLog) -> None:
        """Have a log followed, if it is not yet."""
        attempt = self._attempt(call)
        end = self._end_of(call, attempt)
        if call.is_retried:
            end.refuse()
            if self._is_over(call):
                end.tell()
        if call.is_final:
            end.tell()
        if call.pod_uid not in attempt.complete and call.pod_uid not in attempt.following:
            self._start(call, attempt)

    def _end_of(self, call: FollowLog, attempt: _Attempt) -> End:
        if call.pod_uid not in attempt.ends:
            attempt.ends[call.pod_uid] = End(self._limits.tails)
            if attempt.has_ended:
                attempt.ends[call.pod_uid].tell()
            if len(attempt.ends) > 1:
                # Pods of one index take turns: none can know where the log ends.
                for end in attempt.ends.values():
                    end.refuse()
        return attempt.ends[call.pod_uid]

    def _start(self, call: FollowLog, attempt: _Attempt, tail: Tail | None = None) -> None:
        follower = Follower(
            self._kube,
            self._sink,
            call,
            self._limits,
            self._is_over,
            end=attempt.ends[call.pod_uid],
            is_new=self._is_grown_up(),
            tail=tail,
        )
        task = asyncio.create_task(
            follower.run(), name=f"log of {call.run} {call.attempt} {call.index}"
        )
        attempt.following[call.pod_uid] = task
        task.add_done_callback(lambda done: self._ended(call, attempt, done))

    def is_complete(self, call: FollowLog) -> bool:
        """See to it that the log of an ended attempt is shipped, or its tail kept; tell if so."""
        attempt = self._attempt(call)
        attempt.has_ended = True
        for end in attempt.ends.values():
            end.tell()
        if attempt.following:
            return False
        if attempt.complete or not (call.pod or call.cut):
            return True
        self.follow(call)
        return False

    def is_following(self, run_id: str) -> bool:
        """Tell whether a log of a Run is still on its way."""
        return any(attempt.following for attempt in self._runs.get(run_id, {}).values())

    def tails(self, run_id: str) -> Sequence[Mapping[str, Any]]:
        """Return what is not shipped yet of the logs of a Run, to go with its end."""
        return [tail.told() for _, tail in self._kept(run_id)]

    def append_tails(self, run_id: str) -> bool:
        """Have the tails of a Run's logs appended; tell whether there were any."""
        kept = self._kept(run_id)
        for attempt, tail in kept:
            attempt.complete.discard(tail.call.pod_uid)
            self._start(tail.call, attempt, tail)
        return bool(kept)

    def _kept(self, run_id: str) -> Sequence[tuple[_Attempt, Tail]]:
        attempts = self._runs.get(run_id, {}).values()
        ends = [(each, uid, end) for each in attempts for uid, end in each.ends.items()]
        return [(each, end.tail) for each, uid, end in ends if end.tail and uid in each.complete]

    def forget(self, run_id: str) -> None:
        """Let go of what is known about the logs of a Run whose end is on record, and its tails."""
        for attempt, tail in self._kept(run_id):
            attempt.ends[tail.call.pod_uid].let_go()
            LOG_BYTES.inc(len(tail.data))
        if not self.is_following(run_id):
            self._runs.pop(run_id, None)

    async def stop(self) -> None:
        """Stop following; another process goes on from the last append."""
        tasks = [
            task
            for attempts in self._runs.values()
            for attempt in attempts.values()
            for task in attempt.following.values()
        ]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _attempt(self, call: FollowLog) -> _Attempt:
        key = (call.attempt, call.index)
        return self._runs.setdefault(call.run_id, {}).setdefault(key, _Attempt())

    def _is_grown_up(self) -> bool:
        now = asyncio.get_running_loop().time()
        self._first = now if self._first is None else self._first
        return now - self._first > YOUNG_SECONDS

    def _ended(self, call: FollowLog, attempt: _Attempt, task: asyncio.Task[None]) -> None:
        del attempt.following[call.pod_uid]
        if task.cancelled():
            return
        if (error := task.exception()) and call.pod_uid not in attempt.failed:
            _log.error("the log of %s broke off: once more", told(call), exc_info=error)
            attempt.failed.add(call.pod_uid)
        else:
            if error:
                _log.error("the rest of the log of %s is lost", told(call), exc_info=error)
            attempt.complete.add(call.pod_uid)
        self._on_complete(call)
