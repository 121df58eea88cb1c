"""The World of a real cluster: cached reads, and a few live ones to explain what waits."""

import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from trainyard_operator.cache import Cache
from trainyard_operator.kube import Kube
from trainyard_operator.plan import Object, Ref
from trainyard_operator.world import Tracking

_NODES_AGE = 30.0


class ClusterWorld:
    """See world.World."""

    def __init__(self, cache: Cache, kube: Kube, tracking: Tracking) -> None:
        self.cache = cache
        self.tracking = tracking
        self._kube = kube
        self._nodes: tuple[float, Sequence[Object]] = (-_NODES_AGE, ())

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

    def now(self) -> datetime:
        """Return the time."""
        return datetime.now(UTC)

    async def read(self, ref: Ref) -> Object | None:
        """Return any object from the API server."""
        return await self._kube.read(ref)

    async def nodes(self) -> Sequence[Object]:
        """Return the nodes, at most half a minute old."""
        read_at, nodes = self._nodes
        if time.monotonic() - read_at > _NODES_AGE:
            nodes = [node async for node in self._kube.list("v1", "Node")]
            self._nodes = (time.monotonic(), nodes)
        return nodes

    async def warnings(self, ref: Ref) -> Sequence[str]:
        """Return the messages of an object's Warning Events, newest first."""
        fields = f"involvedObject.uid={ref.uid},type=Warning"
        found = self._kube.list("v1", "Event", ref.namespace, fieldSelector=fields)
        events = [event async for event in found]
        events.sort(key=_last_seen, reverse=True)
        return [f"{event.get('reason', '')}: {event.get('message', '')}" for event in events]


def _last_seen(event: Object) -> str:
    series = (event.get("series") or {}).get("lastObservedTime")
    times = (series, event.get("lastTimestamp"), event.get("eventTime"))
    return str(next((t for t in times if t), event["metadata"]["creationTimestamp"]))
