"""What an unschedulable pod asks for, and which nodes could give it; quantities. Pure."""

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
from operator import attrgetter, is_
from typing import Any, NamedTuple

from trainyard_operator.engine.plan import Object

_NAMED = 3
_BINARY = {suffix: Decimal(1024) ** n for n, suffix in enumerate(("Ki", "Mi", "Gi", "Ti", "Pi"), 1)}
_DECIMAL = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_FACTORS = _BINARY | {suffix: Decimal(10) ** power for suffix, power in _DECIMAL.items()}


def explain_unschedulable(pod: Object, nodes: Sequence[Object]) -> str:
    """Return a sentence on each resource that is short, empty if none is.

    Compares requests with what nodes have in all (allocatable), because what is free changes:
    a node that is big enough but full is named as such.
    """
    requests = _requests(pod)
    said = [_explain(resource, wanted, nodes) for resource, wanted in sorted(requests.items())]
    return "; ".join(each for each in said if each)


def _explain(resource: str, wanted: Any, nodes: Sequence[Object]) -> str:
    amount = parse_quantity(wanted)
    if not amount or not nodes:
        return ""
    sizes = _sizes.of(resource, nodes)
    enough = sizes[bisect_left(sizes, amount, key=_amount) :]
    if len(enough) == len(nodes):
        return ""
    if enough:
        named = ", ".join(sorted(size.node for size in enough)[:_NAMED])
        more = f" and {len(enough) - _NAMED} more" if len(enough) > _NAMED else ""
        return f"{resource} {wanted} asked for: only {named}{more} have it"
    largest = sizes[-1]
    if not largest.amount:
        return f"{resource} {wanted} asked for: no node has any"
    has = f"the largest node, {largest.node}, has {largest.written}"
    return f"{resource} {wanted} asked for: {has}"


class _Size(NamedTuple):
    node: str
    amount: Decimal
    written: str


_amount = attrgetter("amount")


class _Sizes:
    """What the nodes have of each resource, least first: parsed once while the nodes are the same.

    Thousands of Runs may wait for a thousand nodes, which are read anew twice a minute.
    """

    def __init__(self) -> None:
        self._nodes: Sequence[Object] = ()
        self._sizes: dict[str, Sequence[_Size]] = {}

    def of(self, resource: str, nodes: Sequence[Object]) -> Sequence[_Size]:
        if len(nodes) != len(self._nodes) or not all(map(is_, nodes, self._nodes)):
            self._nodes, self._sizes = tuple(nodes), {}
        if resource not in self._sizes:
            self._sizes[resource] = sorted((_size(node, resource) for node in nodes), key=_amount)
        return self._sizes[resource]


_sizes = _Sizes()


def _requests(pod: Object) -> Mapping[str, Any]:
    found: dict[str, Any] = {}
    for container in pod["spec"].get("containers") or ():
        resources = container.get("resources") or {}
        found |= {**(resources.get("limits") or {}), **(resources.get("requests") or {})}
    return found


def _size(node: Object, resource: str) -> _Size:
    allocatable = (node.get("status") or {}).get("allocatable") or {}
    written = allocatable.get(resource, "0")
    return _Size(node["metadata"]["name"], parse_quantity(written), written)


def parse_quantity(text: object) -> Decimal:
    """Return the number that a quantity says.

    Raises:
        ValueError: It is no quantity.
    """
    written = str(text)
    number = written.rstrip("abcdfghijklmnopqrstuvwxyzABCDFGHIJKLMNOPQRSTUVWXYZE")
    try:
        return Decimal(number) * _FACTORS[written[len(number) :]]
    except (InvalidOperation, KeyError) as exc:
        raise ValueError(f"{written!r} is no quantity such as 500m, 2 or 4Gi") from exc


def doubled(text: object) -> str:
    """Return twice a quantity, in its own unit, as a suggestion."""
    written = str(text)
    number = written.rstrip("KMGTPEikmun")
    try:
        return f"{(Decimal(number) * 2).normalize():f}{written[len(number) :]}"
    except InvalidOperation:
        return f"twice {written}"
