"""Publishing a model: its files by their digests, its manifest last.

The files were written by someone else's code: they are read as bytes and nothing else. What
the manifest says is canonical JSON, so that the same files always give the same digest.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from trainyard_api.digests import digest_of
from trainyard_api.progress import Told

from trainyard_agent import beside
from trainyard_agent.errors import RefusedError, SourceError
from trainyard_agent.paths import files_under
from trainyard_agent.transport import Tracking

SCHEMA_VERSION = 1


@dataclass(frozen=True, slots=True)
class Entry:
    """One file of the model, as the manifest lists it."""

    path: str
    size: int
    digest: str


def publish(
    tracking: Tracking,
    model: Path,
    *,
    fields: Mapping[str, Any],
    say: Callable[[str], None] = print,
) -> dict[str, Any]:
    """Upload what the store does not have yet and return the termination message.

    Raises:
        RefusedError: a file, or the list of them, is refused for good; the message names it.
    """
    entries = _entries(model, say=say)
    if not entries:
        raise SourceError("the model folder is empty", reason="SourceMissing")
    say(f"publishing {len(entries)} files, {sum(e.size for e in entries) >> 20} MiB")
    sent = _upload(tracking, model, entries)
    manifest = canonical_manifest(entries, fields)
    digest = f"sha256:{hashlib.sha256(manifest).hexdigest()}"
    with _naming(f"the list of its {len(entries)} files"):
        tracking.put(f"/models/{digest}", manifest)
    say(f"published {digest}: {sent} of {len(entries)} files were new")
    return {"digest": digest, "size": sum(e.size for e in entries), **fields}


def _upload(tracking: Tracking, model: Path, entries: list[Entry]) -> int:
    """Upload files beside each other, and tell how many of them were new."""

    def upload(entry: Entry) -> bool:
        with _naming(entry.path):
            return tracking.upload(f"/blobs/{entry.digest}", model / entry.path, size=entry.size)

    # The largest first: it takes longest, and is the first to be refused.
    ordered = sorted(entries, key=lambda entry: -entry.size)
    return sum(beside.each(partial(upload, entry) for entry in ordered))


@contextmanager
def _naming(what: str) -> Iterator[None]:
    """Say of a refusal what is refused."""
    try:
        yield
    except RefusedError as exc:
        raise RefusedError(f"{what}: {exc.message}", reason=exc.reason) from exc


def canonical_manifest(entries: list[Entry], fields: Mapping[str, Any]) -> bytes:
    """Encode the manifest: keys sorted, no spaces, files sorted by path, UTF-8."""
    files = [
        {"path": e.path, "size": e.size, "digest": e.digest}
        for e in sorted(entries, key=lambda e: e.path)
    ]
    manifest = {"schemaVersion": SCHEMA_VERSION, "files": files, **fields}
    text = json.dumps(manifest, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return text.encode()


def _entries(model: Path, *, say: Callable[[str], None]) -> list[Entry]:
    """Read every file once, for its digest."""
    paths = files_under(model)
    size = sum(path.stat().st_size for path in paths)
    told, done, found = Told("read", say), 0, []

    def took(count: int) -> None:
        nonlocal done
        done += count
        told(done, size)

    for path in paths:
        before = done
        with path.open("rb") as file:
            digest = digest_of(file, took)
        found.append(Entry(path.relative_to(model).as_posix(), done - before, digest))
    return found
