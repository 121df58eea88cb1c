"""All logs that this process follows: which is to go on, and when.

    waits ──its time, or the end──▶ in turn ──a place──▶ goes ──▶ waits │ kept │ complete
                                                                           │
                                              goes, to append it ◀── nobody asks for it

A log that waits is neither a task nor a timer: every half second the next few that are listed are
looked at. Of the end of an attempt it is told.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from functools import partial
from typing import Any

from trainyard_operator.engine.kube import Kube
from trainyard_operator.logs import limits
from trainyard_operator.logs.follower import Follower, Sink, told
from trainyard_operator.logs.limits import Limits, Places
from trainyard_operator.logs.tail import End, Tail
from trainyard_operator.metrics import LOG_BYTES
from trainyard_operator.runs.effects import FollowLog

YOUNG_SECONDS = 60.0
"""So long after its start a process asks how much of a log another one has shipped."""

FOLLOW_AFTER = 3.0
"""Seconds: what has ended by then is read once, and never followed."""

SILENT_SECONDS = 30.0
"""A stream that brings nothing for so long after the end of its program never ends by itself: its
connection was lost without a word."""

_NEVER = float("inf")
_log = logging.getLogger(__name__)


class _State(Enum):
    WAITS = auto()
    IN_TURN = auto()  # for a place among those who read
    GOES = auto()
    KEPT = auto()  # read to its end; the last of it may go with its Run's
    COMPLETE = auto()
    BROKEN = auto()  # for a reason that nobody foresaw; followed once more if it is asked for


@dataclass(slots=True, eq=False)
class _Log:
    """The log of one pod.

    Attributes:
        due: When it goes on at the latest, by the loop's clock.
        is_last: Its last go was made once its program had ended.
        is_listed: Whether it is among those that are looked at.
        has_broken: It was followed once more already.
        reached: Where the stream was when its program had ended.
    """

    follower: Follower
    state: _State = _State.WAITS
    due: float = 0.0
    is_last: bool = False
    is_listed: bool = False
    has_broken: bool = False
    reached: str = ""
    task: asyncio.Task[float | None] | None = None
    place: Places | None = None

    @property
    def call(self) -> FollowLog:
        return self.follower.call

    @property
    def end(self) -> End:
        return self.follower.end

    @property
    def is_under_way(self) -> bool:
        return self.state not in {_State.COMPLETE, _State.BROKEN}


@dataclass(slots=True)
class _Attempt:
    """The logs of one index of an attempt, one for each of its pods."""

    has_ended: bool = False
    logs: list[_Log] = field(default_factory=list)


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
        self._listed: deque[_Log] = deque()
        self._turns: deque[_Log] = deque()
        self._looking: asyncio.TimerHandle | None = None
        self._first: float | None = None

    # What is asked of it.

    def follow(self, call: FollowLog) -> None:
        """Have a log followed, if it is not yet."""
        attempt = self._attempt(call)
        log = next((log for log in attempt.logs if log.call.pod_uid == call.pod_uid), None)
        if log is None:
            log = self._add(call, attempt)
        elif log.state is _State.BROKEN:
            log.follower, log.is_last = self._follower(call, log.end), False
            self._begin(log)
        if call.is_retried:
            self._refuse(log)
            if self._is_over(call):
                self._tell(log)
        if call.is_final:
            self._tell(log)

    def is_complete(self, call: FollowLog) -> bool:
        """See to it that the log of an ended attempt is shipped, or its tail kept; tell if so."""
        attempt = self._attempt(call)
        attempt.has_ended = True
        for log in attempt.logs:
            self._tell(log)
        if any(log.is_under_way for log in attempt.logs):
            return False
        is_done = any(log.state is _State.COMPLETE for log in attempt.logs)
        if is_done or not (call.pod or call.cut):
            return True
        self.follow(call)
        return False

    def is_following(self, run_id: str) -> bool:
        """Tell whether a log of a Run is still on its way."""
        return any(log.is_under_way for log in self._of(run_id))

    def tails(self, run_id: str) -> Sequence[Mapping[str, Any]]:
        """Return what is not shipped yet of the logs of a Run, to go with its end."""
        return [tail.told() for _, tail in self._kept(run_id)]

    def append_tails(self, run_id: str) -> bool:
        """Have the tails of a Run's logs appended; tell whether there were any."""
        kept = self._kept(run_id)
        for log, _ in kept:
            self._append(log)
        return bool(kept)

    def forget(self, run_id: str) -> None:
        """Let go of what is known about the logs of a Run whose end is on record, and its tails."""
        for log, tail in self._kept(run_id):
            log.end.let_go()
            LOG_BYTES.inc(len(tail.data))
        if not self.is_following(run_id):
            self._runs.pop(run_id, None)

    async def stop(self) -> None:
        """Stop following; another process goes on from the last append."""
        if self._looking is not None:
            self._looking.cancel()
        self._turns.clear()
        # One that has just ended may have begun another go.
        while tasks := [log.task for log in self._listed if log.task is not None]:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def _of(self, run_id: str) -> Iterator[_Log]:
        for attempt in self._runs.get(run_id, {}).values():
            yield from attempt.logs

    def _kept(self, run_id: str) -> Sequence[tuple[_Log, Tail]]:
        done = (log for log in self._of(run_id) if log.state is _State.COMPLETE)
        return [(log, log.end.tail) for log in done if log.end.tail]

    def _attempt(self, call: FollowLog) -> _Attempt:
        key = (call.attempt, call.index)
        return self._runs.setdefault(call.run_id, {}).setdefault(key, _Attempt())

    # How a log goes on.

    def _add(self, call: FollowLog, attempt: _Attempt) -> _Log:
        end = End(self._limits.tails, is_known=attempt.has_ended)
        log = _Log(self._follower(call, end))
        attempt.logs.append(log)
        if len(attempt.logs) > 1:
            # Pods of one index take turns: none can know where the log ends.
            for each in attempt.logs:
                self._refuse(each)
        self._begin(log)
        return log

    def _follower(self, call: FollowLog, end: End, tail: Tail | None = None) -> Follower:
        is_new, shared = self._is_grown_up(), self._limits
        return Follower(self._kube, self._sink, call, shared, end, is_new=is_new, tail=tail)

    def _begin(self, log: _Log) -> None:
        self._list(log)
        self._wait(log, FOLLOW_AFTER)

    def _append(self, log: _Log) -> None:
        """Have what is kept of a log appended."""
        log.follower = self._follower(log.call, log.end, log.end.tail)
        self._list(log)
        self._go(log)

    def _tell(self, log: _Log) -> None:
        """Have it known that the attempt has ended."""
        if log.end.is_known:
            return
        log.end.is_known = True
        if log.state is _State.WAITS and not log.is_last:
            self._wake(log)
        elif log.state is _State.KEPT and log.end.confirm():
            log.state = _State.COMPLETE  # whoever tells it asks for it

    def _refuse(self, log: _Log) -> None:
        """Have the last of the log appended, not kept."""
        log.end.takes_tail = False
        if log.state is _State.KEPT:
            self._append(log)

    def _has_ended(self, log: _Log) -> bool:
        return log.end.is_known or self._is_over(log.call)

    def _is_grown_up(self) -> bool:
        now = asyncio.get_running_loop().time()
        self._first = now if self._first is None else self._first
        return now - self._first > YOUNG_SECONDS

    # Who has a go.

    def _list(self, log: _Log) -> None:
        if not log.is_listed:
            log.is_listed = True
            self._listed.append(log)
            self._limits.logs = len(self._listed)
        self._look_later()

    def _look_later(self) -> None:
        if self._looking is None and self._listed:
            loop = asyncio.get_running_loop()
            self._looking = loop.call_later(limits.LOOK_SECONDS, self._look)

    def _look(self) -> None:
        """Look at the next few: whose time has come, or whose program has ended?"""
        self._looking, now = None, asyncio.get_running_loop().time()
        self._look_later()  # whatever one of them raises
        for _ in range(min(len(self._listed), limits.LOOKS)):
            log = self._listed.popleft()
            log.is_listed = log.is_under_way
            if log.is_listed:
                self._listed.append(log)
                self._look_at(log, now)
        self._limits.logs = len(self._listed)

    def _look_at(self, log: _Log, now: float) -> None:
        if log.state is _State.WAITS:
            if log.due <= now or (not log.is_last and self._has_ended(log)):
                self._wake(log)
        elif log.state is _State.KEPT:
            if log.due <= now:
                self._append(log)
        elif log.place is self._limits.followers and self._has_ended(log):
            self._see_it_end(log, now)

    def _see_it_end(self, log: _Log, now: float) -> None:
        """Break off a stream that has been silent since its program has ended."""
        reached = log.follower.reached
        if log.due == _NEVER or reached != log.reached:
            log.due, log.reached = now + SILENT_SECONDS, reached
        elif log.due <= now:
            log.due = _NEVER
            log.follower.hang_up()

    def _wake(self, log: _Log) -> None:
        """Give a log the next go: at once if it may follow or does not read, else in turn."""
        if not log.follower.reads:
            self._go(log)
        elif not self._has_ended(log) and self._limits.followers.take():
            self._go(log, self._limits.followers)
        else:
            log.state = _State.IN_TURN
            self._turns.append(log)
            self._give_turns()

    def _give_turns(self) -> None:
        while self._turns and self._limits.readers.take():
            self._go(self._turns.popleft(), self._limits.readers)

    def _go(self, log: _Log, place: Places | None = None) -> None:
        follows = place is self._limits.followers
        log.is_last = not follows and self._has_ended(log)
        log.state, log.due, log.place = _State.GOES, _NEVER, place
        leave = partial(self._leave, log)
        go = log.follower.go(follows=follows, is_last=log.is_last, leave=leave)
        log.task = asyncio.create_task(go, name=f"log of {log.call.run} {log.call.attempt}")
        log.task.add_done_callback(partial(self._gone, log))

    def _leave(self, log: _Log) -> None:
        place, log.place = log.place, None
        if place is not None:
            place.leave()
            self._give_turns()

    def _gone(self, log: _Log, task: asyncio.Task[float | None]) -> None:
        """Take note of how a go went."""
        log.task = None
        self._leave(log)
        if task.cancelled():
            return
        if error := task.exception():
            self._break(log, error)
        elif (again := task.result()) is not None:
            self._wait(log, again)
        elif log.end.tail:
            self._wait_with_tail(log)
        else:
            log.state = _State.COMPLETE
            self._on_complete(log.call)

    def _wait(self, log: _Log, seconds: float) -> None:
        log.state, log.due = _State.WAITS, asyncio.get_running_loop().time() + seconds
        if not log.is_last and self._has_ended(log):
            self._wake(log)

    def _wait_with_tail(self, log: _Log) -> None:
        """Keep the last of a log if its Run's end is asked for, or else see whether it comes."""
        log.state, log.due = _State.KEPT, asyncio.get_running_loop().time() + self._limits.patience
        if log.end.confirm():
            log.state = _State.COMPLETE
            self._on_complete(log.call)
        elif not log.end.takes_tail:
            self._append(log)

    def _break(self, log: _Log, error: BaseException) -> None:
        log.end.let_go()
        if log.has_broken:
            _log.error("the rest of the log of %s is lost", told(log.call), exc_info=error)
            log.state = _State.COMPLETE
        else:
            _log.error("the log of %s broke off: once more", told(log.call), exc_info=error)
            log.state, log.has_broken = _State.BROKEN, True
        self._on_complete(log.call)
