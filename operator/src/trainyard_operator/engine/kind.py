"""What a kind is: what it looks at, what it decides, what wakes it.

A kind is a folder with these in it, and a KIND that names them (kind.py):

    async def observe(resource: Object, world: World) -> Observed      reads only
    def plan(resource, observed, *, now, settings) -> Plan             pure
    PERFORMERS                                                         effect → who makes the call

    KIND = Kind(resource="runs", condition="Finished", observe=observe, plan=plan,
                wakes={"jobs": owner_of("Run"), …})

`wakes` says whose change must be looked at by this kind: watched resource → the names (in the
same namespace) of the resources of this kind to look at. Kinds never import each other; they
meet through API objects. Nothing in engine/ knows any of them: kinds.py lists them all.
"""

from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Generic, Protocol, TypeVar

from prometheus_client import Counter

from trainyard_operator.engine import conditions
from trainyard_operator.engine.cache import Indexer
from trainyard_operator.engine.errors import OperatorError
from trainyard_operator.engine.performing import Performers
from trainyard_operator.engine.plan import Object, Plan
from trainyard_operator.engine.world import World
from trainyard_operator.settings import Settings

O = TypeVar("O")  # noqa: E741  # Observed
O_contra = TypeVar("O_contra", contravariant=True)

# A watched object → names, in its namespace, of the resources to look at.
Waker = Callable[[Object, World], Iterable[str]]


class Planner(Protocol[O_contra]):
    """The signature of plan()."""

    def __call__(
        self, resource: Object, observed: O_contra, /, *, now: datetime, settings: Settings
    ) -> Plan: ...


class Refuser(Protocol):
    """The signature of refused(): the status that tells of a failed step."""

    def __call__(
        self,
        resource: Object,
        status: Object,
        /,
        *,
        error: OperatorError,
        condition: str,
        now: datetime,
    ) -> Object: ...


def condition_false(
    resource: Object, status: Object, /, *, error: OperatorError, condition: str, now: datetime
) -> Object:
    """Return the status with one condition False, with the error's reason and message."""
    told = conditions.Condition(condition, "False", error.reason, error.message)
    return conditions.merge(resource, status, told, now=now)


def _never(status: Object) -> bool:
    del status
    return False


@dataclass(frozen=True, slots=True)
class Kind(Generic[O]):
    """One kind, as reconcile.py and handlers.py see it.

    Attributes:
        resource: Its plural.
        condition: The condition type that tells why a step failed.
        wakes: Watched resource → names of this kind to look at when it changes. The kind's
            own resource is always included.
        indexes: Watched resource → name → what objects are found by, for World.list and count;
            an index named as a label serves list(labels=…), too.
        keeps_managers: Whether it reads who owns which field (metadata.managedFields).
        settle: How long to let changes of others gather before looking; bounds the looks of
            kinds that sum up many.
        settle_own: The same after a write of its own: what follows is to be seen with it.
        is_settled: Tells from a status whether its main condition is final: then no error of a
            later step, such as cleaning up, may touch it.
        refused: Turns an error into a status; the default sets `condition` to False.
        performers: Who makes the call of each effect that plans ask for.
        ends: The condition type that turns True once, at the resource's end.
        counted: Counts those ends, by the label `reason`.
    """

    resource: str
    condition: str
    observe: Callable[[Object, World], Awaitable[O]]
    plan: Planner[O]
    wakes: Mapping[str, Waker] = field(default_factory=dict)
    indexes: Mapping[str, Mapping[str, Indexer]] = field(default_factory=dict)
    performers: Performers = field(default_factory=dict)
    settle: timedelta = timedelta(0)
    settle_own: timedelta = timedelta(0)
    keeps_managers: bool = False
    is_settled: Callable[[Object], bool] = _never
    refused: Refuser = condition_false
    ends: str = ""
    counted: Counter | None = None


def indexes_of(kinds: Mapping[str, Kind[Any]]) -> Mapping[str, Mapping[str, Indexer]]:
    """Return what all kinds look objects up by, for the cache."""
    found: dict[str, dict[str, Indexer]] = defaultdict(dict)
    for kind in kinds.values():
        for resource, indexers in kind.indexes.items():
            found[resource] |= indexers
    return found


def owner_of(kind: str) -> Waker:
    """Return a waker that names the controller of a child, if it is of our *kind*."""

    def waker(child: Object, world: World) -> Iterable[str]:
        del world
        for owner in child["metadata"].get("ownerReferences") or ():
            if (
                owner.get("controller")
                and owner["kind"] == kind
                and "trainyard.dev/" in owner["apiVersion"]
            ):
                yield owner["name"]

    return waker


def labelled(label: str) -> Waker:
    """Return a waker that names what a child's label says."""
    find = by_label(label)
    return lambda child, world: find(child)


def by_label(label: str) -> Indexer:
    """Return an indexer of a label's values."""

    def indexer(each: Object) -> Iterable[str]:
        value = (each["metadata"].get("labels") or {}).get(label)
        if value:
            yield value

    return indexer
