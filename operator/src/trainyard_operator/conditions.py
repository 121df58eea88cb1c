"""metav1.Condition lists: set, find, read. Pure.

A condition's transition time moves only when its status does, and one that did not change in
any field keeps its very dict, so that an unchanged status compares equal.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from trainyard_operator.plan import Object

MESSAGE_LIMIT = 4096


@dataclass(frozen=True, slots=True)
class Condition:
    """What a kind says about one condition; times and generation are added when merged."""

    type: str
    status: Literal["True", "False", "Unknown"]
    reason: str
    message: str


def rfc3339(moment: datetime) -> str:
    """Return the time as metav1.Time writes it, in whole seconds of UTC."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def parse_time(text: str) -> datetime:
    """Return the moment that a metav1.Time or MicroTime names."""
    return datetime.fromisoformat(text)


def find(status: Object, type_: str) -> dict[str, Any] | None:
    """Return the condition of a type, None if it was never set."""
    for condition in status.get("conditions") or ():
        if condition["type"] == type_:
            return dict(condition)
    return None


def is_true(status: Object, type_: str) -> bool:
    """Tell whether a condition is there and True."""
    found = find(status, type_)
    return found is not None and found["status"] == "True"


def merge(resource: Object, status: Object, *told: Condition, now: datetime) -> Object:
    """Return the status with these conditions set (others kept) and its observedGeneration."""
    generation = int(resource["metadata"].get("generation", 0))
    held = {c["type"]: c for c in status.get("conditions") or ()}
    for condition in told:
        held[condition.type] = _merged(held.get(condition.type), condition, generation, now)
    return {**status, "observedGeneration": generation, "conditions": list(held.values())}


def _merged(
    old: dict[str, Any] | None, told: Condition, generation: int, now: datetime
) -> dict[str, Any]:
    moved = old is None or old["status"] != told.status
    return {
        "type": told.type,
        "status": told.status,
        "reason": told.reason,
        "message": told.message[:MESSAGE_LIMIT],
        "observedGeneration": generation,
        "lastTransitionTime": rfc3339(now) if old is None or moved else old["lastTransitionTime"],
    }


def restore(status: Object, type_: str, before: Object) -> Object:
    """Return the status with one condition as it stood before, or without it."""
    stood = find(before, type_)
    held = [
        stood if each["type"] == type_ and stood else each
        for each in status.get("conditions") or ()
        if stood or each["type"] != type_
    ]
    return {**status, "conditions": held} if "conditions" in status else status


def summary(status: Object, types: Sequence[str]) -> str:
    """Return `Type=Status(Reason)` of some conditions, for logs."""
    held = {c["type"]: c for c in status.get("conditions") or ()}
    return " ".join(f"{t}={held[t]['status']}({held[t]['reason']})" for t in types if t in held)
