"""The World of a real cluster: cached reads, and a few live ones to explain what waits."""

import asyncio
import logging
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from typing import Generic, TypeVar

from trainyard_operator.engine.cache import Cache
from trainyard_operator.engine.errors import OperatorError, told
from trainyard_operator.engine.kube import Kube
from trainyard_operator.engine.plan import Object, Ref
from trainyard_operator.engine.world import Tracking

T = TypeVar("T")
_log = logging.getLogger(__name__)

_NODES_AGE = 30.0
_EVENTS_AGE = 5.0
# A worker waits with each who asks.
_PATIENCE = 5.0
_FORGOTTEN_AFTER = 300.0
_WARNINGS = 5
"""How many an object keeps: explanations look at the newest."""


class ClusterWorld:
    """See world.World."""

    def __init__(
        self, cache: Cache, kube: Kube, tracking: Tracking, now: Callable[[], datetime]
    ) -> None:
        self.cache = cache
        self.tracking = tracking
        self.get = cache.get
        self.list = cache.list
        self.count = cache.count
        self.all = cache.all
        self.now = now
        self._kube = kube
        self._nodes: _Shared[Sequence[Object]] = _Shared(_NODES_AGE, ())
        self._events: dict[str, _Shared[Mapping[str, Sequence[str]]]] = {}

    async def read(self, ref: Ref) -> Object | None:
        """Return any object from the API server."""
        return await self._kube.read(ref)

    async def read_all(
        self, api_version: str, kind: str, namespace: str, **params: str
    ) -> Sequence[Object]:
        """Return objects of a namespace from the API server."""
        return [each async for each in self._kube.list(api_version, kind, namespace, **params)]

    async def nodes(self) -> Sequence[Object]:
        """Return what the nodes have, at most half a minute old."""
        return await self._nodes.read(self._sizes)

    async def warnings(self, ref: Ref) -> Sequence[str]:
        """Return the messages of an object's Warning Events, newest first.

        The namespace's are read together, because many objects wait for the same reason, and
        the API server reads all of them whichever are asked for.
        """
        if ref.namespace not in self._events:
            self._events = {k: v for k, v in self._events.items() if v.age() < _FORGOTTEN_AFTER}
        shared = self._events.setdefault(ref.namespace, _Shared(_EVENTS_AGE, {}))
        found = await shared.read(lambda: self._told(ref.namespace))
        return found.get(ref.uid, ())

    async def _sizes(self) -> Sequence[Object]:
        return [
            {
                "metadata": {"name": node["metadata"]["name"]},
                "status": {"allocatable": (node.get("status") or {}).get("allocatable") or {}},
            }
            async for node in self._kube.list("v1", "Node")
        ]

    async def _told(self, namespace: str) -> Mapping[str, Sequence[str]]:
        events: dict[str, list[tuple[str, str]]] = defaultdict(list)
        async for event in self._kube.list("v1", "Event", namespace, fieldSelector="type=Warning"):
            said = f"{event.get('reason', '')}: {event.get('message', '')}"
            events[event["involvedObject"].get("uid", "")].append((_last_seen(event), said))
        return {
            uid: [said for _, said in sorted(each, key=lambda one: one[0], reverse=True)][
                :_WARNINGS
            ]
            for uid, each in events.items()
        }


class _Shared(Generic[T]):
    """What is read again once it is too old, by one of those who ask.

    Only explanations need it: what cannot be read is *nothing* for as long, because each who
    waits would try for as long as the first, and nobody's patience or cancel waits for it.
    """

    def __init__(self, age: float, nothing: T) -> None:
        self._limit = age
        self._read_at = -float("inf")
        self._nothing = self._held = nothing
        self._lock = asyncio.Lock()

    def age(self) -> float:
        return time.monotonic() - self._read_at

    async def read(self, fetch: Callable[[], Awaitable[T]]) -> T:
        async with self._lock:
            if self.age() >= self._limit:
                try:
                    async with asyncio.timeout(_PATIENCE):
                        self._held = await fetch()
                except (OperatorError, TimeoutError) as exc:
                    _log.info("what explains a wait cannot be listed: %s", told(exc))
                    self._held = self._nothing
                self._read_at = time.monotonic()
            return self._held


def _last_seen(event: Object) -> str:
    series = (event.get("series") or {}).get("lastObservedTime")
    times = (series, event.get("lastTimestamp"), event.get("eventTime"))
    return str(next((t for t in times if t), event["metadata"]["creationTimestamp"]))
