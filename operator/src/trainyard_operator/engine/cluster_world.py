"""The World of a real cluster: cached reads, and a few live ones to explain what waits."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime

from trainyard_operator.engine.cache import Cache
from trainyard_operator.engine.kube import Kube
from trainyard_operator.engine.plan import Object, Ref
from trainyard_operator.engine.world import Tracking

_NODES_AGE = 30.0
_EVENTS_AGE = 5.0


class ClusterWorld:
    """See world.World."""

    def __init__(self, cache: Cache, kube: Kube, tracking: Tracking) -> None:
        self.cache = cache
        self.tracking = tracking
        self._kube = kube
        self._nodes = _Shared(_NODES_AGE)
        self._events: dict[str, _Shared] = {}

    def get(self, resource: str, namespace: str, name: str) -> Object | None:
        """Return a watched object."""
        return self.cache.get(resource, namespace, name)

    def list(
        self,
        resource: str,
        namespace: str,
        *,
        owner: str = "",
        labels: Mapping[str, str] | None = None,
    ) -> Sequence[Object]:
        """Return watched objects of a namespace."""
        return self.cache.list(resource, namespace, owner=owner, labels=labels)

    def all(self, resource: str) -> Iterable[Object]:
        """Return the watched objects of every namespace."""
        return self.cache.all(resource)

    def now(self) -> datetime:
        """Return the time."""
        return datetime.now(UTC)

    async def read(self, ref: Ref) -> Object | None:
        """Return any object from the API server."""
        return await self._kube.read(ref)

    async def nodes(self) -> Sequence[Object]:
        """Return the nodes, at most half a minute old."""
        return await self._nodes.read(lambda: self._listed("Node", ""))

    async def warnings(self, ref: Ref) -> Sequence[str]:
        """Return the messages of an object's Warning Events, newest first.

        The namespace's are read together, because many objects wait for the same reason, and
        the API server reads all of them whichever are asked for.
        """
        shared = self._events.setdefault(ref.namespace, _Shared(_EVENTS_AGE))
        events = await shared.read(
            lambda: self._listed("Event", ref.namespace, fieldSelector="type=Warning")
        )
        ours = [each for each in events if each["involvedObject"].get("uid") == ref.uid]
        ours.sort(key=_last_seen, reverse=True)
        return [f"{event.get('reason', '')}: {event.get('message', '')}" for event in ours]

    async def _listed(self, kind: str, namespace: str, **params: str) -> Sequence[Object]:
        return [each async for each in self._kube.list("v1", kind, namespace, **params)]


class _Shared:
    """A list that is read again once it is too old, by one of those who ask."""

    def __init__(self, age: float) -> None:
        self._age = age
        self._read_at = -age
        self._held: Sequence[Object] = ()
        self._lock = asyncio.Lock()

    async def read(self, fetch: Callable[[], Awaitable[Sequence[Object]]]) -> Sequence[Object]:
        async with self._lock:
            if time.monotonic() - self._read_at >= self._age:
                self._held = await fetch()
                self._read_at = time.monotonic()
            return self._held


def _last_seen(event: Object) -> str:
    series = (event.get("series") or {}).get("lastObservedTime")
    times = (series, event.get("lastTimestamp"), event.get("eventTime"))
    return str(next((t for t in times if t), event["metadata"]["creationTimestamp"]))
