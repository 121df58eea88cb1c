"""The work queue: keys to look at, each at most once at a time and never lost.

Semantics of client-go's workqueue, because they are what makes level-triggering safe:

    add ─▶ dirty ─▶ waiting ──get──▶ processing ──done──▶ (dirty again? back to waiting)

A key added while it is processed is processed again afterwards; one added twice before that is
processed once. What is news goes before what is looked at once more, so that a new object never
waits for thousands that wait anyway; of SHARE keys one is of the others. Groups take turns, so that
one namespace's thousand new objects never hold up another's one. Nothing here knows what a key
means.
"""

import asyncio
import random
from collections import OrderedDict, deque
from collections.abc import Callable, Hashable
from datetime import timedelta
from typing import Generic, NamedTuple, TypeVar

K = TypeVar("K", bound=Hashable)

BASE = timedelta(milliseconds=200)
CEILING = timedelta(minutes=1)
SHARE = 8


class _Dirty(NamedTuple):
    since: float
    is_news: bool


class _Line(Generic[K]):
    """Keys that wait; groups of them take turns, and within one it is first come, first served."""

    def __init__(self, group: Callable[[K], Hashable]) -> None:
        self._group = group
        self._waiting: OrderedDict[Hashable, deque[K]] = OrderedDict()

    def add(self, key: K) -> None:
        self._waiting.setdefault(self._group(key), deque()).append(key)

    def take(self, is_wanted: Callable[[K], bool]) -> K | None:
        """Return the next key that is wanted; what is not, in the same turn, is dropped."""
        while self._waiting:
            group, keys = self._waiting.popitem(last=False)
            while keys:
                key = keys.popleft()
                if is_wanted(key):
                    if keys:
                        self._waiting[group] = keys
                    return key
        return None


class WorkQueue(Generic[K]):
    """Deduplicating queue with delays and per-key exponential back-off. For one event loop.

    Args:
        group: Returns what a key takes turns as.
        jitter: Returns a number in [0, 1); delays are stretched by up to a fifth with it.
        on_add: Told of every key that becomes dirty.
        on_get: Told of the seconds that a key waited.
    """

    def __init__(
        self,
        *,
        group: Callable[[K], Hashable] = lambda _: None,
        jitter: Callable[[], float] = random.random,
        on_add: Callable[[K], None] = lambda _: None,
        on_get: Callable[[K, float], None] = lambda _key, _seconds: None,
    ) -> None:
        self._jitter = jitter
        self._on_add = on_add
        self._on_get = on_get
        self._news = _Line(group)
        self._again = _Line(group)
        self._taken = 0
        self._dirty: dict[K, _Dirty] = {}
        self._processing: set[K] = set()
        self._failures: dict[K, int] = {}
        self._timers: dict[K, asyncio.TimerHandle] = {}
        self._settling: set[K] = set()
        self._getters: deque[asyncio.Future[None]] = deque()
        self._closed = False

    def __len__(self) -> int:
        return sum(key not in self._processing for key in self._dirty)

    def add(self, key: K, *, is_news: bool = True) -> None:
        """Ask for a look at a key, now."""
        if self._closed or (key in self._dirty and (self._dirty[key].is_news or not is_news)):
            return
        before = self._dirty.get(key)
        self._dirty[key] = _Dirty(
            before.since if before else asyncio.get_running_loop().time(), is_news
        )
        if before is None:
            self._on_add(key)
        if key not in self._processing:
            self._enqueue(key)

    def add_after(self, key: K, delay: timedelta, *, is_news: bool = False) -> None:
        """Ask for a look at a key after a delay; of several, the earliest counts.

        Args:
            is_news: Something changed, and what belongs to it may come until then.
        """
        if self._closed:
            return
        seconds = delay.total_seconds()
        if seconds <= 0:
            self.add(key)
            return
        if is_news:
            self._settling.add(key)
        loop = asyncio.get_running_loop()
        pending = self._timers.get(key)
        if pending is not None:
            if pending.when() <= loop.time() + seconds:
                return
            pending.cancel()
        self._timers[key] = loop.call_later(seconds, self._ring, key)

    def add_failed(self, key: K) -> timedelta:
        """Ask for a look at a key after its back-off, which doubles with every failure."""
        failures = self._failures.get(key, 0)
        self._failures[key] = failures + 1
        delay: timedelta = min(BASE * 2 ** min(failures, 20), CEILING)
        delay *= 1 + 0.2 * self._jitter()
        self.add_after(key, delay)
        return delay

    def forget(self, key: K) -> None:
        """Start the key's back-off anew: it succeeded."""
        self._failures.pop(key, None)

    async def get(self) -> K | None:
        """Wait for a key to work on; None once the queue is closed and empty."""
        while (key := self._next()) is None:
            if self._closed:
                return None
            await self._added()
        since = self._dirty.pop(key).since
        self._processing.add(key)
        if key in self._settling:
            # What was to be looked at then is seen now, and this look says when the next is due.
            self._settling.discard(key)
            self._timers.pop(key).cancel()
        self._on_get(key, asyncio.get_running_loop().time() - since)
        return key

    def done(self, key: K) -> None:
        """Say that the work on a key got by get() has ended."""
        self._processing.discard(key)
        if key in self._dirty:
            self._enqueue(key)

    def close(self) -> None:
        """Take nothing more; what waits is still handed out."""
        self._closed = True
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        self._settling.clear()
        while self._getters:
            self._wake_one()

    def abandon(self) -> None:
        """Take nothing more and hand out nothing more: another process looks at everything."""
        self._dirty.clear()
        self.close()

    async def _added(self) -> None:
        getter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._getters.append(getter)
        try:
            await getter
        except asyncio.CancelledError:
            if getter in self._getters:
                self._getters.remove(getter)
            else:
                self._wake_one()  # it was our turn: somebody else's now
            raise

    def _next(self) -> K | None:
        self._taken += 1
        lines = (self._again, self._news) if self._taken % SHARE == 0 else (self._news, self._again)
        for line in lines:
            if (key := line.take(self._waits)) is not None:
                return key
        return None

    def _waits(self, key: K) -> bool:
        # One that became news waits in both lines: whichever comes second is passed over.
        return key in self._dirty and key not in self._processing

    def _wake_one(self) -> None:
        # One key is one worker's: waking all of them costs more than the look.
        while self._getters:
            getter = self._getters.popleft()
            if not getter.done():
                getter.set_result(None)
                return

    def _ring(self, key: K) -> None:
        del self._timers[key]
        is_news = key in self._settling
        self._settling.discard(key)
        self.add(key, is_news=is_news)

    def _enqueue(self, key: K) -> None:
        (self._news if self._dirty[key].is_news else self._again).add(key)
        self._wake_one()
