"""The work queue: keys to look at, each at most once at a time and never lost.

Semantics of client-go's workqueue, because they are what makes level-triggering safe:

    add ─▶ dirty ─▶ waiting ──get──▶ processing ──done──▶ (dirty again? back to waiting)

A key added while it is processed is processed again afterwards; one added twice before that is
processed once. Nothing here knows what a key means.
"""

import asyncio
import random
from collections import deque
from collections.abc import Callable, Hashable
from datetime import timedelta
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)

BASE = timedelta(milliseconds=200)
CEILING = timedelta(minutes=1)


class WorkQueue(Generic[K]):
    """Deduplicating queue with delays and per-key exponential back-off. For one event loop.

    Args:
        jitter: Returns a number in [0, 1); delays are stretched by up to a fifth with it.
        on_add: Told of every key that becomes dirty.
        on_get: Told of the seconds that a key waited.
    """

    def __init__(
        self,
        *,
        jitter: Callable[[], float] = random.random,
        on_add: Callable[[K], None] = lambda _: None,
        on_get: Callable[[K, float], None] = lambda _key, _seconds: None,
    ) -> None:
        self._jitter = jitter
        self._on_add = on_add
        self._on_get = on_get
        self._waiting: deque[K] = deque()
        self._dirty: dict[K, float] = {}
        self._processing: set[K] = set()
        self._failures: dict[K, int] = {}
        self._timers: dict[K, asyncio.TimerHandle] = {}
        self._getters: deque[asyncio.Future[None]] = deque()
        self._closed = False

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def processing(self) -> int:
        """How many keys are being worked on."""
        return len(self._processing)

    def add(self, key: K) -> None:
        """Ask for a look at a key, now."""
        if self._closed or key in self._dirty:
            return
        self._dirty[key] = asyncio.get_running_loop().time()
        self._on_add(key)
        if key not in self._processing:
            self._enqueue(key)

    def add_after(self, key: K, delay: timedelta) -> None:
        """Ask for a look at a key after a delay; of several, the earliest counts."""
        if self._closed:
            return
        seconds = delay.total_seconds()
        if seconds <= 0:
            self.add(key)
            return
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
        while not self._waiting:
            if self._closed:
                return None
            await self._added()
        key = self._waiting.popleft()
        since = self._dirty.pop(key)
        self._processing.add(key)
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
        while self._getters:
            self._wake_one()

    def abandon(self) -> None:
        """Take nothing more and hand out nothing more: another process looks at everything."""
        self._waiting.clear()
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
            elif self._waiting:
                self._wake_one()  # it was our turn: somebody else's now
            raise

    def _wake_one(self) -> None:
        # One key is one worker's: waking all of them costs more than the look.
        while self._getters:
            getter = self._getters.popleft()
            if not getter.done():
                getter.set_result(None)
                return

    def _ring(self, key: K) -> None:
        del self._timers[key]
        self.add(key)

    def _enqueue(self, key: K) -> None:
        self._waiting.append(key)
        self._wake_one()
