"""The object store as the service uses it; `s3.py` has the one that is S3.

Keys are made by the callers. Content that is addressed by its digest is written once: `new=True`
never overwrites. A file comes in parts, which are nothing until they are completed, so that what
was cut off or has the wrong digest never was there.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class Entry:
    """One object below a prefix; `path` is relative to it, `size` in bytes."""

    path: str
    size: int


@dataclass(frozen=True, slots=True)
class Stat:
    """What an object is: its size in bytes, and a tag that other bytes have another of."""

    size: int
    etag: str


@dataclass(frozen=True, slots=True)
class Opened:
    """An object that is being read."""

    stat: Stat
    chunks: Iterator[bytes]


class Objects(Protocol):
    """What the service needs of an object store; tests bring one of files."""

    def stat(self, key: str) -> Stat | None: ...

    def open(self, key: str) -> Opened | None: ...

    def read(self, key: str, offset: int = 0, length: int | None = None) -> Iterator[bytes]: ...

    def put(self, key: str, content: Path) -> None: ...

    def write(self, key: str, data: bytes, *, new: bool) -> bool: ...

    def begin(self, key: str) -> str: ...

    def part(self, key: str, upload: str, number: int, data: bytes) -> str: ...

    def complete(self, key: str, upload: str, tags: list[str], *, new: bool) -> bool:
        """Again, after an answer that got lost, is harmless; `Lost` if the parts are gone."""
        ...

    def abort(self, key: str, upload: str) -> None: ...

    def under(self, prefix: str) -> list[Entry]: ...

    def folders(self, prefix: str) -> tuple[list[Entry], list[str]]: ...

    def delete(self, keys: list[str]) -> None: ...
