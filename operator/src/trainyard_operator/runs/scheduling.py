"""What an unschedulable pod asks for, and which nodes could give it; quantities. Pure."""

from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

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
    sizes = {n["metadata"]["name"]: _size(n, resource) for n in nodes}
    enough = sorted(name for name, size in sizes.items() if size >= amount)
    if len(enough) == len(nodes):
        return ""
    if enough:
        more = f" and {len(enough) - _NAMED} more" if len(enough) > _NAMED else ""
        return f"{resource} {wanted} asked for: only {', '.join(enough[:_NAMED])}{more} have it"
    largest = max(sizes, key=lambda name: sizes[name])
    if not sizes[largest]:
        return f"{resource} {wanted} asked for: no node has any"
    has = (_allocatable(nodes, largest)).get(resource)
    return f"{resource} {wanted} asked for: the largest node, {largest}, has {has}"


def _requests(pod: Object) -> Mapping[str, Any]:
    found: dict[str, Any] = {}
    for container in pod["spec"].get("containers") or ():
        resources = container.get("resources") or {}
        found |= {**(resources.get("limits") or {}), **(resources.get("requests") or {})}
    return found


def _size(node: Object, resource: str) -> Decimal:
    allocatable = (node.get("status") or {}).get("allocatable") or {}
    return parse_quantity(allocatable.get(resource, "0"))


def _allocatable(nodes: Sequence[Object], name: str) -> Mapping[str, Any]:
    node = next(n for n in nodes if n["metadata"]["name"] == name)
    return (node.get("status") or {}).get("allocatable") or {}


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
