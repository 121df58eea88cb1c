"""Whether and when a failed attempt is followed by another, and what has run too long. Pure.

A budget for each fault, counted over the attempts that the status still lists (the last 10),
and one over all attempts ever, so that no Run tries for ever.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from trainyard_api.duration import parse_duration

from trainyard_operator.runs.outcome import Fault

FIRST_DELAY = timedelta(seconds=2)
LONGEST_DELAY = timedelta(minutes=5)
DEFAULTS = {"userError": 0, "infrastructure": 3}

_INFRASTRUCTURE = frozenset({"PodLost", "Evicted", "Preempted", "InitFailed"})
_UNCOUNTED = frozenset({"Suspended"})
_FIELDS = {Fault.USER: "userError", Fault.INFRASTRUCTURE: "infrastructure"}


def retry_delay(
    fault: Fault,
    *,
    limits: Mapping[str, int],
    earlier: Sequence[Mapping[str, Any]],
    attempts: int,
) -> timedelta | None:
    """Return how long to wait before the next attempt, None if there is none.

    Args:
        limits: spec.retry.
        earlier: status.attempts; the one that just ended is told by having no end there yet.
        attempts: How many there have been in all, with the one that just ended.
    """
    field = _FIELDS.get(fault)
    if field is None:
        return None
    allowed = {**DEFAULTS, **limits}
    earlier = [each for each in earlier if each.get("completionTime")]
    suspended = sum(1 for each in earlier if each.get("reason") in _UNCOUNTED)
    used = sum(1 for each in earlier if _field(each) == field)
    total = allowed["userError"] + allowed["infrastructure"]
    if used >= allowed[field] or attempts - suspended > total:
        return None
    return delay_after(attempts - suspended)


def delay_after(attempts: int) -> timedelta:
    """Return the pause after so many attempts: it doubles each time."""
    doubled: timedelta = FIRST_DELAY * 2 ** min(max(attempts - 1, 0), 20)
    return min(doubled, LONGEST_DELAY)


def _field(attempt: Mapping[str, Any]) -> str:
    reason = attempt.get("reason")
    if reason in _UNCOUNTED:
        return ""
    return "infrastructure" if reason in _INFRASTRUCTURE else "userError"


def time_left(spec: Mapping[str, Any], started: datetime, *, now: datetime) -> timedelta | None:
    """Return how long an attempt may still run (negative: too long already), None if for ever."""
    if not spec.get("timeout"):
        return None
    return started + parse_duration(spec["timeout"]) - now


def clean_up_in(spec: Mapping[str, Any], finished: datetime, *, now: datetime) -> timedelta | None:
    """Return how long children stay after the end, None if for as long as the Run."""
    seconds = spec.get("ttlSecondsAfterFinished")
    if seconds is None:
        return None
    return finished + timedelta(seconds=int(seconds)) - now
