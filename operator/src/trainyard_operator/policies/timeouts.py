"""When an attempt has run too long, and when a finished Run's children go. Pure."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from trainyard_api.duration import parse_duration


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
