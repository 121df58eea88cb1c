"""The part of a file that a request asks for, as HTTP says it: one range of bytes."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from trainyard_tracking.errors import Refused, Unsatisfiable
from trainyard_tracking.objects import Stat
from trainyard_tracking.uploads import Slice

_RANGE = re.compile("bytes=([0-9]{0,18})-([0-9]{0,18})")
_END = re.compile("bytes \\*/([0-9]{1,18})")
_SLICE = re.compile("bytes ([0-9]{1,18})-([0-9]{1,18})/([0-9]{1,18})")


@dataclass(frozen=True, slots=True)
class Span:
    """Bytes of a file, from `begin` to before `end`."""

    begin: int
    end: int


def asked(headers: Mapping[str, str], stat: Stat) -> Span | None:
    """Read which bytes of a file are asked for; None for all.

    What is no single range of bytes is not understood, which HTTP lets us ignore; so is one that
    was meant for another state of the file.

    Raises:
        Unsatisfiable: the file ends before.
    """
    found = _RANGE.fullmatch(headers.get("range", "").strip())
    meant = headers.get("if-range")
    if found is None or (meant is not None and meant != stat.etag):
        return None
    first, last = found.groups()
    if not first:
        return _last(int(last), stat.size) if last else None
    begin, end = int(first), min(int(last) + 1 if last else stat.size, stat.size)
    if last and int(last) < begin:
        return None
    if begin >= stat.size:
        raise Unsatisfiable(f"The file has {stat.size} bytes", stat.size)
    return Span(begin, end)


def _last(count: int, size: int) -> Span:
    if not count or not size:
        raise Unsatisfiable(f"The file has {size} bytes", size)
    return Span(max(0, size - count), size)


def sent(headers: Mapping[str, str]) -> Slice:
    """Read which bytes of a file a request has; of its end, none, to put together what is here.

    Raises:
        Refused: it says so in another way than `Content-Range: bytes FIRST-LAST/TOTAL`, or
            `bytes */TOTAL` without a body.
    """
    told = headers.get("content-length")
    length = int(told) if told is not None and told.isdecimal() else None
    if (written := headers.get("content-range")) is None:
        return Slice(0, length, length)
    if (end := _END.fullmatch(written.strip())) and length == 0:
        return Slice(int(end[1]), 0, int(end[1]))
    found = _SLICE.fullmatch(written.strip())
    if found is None:
        raise Refused(f"Content-Range {written!r}: write it `bytes FIRST-LAST/TOTAL`")
    first, last, total = map(int, found.groups())
    if not first <= last < total or length != last + 1 - first:
        raise Refused(f"Content-Range {written!r} does not fit a body of {length} bytes")
    return Slice(first, length, total)
