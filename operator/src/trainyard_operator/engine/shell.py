"""The running operator: caches, queue, workers and what wakes whom.

    kopf, informers ─▶ seen() ─▶ cache ─▶ wakers of the kinds ─▶ queue ─▶ N workers ─▶ reconcile
    our own writes ─────┘                                     (a queue and workers per kind)

Kinds have workers of their own, so that Runs which wait for the tracking service never hold up
a rollout or a promotion. watch.py feeds it, process.py starts and stops it. It decides nothing
about any kind.
"""

import asyncio
import logging
import random
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping
from datetime import timedelta
from enum import Enum
from typing import Any

from trainyard_operator import metrics
from trainyard_operator.engine import objects
from trainyard_operator.engine.cache import Name, name_of, version_of
from trainyard_operator.engine.cluster_world import ClusterWorld
from trainyard_operator.engine.errors import Retry
from trainyard_operator.engine.kind import Kind, Waker
from trainyard_operator.engine.plan import Object
from trainyard_operator.engine.queue import WorkQueue
from trainyard_operator.engine.reconcile import Reconciler
from trainyard_operator.engine.world import Key

RESYNC = timedelta(minutes=10)
BATCH = 1000
"""How many keys are added before others have their turn: the lease, probes."""
_log = logging.getLogger(__name__)


class Author(Enum):
    """Who wrote what is seen."""

    ANYBODY = "anybody"
    US = "us"
    """What follows from it may wait for what else comes."""
    STEP = "step"
    """A step of ours after which there is nothing more to do for the resource itself."""


class Shell:
    """Wires what is seen to what is looked at.

    Attributes:
        is_loading: Set while the caches are being filled: nobody is woken.
    """

    def __init__(self, kinds: Mapping[str, Kind[Any]], world: ClusterWorld) -> None:
        self._kinds = kinds
        self.world = world
        self.queues: dict[str, WorkQueue[Key]] = {
            resource: WorkQueue(
                group=lambda key: key.namespace, on_add=self._on_add, on_get=self._on_get
            )
            for resource in kinds
        }
        self._wakers = wakers_of(kinds)
        self.is_loading = False
        self.tasks: list[asyncio.Task[None]] = []

    def seen(
        self,
        resource: str,
        seen: Object,
        *,
        deleted: bool = False,
        by: Author = Author.ANYBODY,
    ) -> None:
        """Take in an object as it is now, and wake whoever it concerns.

        Never raises: kopf would let the exception go by, and an informer end.
        """
        try:
            if deleted:
                uid = seen["metadata"]["uid"]
                self.world.cache.drop(resource, name_of(seen), uid, version_of(seen))
            elif not self.world.cache.remember(resource, seen):
                return
        except Exception:  # noqa: BLE001  # told; what follows is taken in
            _log.exception("an object cannot be taken in", extra={"resource": resource})
            return
        self.wake(resource, seen, by=by)

    def gone(self, resource: str, name: Name, uid: str, version: int) -> None:
        """Take in that an object was gone by a version, of which nothing more was told."""
        held = self.world.cache.drop(resource, name, uid, version)
        if held is not None:
            self.wake(resource, held)

    def known(self, resource: str, namespace: str) -> Mapping[Name, tuple[str, int]]:
        """Return UID and version of what is held, by namespace and name."""
        return self.world.cache.versions(resource, namespace)

    def written(self, written: Object, /, *, is_steady: bool = False) -> None:
        """Take in what a write of ours returned.

        Args:
            is_steady: Nothing follows from it for the object itself, for others it may.
        """
        resource = objects.PLURALS[written["apiVersion"], written["kind"]]
        if resource in WATCHED:
            self.seen(resource, written, by=Author.STEP if is_steady else Author.US)

    def wake(self, resource: str, seen: Object, *, by: Author = Author.ANYBODY) -> None:
        """Have every kind that says so look at what it owns of an object."""
        if self.is_loading:
            return  # everything is looked at once all of it is there
        namespace = seen["metadata"].get("namespace", "")
        for kind, waker in self._wakers[resource]:
            is_own = resource == kind.resource
            if is_own and by is Author.STEP:
                continue
            try:
                names = tuple(waker(seen, self.world))
            except Exception:  # noqa: BLE001  # a bug in one waker: all of its kind are looked at
                _log.exception("whom an object concerns is unknown", extra={"kind": kind.resource})
                every = self.world.cache.names(kind.resource)
                names = tuple(name for where, name in every if where == namespace)
            settle = kind.settle
            if is_own:  # what a user changes is looked at at once
                settle = kind.settle_own if by is Author.US else timedelta(0)
            for name in names:
                key = Key(kind.resource, namespace, name)
                self.queues[kind.resource].add_after(key, settle, is_news=True)

    async def start(self, reconciler: Reconciler, *, workers: int) -> None:
        """Look at everything once, and start the workers of each kind."""
        self.is_loading = False
        for resource in self._kinds:
            async for key in self._keys(resource):
                self.queues[resource].add(key, is_news=False)
        for resource, queue in self.queues.items():
            for _ in range(workers):
                work = self._work(reconciler, queue)
                self.tasks.append(asyncio.create_task(work, name=f"worker of {resource}"))
        self.tasks.append(asyncio.create_task(self._resync(), name="resync"))

    async def drain(self, *, patience: float) -> None:
        """Let the workers finish what they are at, not what waits, and stop them."""
        for queue in self.queues.values():
            queue.abandon()
        busy = [task for task in self.tasks[:-1] if not task.done()]
        if busy:
            await asyncio.wait(busy, timeout=patience)
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)

    async def _work(self, reconciler: Reconciler, queue: WorkQueue[Key]) -> None:
        while (key := await queue.get()) is not None:
            metrics.ACTIVE_WORKERS.labels(key.resource).inc()
            began = time.perf_counter()
            try:
                result = await self._look(reconciler, key)
            finally:
                queue.done(key)
                metrics.ACTIVE_WORKERS.labels(key.resource).dec()
            metrics.RECONCILE_SECONDS.labels(key.resource).observe(time.perf_counter() - began)
            metrics.RECONCILE_TOTAL.labels(key.resource, result).inc()

    async def _look(self, reconciler: Reconciler, key: Key) -> str:
        told = {"kind": key.resource, "namespace": key.namespace, "object": key.name}
        try:
            after = await reconciler.reconcile(key)
        except Retry as exc:
            delay = self._again(key, exc.after)
            # Waiting for a known time is no news.
            level = logging.DEBUG if exc.after else logging.INFO
            _log.log(level, "%s: %s", exc.reason, exc.message, extra={**told, "after": str(delay)})
            return "requeue_after" if exc.after else "requeue"
        except Exception:  # noqa: BLE001  # a bug in one kind must not stop the others
            metrics.RECONCILE_ERRORS.labels(key.resource).inc()
            self._again(key, None)
            _log.exception("reconciliation failed", extra=told)
            return "error"
        self.queues[key.resource].forget(key)
        if after is not None:
            self.queues[key.resource].add_after(key, after)
            return "requeue_after"
        return "success"

    def _again(self, key: Key, after: timedelta | None) -> timedelta:
        metrics.QUEUE_RETRIES.labels(key.resource).inc()
        if after is None:
            return self.queues[key.resource].add_failed(key)
        self.queues[key.resource].add_after(key, after)
        return after

    async def _resync(self) -> None:
        while True:
            await asyncio.sleep(RESYNC.total_seconds())
            for resource in self._kinds:
                async for key in self._keys(resource):
                    spread = RESYNC * random.random()  # noqa: S311  # no secret
                    self.queues[resource].add_after(key, spread)

    async def _keys(self, resource: str) -> AsyncIterator[Key]:
        """Yield every resource of a kind, and let others have their turn in between."""
        for nth, (namespace, name) in enumerate(self.world.cache.names(resource)):
            yield Key(resource, namespace, name)
            if nth % BATCH == 0:
                await asyncio.sleep(0)

    def _on_add(self, key: Key) -> None:
        metrics.QUEUE_ADDS.labels(key.resource).inc()
        metrics.QUEUE_DEPTH.labels(key.resource).inc()

    def _on_get(self, key: Key, seconds: float) -> None:
        metrics.QUEUE_SECONDS.labels(key.resource).observe(seconds)
        metrics.QUEUE_DEPTH.labels(key.resource).dec()


WATCHED = (*objects.OWN_RESOURCES, *objects.CHILDREN)
"""Ours, and children, of which informers watch those with our label."""


def wakers_of(kinds: Mapping[str, Kind[Any]]) -> dict[str, list[tuple[Kind[Any], Waker]]]:
    """Return, by watched resource, the kinds that want to know and how they find names."""
    found: dict[str, list[tuple[Kind[Any], Waker]]] = defaultdict(list)
    for kind in kinds.values():
        found[kind.resource].append((kind, _itself))
        for resource, waker in kind.wakes.items():
            found[resource].append((kind, waker))
    return found


def _itself(seen: Object, _world: Any) -> tuple[str]:
    return (seen["metadata"]["name"],)
