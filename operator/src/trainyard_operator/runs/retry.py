"""Whether and when a failed attempt is followed by another, and what has run too long. Pure.

A budget for each fault, counted in the status: the attempts that it lists are only the last 10.
Suspensions, and places that a queue took back, count for none.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from trainyard_api.duration import parse_duration

from trainyard_operator.runs.outcome import MOVED, Fault

FIRST_DELAY = timedelta(seconds=2)
LONGEST_DELAY = timedelta(minutes=5)
DEFAULTS = {"userError": 0, "infrastructure": 3}

_INFRASTRUCTURE = frozenset({"PodLost", "Evicted", "Preempted", "InitFailed"})
_UNCOUNTED = frozenset({"Suspended", MOVED})
_FIELDS = {Fault.USER: "userError", Fault.INFRASTRUCTURE: "infrastructure"}


def used_retries(status: Mapping[str, Any]) -> dict[str, int]:
    """Return how many further attempts each kind of failure has had so far.

    A status of an earlier release does not say it, but lists the last attempts: all that have
    ended had another, or are about to.
    """
    if "retries" in status:
        return {field: int(status["retries"].get(field, 0)) for field in DEFAULTS}
    attempts = status.get("attempts") or ()
    ended = [_field(each) for each in attempts if each.get("completionTime")]
    unlisted = max(int(status.get("attemptCount", 0)) - len(attempts), 0)
    return {
        "userError": ended.count("userError") + unlisted,
        "infrastructure": ended.count("infrastructure"),
    }


def one_more(used: Mapping[str, int], fault: Fault) -> dict[str, int]:
    """Return the counts with one further attempt for a failure by this fault."""
    field = _FIELDS.get(fault)
    return {**used, field: used[field] + 1} if field else dict(used)


def retry_delay(
    fault: Fault, *, limits: Mapping[str, int], used: Mapping[str, int]
) -> timedelta | None:
    """Return how long to wait before the next attempt, None if there is none.

    Args:
        limits: spec.retry.
        used: How many each kind of failure has had, see `used_retries`.
    """
    if fault is Fault.QUEUE:
        return FIRST_DELAY
    field = _FIELDS.get(fault)
    if field is None or used[field] >= {**DEFAULTS, **limits}[field]:
        return None
    return delay_after(sum(used.values()) + 1)


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
