"""From a stream of stamped lines to what a program printed, from a place on. Pure.

    2026-11-24T10:00:00.123456789Z the line\\n   ─▶   the line\\n

The kubelet splits what a program prints at 16 KiB, but joins it again before it adds the
timestamp, so a line has exactly one.

A *place* says how far a log has come: the timestamp of its last line, and `@n` if that line has
no end yet and n bytes of it are known. Empty: nothing yet.

A stream is not simply the log. It begins at a whole second, before the place where an earlier
one was left. And a kubelet that cannot keep up with a program that prints much takes its reader
to the newest file of the log, past those between, and may begin that file anew several times
(k8s.io/cri-client, pkg/logs, waitLogs). What is known is passed over by its timestamps, and where
output may be missing the log says so.
"""

import re
from dataclasses import dataclass, field
from datetime import datetime

DROPPED = b"[trainyard] output may be missing here: the node dropped it before it was read\n"
ROTATION_SECONDS = 3.0
"""In less, no node lets a file of a log come and go: it looks for large ones every ten seconds,
at the fastest every three."""
PAUSE_SECONDS = 5.0
"""Between the lines before and after a file that was skipped there is more."""
FILE_BYTES = 7 << 20
"""A file that a node finds large enough, 10 MiB by default, has at least so much in a stream."""

REFUSALS = (
    b"unable to retrieve container logs for ",
    b"failed to try resolving symlinks in path ",
    b"failed to get container status ",
    b"failed to open log file ",
)
"""A node's own words instead of a log, without a stamp and most often without an end."""

_STAMP = rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)"
_STAMPED = re.compile(rb"^(" + _STAMP + rb") ", re.MULTILINE)
_REFUSED = re.compile(rb"^(?:" + b"|".join(map(re.escape, REFUSALS)) + rb")[^\n]*\n", re.MULTILINE)
_LONGEST_STAMP = 36
_STAMP_BYTES = 31
_MINUTE = 60.0
_ALL = 1 << 62


@dataclass(slots=True)
class Lines:
    """Takes the timestamps off one stream; begins at the place where an earlier one was left."""

    start: str = ""
    is_refused: bool = False  # the node said that it has no more of the log
    _stamp: str = ""  # of the last line
    _known: int | None = None  # bytes of it, if it had no end, that an earlier stream brought
    _is_replay: bool = False  # what comes was brought before
    _is_joined: bool = True  # some of what was brought before has come again
    _is_lagging: bool = False  # the node cannot keep up
    _is_open: bool = False  # the line that is being read has no end yet
    _into: int = 0  # bytes of it that were read
    _drop: int = 0  # bytes of it that are still to be passed over
    _held: bytes = b""  # may be the beginning of a timestamp
    _burst: int = 0  # bytes without a pause
    _burst_began: str = ""
    _out: list[bytes] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._stamp, _, known = self.start.partition("@")
        self._known = int(known) if known else None
        self._is_replay, self._is_joined = bool(self.start), not self.start

    @property
    def since(self) -> str:
        """Return where to begin reading, as the API server's sinceTime takes it."""
        return f"{self._stamp[:19]}Z" if self._stamp else ""

    @property
    def place(self) -> str:
        """Return the place after all that has been fed."""
        is_new = self._is_open and self._drop < _ALL
        into = self._into if is_new else self._known
        return self._stamp if into is None else f"{self._stamp}@{into}"

    def feed(self, data: bytes) -> bytes:
        """Return what is new in the next bytes of the stream."""
        data, self._held = self._held + data, b""
        if self._is_open:
            data = self._continue(data)
        end = data.rfind(b"\n") + 1
        if _is_part_of_stamp(data[end:]) or self._is_refusal(data[end:]):
            data, self._held = data[:end], data[end:]
        data = self._without_refusals(data)
        own, *lines = _STAMPED.split(data)  # stamp, text, stamp, text …
        self._out.append(own)  # the node's words, without a stamp
        if self._follows(lines[::2]):
            self._take(lines)
        else:
            for stamp, text in zip(lines[::2], lines[1::2], strict=True):
                self._sift(stamp.decode(), text)
        fresh = b"".join(self._out)
        self._out.clear()
        return fresh

    def _is_refusal(self, tail: bytes) -> bool:
        """Tell whether a line without a stamp is, or may become, the node's refusal."""
        self.is_refused = self.is_refused or tail.startswith(REFUSALS)
        return bool(tail) and any(tail.startswith(s) or s.startswith(tail) for s in REFUSALS)

    def _without_refusals(self, data: bytes) -> bytes:
        # No line of the program is meant: those begin with a stamp.
        if not any(words in data for words in REFUSALS):
            return data
        kept, count = _REFUSED.subn(b"", data)
        self.is_refused = self.is_refused or count > 0
        return kept

    def _continue(self, data: bytes) -> bytes:
        """Take the rest of an open line; return what follows it."""
        end = data.find(b"\n") + 1
        part = data[:end] if end else data
        self._out.append(part[self._drop :])
        if end:
            self._drop = 0
        elif self._drop < _ALL:
            self._drop = max(0, self._drop - len(part))
        self._into += len(part)
        self._is_open = not end
        return data[len(part) :]

    def _begin(self, text: bytes, *, drop: int = 0) -> None:
        """Begin a line, with what there is of it."""
        self._into, self._drop = 0, drop
        self._out.append(self._continue(text))

    def _follows(self, stamps: list[bytes]) -> bool:
        """Tell whether lines simply go on: later than the last one, in order, without a pause."""
        if not stamps or self._is_replay or stamps != sorted(stamps):
            return False
        first, last = stamps[0].decode(), stamps[-1].decode()
        is_later = not self._stamp or _order(first) > _order(self._stamp)
        return is_later and seconds_between(self._stamp or first, last) <= PAUSE_SECONDS

    def _take(self, lines: list[bytes]) -> None:
        """Take many lines at once; the last one may have no end."""
        text = b"".join(lines[1:-1:2])
        self._out.append(text)
        self._advance(lines[-2].decode(), len(text) + _STAMP_BYTES * len(lines) // 2)
        self._begin(lines[-1])

    def _sift(self, stamp: str, text: bytes) -> None:
        """Take a line if it is new."""
        order, last = _order(stamp), _order(self._stamp)
        # Else a clock was set back, and the line is new.
        if order <= last and (self._is_replay or self._is_lagging or self._is_much(_MINUTE)):
            self._pass_over(text, is_last=order == last)
            return
        if self._missed(stamp):
            self._is_lagging = True
            self._out.append((b"" if self._known is None else b"\n") + DROPPED)
        self._known, self._is_replay, self._is_joined = None, False, True
        self._advance(stamp, len(text) + _STAMP_BYTES)
        self._begin(text)

    def _pass_over(self, text: bytes, *, is_last: bool) -> None:
        """Take a line that came before, but for the rest of the last one if it had no end."""
        self._is_replay, self._is_joined, drop = True, True, _ALL
        if is_last and self._known is not None:
            self._is_replay, drop, self._known = False, self._known, None
        self._begin(text, drop=drop)

    def _missed(self, stamp: str) -> bool:
        """Tell whether output may be missing before a new line."""
        pause = seconds_between(self._stamp, stamp)
        if not self._is_joined:
            return self._known is not None or pause > ROTATION_SECONDS
        if pause <= PAUSE_SECONDS:
            return False
        missed = self._is_much(pause * 4)  # the pace may have changed
        self._burst = 0
        return missed

    def _is_much(self, seconds: float) -> bool:
        """Tell whether a whole file is printed, at the pace of late, in so many seconds."""
        took = seconds_between(self._burst_began, self._stamp)
        return self._burst >= FILE_BYTES and self._burst * seconds >= took * FILE_BYTES

    def _advance(self, stamp: str, size: int) -> None:
        self._burst_began = self._burst_began if self._burst else stamp
        self._burst += size
        self._stamp = stamp


def seconds_between(earlier: str, later: str) -> float:
    """Return the seconds from one timestamp to another; 0 if one of them is none."""
    if not earlier or not later:
        return 0.0
    return (datetime.fromisoformat(later) - datetime.fromisoformat(earlier)).total_seconds()


def _is_part_of_stamp(tail: bytes) -> bool:
    return tail[:1].isdigit() and len(tail) <= _LONGEST_STAMP and not _STAMPED.match(tail)


def _order(stamp: str) -> tuple[str, str]:
    # The fraction has no fixed width: 10.5 is later than 10.25.
    fraction = stamp[20:].rstrip("Z") if stamp[19:20] == "." else ""
    return stamp[:19], fraction.ljust(9, "0")[:9]
