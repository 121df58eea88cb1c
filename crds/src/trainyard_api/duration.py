"""Durations as people write them: 90s, 15m, 1h30m. Pure."""

import re
from datetime import timedelta

_DURATION = re.compile(r"(?:(\d{1,5})h)?(?:(\d{1,6})m)?(?:(\d{1,7})s)?", re.ASCII)


def parse_duration(text: str) -> timedelta:
    """Return the length of time that the text says.

    Raises:
        ValueError: It is no positive duration in hours, minutes and seconds, in this order.
    """
    match = _DURATION.fullmatch(text)
    hours, minutes, seconds = (int(part or 0) for part in match.groups()) if match else (0, 0, 0)
    length = timedelta(hours=hours, minutes=minutes, seconds=seconds)
    if not length:
        raise ValueError(f"{text!r} is no positive duration: write it as 90s, 15m or 1h30m")
    return length


def format_duration(length: timedelta) -> str:
    """Return a length of time as one reads it at a glance: 41s, 3m5s, 2h10m, 3d4h."""
    total = max(int(length.total_seconds()), 0)
    minutes, seconds = divmod(total, 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{days}d{hours}h" if hours else f"{days}d"
    if hours:
        return f"{hours}h{minutes}m" if minutes else f"{hours}h"
    if minutes:
        return f"{minutes}m{seconds}s" if seconds else f"{minutes}m"
    return f"{seconds}s"
