"""A status's conditions: what a kind says merged into them, and how they are read. Pure.

How one is set, trainyard_api/conditions.py knows: what did not change stays equal, so that an
unchanged status compares equal.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from trainyard_api.conditions import find_condition, set_condition

from trainyard_operator.engine.plan import Object

MESSAGE_LIMIT = 4096


@dataclass(frozen=True, slots=True)
class Condition:
    """What a kind says about one condition; times and generation are added when merged."""

    type: str
    status: Literal["True", "False", "Unknown"]
    reason: str
    message: str


def parse_time(text: str) -> datetime:
    """Return the moment that a metav1.Time or MicroTime names."""
    return datetime.fromisoformat(text)


def find(status: Object, type_: str) -> Object | None:
    """Return the condition of a type, None if it was never set."""
    return find_condition({"status": status}, type_)


def is_true(status: Object, type_: str) -> bool:
    """Tell whether a condition is there and True."""
    found = find(status, type_)
    return found is not None and found["status"] == "True"


def merge(resource: Object, status: Object, *told: Condition, now: datetime) -> Object:
    """Return the status with these conditions set (others kept) and its observedGeneration."""
    generation = int(resource["metadata"].get("generation", 0))
    held = list(status.get("conditions") or ())
    for each in told:
        message = each.message[:MESSAGE_LIMIT]
        held = set_condition(
            held, each.type, each.status, each.reason, message, generation=generation, now=now
        )
    return {**status, "observedGeneration": generation, "conditions": held}
