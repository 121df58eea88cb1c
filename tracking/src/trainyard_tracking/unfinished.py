"""Uploads under way, and the notes on the volume by which a next start knows of them.

A note without `tags` is of an upload whose hash went with the process: it is aborted. One with
them is of a file that is all here and has its digest: it only has to be put together.
"""

import hashlib
import json
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(slots=True)
class Unfinished:
    """An upload under way: how far it is, and the hash of that.

    Attributes:
        digest: Hexadecimal digits of its SHA-256, once all of it is here and they are right.
    """

    key: str
    id: str
    part: int
    note: Path
    owner: str = ""
    offset: int = 0
    tags: list[str] = field(default_factory=list)
    hasher: Any = field(default_factory=hashlib.sha256)
    at: float = field(default_factory=time.monotonic)
    digest: str = ""

    def take_note(self) -> None:
        """Write down that it is, and what is known of it once it is all here.

        Raises:
            OSError: the volume takes no note; one that was there stays.
        """
        told: dict[str, Any] = {"key": self.key, "id": self.id}
        if self.digest:
            told |= {name: getattr(self, name) for name in _WHOLE}
        self.note.parent.mkdir(parents=True, exist_ok=True)
        begun = self.note.with_suffix(".new")
        try:
            begun.write_text(json.dumps(told))
            begun.replace(self.note)
        except OSError:
            with suppress(OSError):
                begun.unlink(missing_ok=True)
            raise


_WHOLE = ("part", "owner", "offset", "tags", "digest")


def noted(folder: Path) -> Iterator[Unfinished]:
    """Read the notes of an earlier process; those that were cut off are of nothing."""
    for begun in folder.glob("*.new"):
        begun.unlink(missing_ok=True)
    for note in folder.glob("*.json"):
        with suppress(OSError, ValueError, KeyError, TypeError):
            told = json.loads(note.read_bytes())
            more = {name: told[name] for name in _WHOLE} if "tags" in told else {"part": 0}
            yield Unfinished(told["key"], told["id"], note=note, **more)
