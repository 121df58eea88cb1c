"""Taking the API server's timestamps off log lines, many at once. Pure.

    2026-11-24T10:00:00.123456789Z the line\\n   ─▶   the line\\n

The kubelet splits what a program prints at 16 KiB, but joins it again before it adds the
timestamp, so a line has exactly one.
"""

import re
from datetime import datetime

_STAMP = rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)"
_STAMPED = re.compile(rb"^(" + _STAMP + rb") ", re.MULTILINE)


def strip_stamps(block: bytes) -> bytes:
    """Return whole lines without their timestamps."""
    return _STAMPED.sub(b"", block)


def stamp_of(line: bytes) -> str:
    """Return the timestamp that a line begins with, empty if there is none."""
    found = _STAMPED.match(line)
    return found[1].decode() if found else ""


def last_stamp(block: bytes) -> str:
    """Return the timestamp of the last whole line of a block, empty if it has none."""
    end = len(block)
    while end > 0:
        begin = block.rfind(b"\n", 0, end - 1) + 1
        stamp = stamp_of(block[begin:end])
        if stamp:
            return stamp
        end = begin
    return ""


def after_stamp(block: bytes, stamp: str) -> bytes:
    """Return the lines of a block that are later than a timestamp.

    A log is asked for from a whole second on, so that lines shipped already come again.
    """
    if not stamp:
        return block
    shipped = _key(stamp.encode())
    begin = 0
    while begin < len(block):
        end = block.find(b"\n", begin) + 1 or len(block)
        found = _STAMPED.match(block[begin:end])
        if found and _key(found[1]) > shipped:
            return block[begin:]
        begin = end
    return b""


def _key(stamp: bytes) -> tuple[bytes, bytes]:
    # The fraction has no fixed width: 10.5 is later than 10.25.
    seconds, _, rest = stamp.partition(b".")
    fraction = rest.rstrip(b"Z").ljust(9, b"0") if rest else b"0" * 9
    return seconds.rstrip(b"Z")[:19], fraction[:9]


def seconds_between(earlier: str, later: str) -> float:
    """Return the seconds from one timestamp to another; 0 if one of them is none."""
    if not earlier or not later:
        return 0.0
    return (datetime.fromisoformat(later) - datetime.fromisoformat(earlier)).total_seconds()


def whole_seconds(stamp: str) -> str:
    """Return a timestamp as the API server's sinceTime takes it."""
    return f"{stamp[:19]}Z" if stamp else ""
