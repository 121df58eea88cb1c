"""What kinds may look at: cached reads, a few live ones, and the tracking service.

A protocol, so that kinds and tests need no cluster. cache.py holds the real one; tests/fakes.py
another. Kinds only read here: what they want done goes into a Plan.

Resources are named by their plural, which tells apps/v1 Deployments ("deployments") from ours
("modeldeployments").
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple, Protocol

from trainyard_operator.engine.plan import Object, Ref


class Key(NamedTuple):
    """What the work queue holds: a resource to be looked at."""

    resource: str
    namespace: str
    name: str


class Tracking(Protocol):
    """What kinds may ask the tracking service while observing (read only)."""

    async def summary(self, namespace: str, run_id: str) -> Mapping[str, Any]:
        """Return metrics, params, status, startTime, experiment and models of an MLflow run."""


class World(Protocol):
    """The cluster as the operator sees it."""

    @property
    def tracking(self) -> Tracking: ...

    def get(self, resource: str, namespace: str, name: str) -> Object | None:
        """Return a watched object from the cache, never older than our own last write."""

    def list(
        self,
        resource: str,
        namespace: str,
        *,
        owner: str = "",
        labels: Mapping[str, str] | None = None,
        by: tuple[str, str] | None = None,
        limit: int | None = None,
    ) -> Sequence[Object]:
        """Return watched objects of a namespace, sorted by name.

        A scan, unless an index narrows it: the owner, a label or *by* that a kind indexes.

        Args:
            owner: Only those whose controller has this UID.
            labels: Only those with all of these labels.
            by: Only those that this index (see Kind.indexes) finds by this value.
            limit: At most so many.
        """

    def count(self, resource: str, namespace: str, *, by: tuple[str, str]) -> int:
        """Return how many watched objects an index finds, without reading them."""

    def all(self, resource: str) -> Iterable[Object]:
        """Return the watched objects of every namespace: rarely, for they may be many."""

    def now(self) -> datetime:
        """Return the time, for deciding whether an explanation is due; plan() is given its own."""

    async def read(self, ref: Ref) -> Object | None:
        """Return any object from the API server, None if there is none: rarely."""

    async def read_all(
        self, api_version: str, kind: str, namespace: str, **params: str
    ) -> Sequence[Object]:
        """Return objects of a namespace from the API server, by query parameters: rarely."""

    async def nodes(self) -> Sequence[Object]:
        """Return what nodes have (names, allocatable), at most half a minute old.

        Only to explain a pod that waits; none if they cannot be listed.
        """

    async def warnings(self, ref: Ref) -> Sequence[str]:
        """Return the messages of an object's Warning Events, newest first.

        Only to explain a wait; none if they cannot be listed.
        """
