"""Publishing a model: its files by their digests, its manifest last.

The files were written by someone else's code: they are read as bytes and nothing else. What
the manifest says is canonical JSON, so that the same files always give the same digest.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trainyard_agent.errors import RefusedError, SourceError
from trainyard_agent.paths import files_under
from trainyard_agent.transport import CHUNK, Tracking

SCHEMA_VERSION = 1
_PARALLEL = 4


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
    entries = [_entry(path, model) for path in files_under(model)]
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

    pool = ThreadPoolExecutor(_PARALLEL)
    # The largest first: it takes longest, and is the first to be refused.
    ordered = sorted(entries, key=lambda entry: -entry.size)
    going = [pool.submit(upload, entry) for entry in ordered]
    try:
        done, _ = wait(going, return_when=FIRST_EXCEPTION)
        return sum(each.result() for each in done)
    finally:
        # What is under way beside a refusal may take hours, and changes nothing any more.
        pool.shutdown(wait=False, cancel_futures=True)


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


def _entry(path: Path, model: Path) -> Entry:
    hasher = hashlib.sha256()
    size = 0
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            hasher.update(chunk)
            size += len(chunk)
    name = path.relative_to(model).as_posix()
    return Entry(name, size, f"sha256:{hasher.hexdigest()}")
