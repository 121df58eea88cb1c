"""From a stream of stamped lines to what a program printed, from a place on. Pure.

    2026-11-24T10:00:00.123456789Z the line\\n   ─▶   the line\\n

The kubelet splits what a program prints at 16 KiB, but joins it again before it adds the
timestamp, so a line has exactly one.

A *place* says how far a log has come: the timestamp of its last line, and `@n` if that line has
no end yet and n bytes of it are known. Empty: nothing yet.
"""

import re
from dataclasses import dataclass, field
from datetime import datetime

ROTATION_SECONDS = 3.0
"""In less, no node lets a whole file of a log come and go: it looks for some to rotate every ten
seconds, or at the fastest every three."""
UNSEEN_SECONDS = 9.0
"""A node that looks every ten seconds skips no file for a reader that is less behind than this."""
DROPPED = b"[trainyard] output may be missing here: the node dropped it before it was read\n"

_STAMP = rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)"
_STAMPED = re.compile(rb"^(" + _STAMP + rb") ", re.MULTILINE)
_LONGEST_STAMP = 36
_ALL = 1 << 62


@dataclass(slots=True)
class Lines:
    """Takes the timestamps off one stream; begins at the place where an earlier one was left."""

    start: str = ""
    _sought: str = ""
    _stamp: str = ""
    _is_open: bool = False  # the last line has no end yet
    _into: int = 0  # bytes of it that are known
    _drop: int = 0  # bytes of it that are known already
    _held: bytes = b""  # may be the beginning of a timestamp
    _saw_known: bool = False
    _was_late: bool = False
    _out: list[bytes] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._sought = self._stamp = self.start.partition("@")[0]

    @property
    def since(self) -> str:
        """Return where to begin reading, as the API server's sinceTime takes it."""
        return f"{self._stamp[:19]}Z" if self._stamp else ""

    @property
    def place(self) -> str:
        """Return the place after all that has been fed."""
        if self._sought:
            return self.start
        return f"{self._stamp}@{self._into}" if self._is_open else self._stamp

    def feed(self, data: bytes, now: float) -> bytes:
        """Return what is new in the next bytes of the stream, which came at *now* (epoch).

        A gap in which the node may have dropped lines is said where it is.
        """
        data, self._held = self._held + data, b""
        if self._is_open:
            data = self._continue(data)
        if self._sought:
            data = self._seek(data)
        if data:
            self._take(data, now)
        fresh = b"".join(self._out)
        self._out.clear()
        return fresh

    def _continue(self, data: bytes) -> bytes:
        """Take the rest of an open line; return what follows it."""
        end = data.find(b"\n") + 1
        part = data[:end] if end else data
        self._out.append(part[self._drop :])
        self._drop = 0 if end else max(0, self._drop - len(part))
        self._into += len(part)
        self._is_open = not end
        return data[len(part) :]

    def _seek(self, data: bytes) -> bytes:
        """Pass over what is known: a log is asked for from a whole second on."""
        sought = _order(self._sought)
        while self._sought and data and not _is_part_of_stamp(data):
            found = _STAMPED.match(data)
            order = _order(found[1].decode()) if found else ("", "")
            if found and order > sought:
                self._begin(found[1].decode())
            else:
                data = self._skip(data, found, is_last=order == sought)
        if self._sought:
            data, self._held = b"", data
        return data

    def _skip(self, data: bytes, found: re.Match[bytes] | None, *, is_last: bool) -> bytes:
        known = self.start.partition("@")[2]
        self._saw_known = True
        self._is_open, self._into, self._drop = True, 0, _ALL
        if found and is_last and known:
            self._sought, self._drop = "", int(known)
            data = data[found.end() :]
        return self._continue(data)

    def _begin(self, stamp: str) -> None:
        # Where an earlier stream was left must come again: a node keeps the end of a log only.
        if not self._saw_known and seconds_between(self._sought, stamp) > ROTATION_SECONDS:
            self._out.append((b"\n" if "@" in self.start else b"") + DROPPED)
        self._sought = ""

    def _take(self, data: bytes, now: float) -> None:
        """Take whole lines, and the beginning of one."""
        begin = data.rfind(b"\n") + 1
        if _is_part_of_stamp(data[begin:]):
            data, self._held = data[:begin], data[begin:]
        last = _STAMPED.match(data[begin:])
        self._out.append(_STAMPED.sub(b"", self._marked(data, now)))
        self._stamp = last_stamp(data) or self._stamp
        self._is_open = last is not None
        self._into = len(data) - begin - last.end() if last else 0
        self._was_late = _is_late(self._stamp, now)

    def _marked(self, data: bytes, now: float) -> bytes:
        """Say where the node may have skipped a file: lines far apart, the first read late."""
        before, late = self._stamp or _first_stamp(data), self._was_late
        if seconds_between(before, last_stamp(data)) <= UNSEEN_SECONDS:
            return data  # the usual case, and fast
        pieces, done = [], 0
        for line in _STAMPED.finditer(data):
            stamp = line[1].decode()
            if late and seconds_between(before, stamp) > UNSEEN_SECONDS:
                pieces += [data[done : line.start()], DROPPED]
                done = line.start()
            before, late = stamp, _is_late(stamp, now)
        return b"".join([*pieces, data[done:]])


def _first_stamp(block: bytes) -> str:
    found = _STAMPED.search(block)
    return found[1].decode() if found else ""


def last_stamp(block: bytes) -> str:
    """Return the timestamp of the last line of a block that has one, or nothing."""
    end = len(block)
    while end > 0:
        begin = block.rfind(b"\n", 0, end - 1) + 1
        if found := _STAMPED.match(block[begin:end]):
            return found[1].decode()
        end = begin
    return ""


def seconds_between(earlier: str, later: str) -> float:
    """Return the seconds from one timestamp to another; 0 if one of them is none."""
    if not earlier or not later:
        return 0.0
    return (datetime.fromisoformat(later) - datetime.fromisoformat(earlier)).total_seconds()


def _is_late(stamp: str, now: float) -> bool:
    return bool(stamp) and now - datetime.fromisoformat(stamp).timestamp() > UNSEEN_SECONDS


def _is_part_of_stamp(tail: bytes) -> bool:
    return tail[:1].isdigit() and len(tail) <= _LONGEST_STAMP and not _STAMPED.match(tail)


def _order(stamp: str) -> tuple[str, str]:
    # The fraction has no fixed width: 10.5 is later than 10.25.
    fraction = stamp[20:].rstrip("Z") if stamp[19:20] == "." else ""
    return stamp[:19], fraction.ljust(9, "0")[:9]
