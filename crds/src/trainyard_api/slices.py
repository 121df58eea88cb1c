"""Sending a large file in slices, so that what was cut off goes on and nothing goes twice.

The tracking service tells how far it is and takes the next slice from there (tracking/…/blobs.py).
How requests are made is the caller's.
"""

from collections.abc import Callable, Iterator
from typing import IO, Final

SLICE: Final = 64 << 20
"""Bytes of a request: soon sent again, and some parts of the object store's at once."""
PART: Final = 8 << 20
"""Bytes of a part, at least; S3 takes none below 5 MiB, but for the last."""
MOST_PARTS: Final = 10_000
_MIB: Final = 1 << 20
_BLOCK: Final = 256 << 10


def part_size(total: int | None) -> int:
    """Tell how large the parts of a file are, in bytes: all the same, as some S3 want them.

    A file whose size nobody knows has small ones, and so 78 GiB at most.
    """
    needed = -(-(total or 0) // MOST_PARTS)
    return max(PART, -(-needed // _MIB) * _MIB)


def slice_size(total: int) -> int:
    """Tell how large the slices of a file are, in bytes: whole parts, for no less is kept."""
    part = part_size(total)
    return SLICE if part == PART else part * max(1, SLICE // part)


def send(
    size: int,
    *,
    ask: Callable[[], tuple[bool, int]],
    put: Callable[[int, int], int | None],
    told: Callable[[int], None] = lambda offset: None,
) -> bool:
    """Send what the service lacks of a file; tell whether that was anything.

    Args:
        ask: Returns whether the file is there, and else how many bytes of it are.
        put: Sends the bytes from the first to before the second number; returns how many the
            service has by then, None if the file is there. Without bytes between them it asks to
            put together what is there, for the store failed at that.
        told: Hears how many bytes are there after each slice.
    """
    there, offset = ask()
    if there:
        return False
    if offset > size:
        # What another left there is of another file: the service drops it when one begins.
        offset = 0
    while True:
        after = put(offset, min(offset + slice_size(size), size))
        told(size if after is None else after)
        if after is None:
            return True
        offset = after


def content_range(begin: int, end: int, size: int) -> dict[str, str]:
    """Return the headers of a slice; of a whole file it has no range, of no bytes only its end."""
    length = {"Content-Length": str(end - begin), "Content-Type": "application/octet-stream"}
    if (begin, end) == (0, size):
        return length
    if begin == end:
        return {**length, "Content-Range": f"bytes */{size}"}
    return {**length, "Content-Range": f"bytes {begin}-{end - 1}/{size}"}


class Window:
    """Some bytes of a file, to be read or iterated over as if they were all."""

    def __init__(self, file: IO[bytes], begin: int, end: int) -> None:
        file.seek(begin)
        self._file = file
        self._left = end - begin

    def read(self, most: int = -1) -> bytes:
        """Read on, at most so many bytes."""
        count = self._left if most < 0 else min(most, self._left)
        data = self._file.read(count)
        self._left -= len(data)
        return data

    def __iter__(self) -> Iterator[bytes]:
        while block := self.read(_BLOCK):
            yield block
