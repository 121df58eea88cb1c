"""Published content: blobs and manifests, under the digests of their bytes, written once.

A manifest is accepted only when every blob it lists is there with its size: it is the commit
of a model. Keys: `models/<namespace>/sha256/<hex>` and the same with `.json` for a manifest.
"""

import hashlib
import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from anyio import to_thread

from trainyard_tracking.errors import NotFound, TooLarge, Unprocessable
from trainyard_tracking.objects import Entry, Objects

SCHEMA_VERSION = 1
_LARGEST_MANIFEST = 8 << 20


@dataclass(frozen=True, slots=True)
class Content:
    """Reads and writes the content of all namespaces."""

    objects: Objects

    def blob_size(self, namespace: str, digest: str) -> int | None:
        return self.objects.size(blob_key(namespace, digest))

    def read_blob(self, namespace: str, digest: str) -> tuple[int, Iterator[bytes]]:
        """Give size and bytes of a blob.

        Raises:
            NotFound: there is none with this digest.
        """
        key = blob_key(namespace, digest)
        size = self.objects.size(key)
        if size is None:
            raise NotFound(f"No blob sha256:{digest} in namespace {namespace}")
        return size, self.objects.read(key)

    def put_blob(self, namespace: str, digest: str, spooled: "Spooled") -> bool:
        """Write a blob whose bytes were spooled; tell whether it was new.

        Raises:
            Unprocessable: the bytes have another digest.
        """
        _require_digest(digest, spooled)
        return self.objects.put_new(blob_key(namespace, digest), spooled.path)

    def manifest(self, namespace: str, digest: str) -> bytes:
        """Give the bytes of a manifest.

        Raises:
            NotFound: no model was published with this digest.
        """
        key = manifest_key(namespace, digest)
        if self.objects.size(key) is None:
            raise NotFound(f"No model sha256:{digest} was published in namespace {namespace}")
        return b"".join(self.objects.read(key))

    def put_manifest(self, namespace: str, digest: str, spooled: "Spooled") -> bool:
        """Write a manifest after checking it against the store; tell whether it was new.

        Raises:
            Unprocessable: wrong digest, wrong form, or a blob that is missing or of another size.
        """
        if spooled.size > _LARGEST_MANIFEST:
            raise TooLarge(f"A manifest may have {_LARGEST_MANIFEST >> 20} MiB")
        _require_digest(digest, spooled)
        for entry, blob in manifest_files(spooled.path.read_bytes()):
            size = self.objects.size(blob_key(namespace, blob))
            if size != entry.size:
                found = "missing" if size is None else f"there with {size} bytes"
                raise Unprocessable(
                    f"Blob sha256:{blob} of file {entry.path} should have {entry.size} bytes"
                    f" and is {found}: upload it first"
                )
        return self.objects.put_new(manifest_key(namespace, digest), spooled.path)

    def file_of(self, namespace: str, digest: str, path: str) -> tuple[int, Iterator[bytes]]:
        """Give size and bytes of one file of a published model.

        Raises:
            NotFound: no such model, or no such file in it.
        """
        for entry, blob in manifest_files(self.manifest(namespace, digest)):
            if entry.path == path:
                return self.read_blob(namespace, blob)
        raise NotFound(f"Model sha256:{digest} has no file {path}")


@dataclass(frozen=True, slots=True)
class Spooled:
    """A request's body on disk."""

    path: Path
    size: int
    digest: str


async def spool(stream: AsyncIterator[bytes], path: Path) -> Spooled:
    """Write a stream to disk, hashing it on the way; memory stays at one chunk."""
    hasher = hashlib.sha256()
    size = 0
    file = await to_thread.run_sync(path.open, "wb")
    try:
        async for chunk in stream:
            hasher.update(chunk)
            size += len(chunk)
            await to_thread.run_sync(file.write, chunk)
    finally:
        await to_thread.run_sync(file.close)
    return Spooled(path, size, hasher.hexdigest())


def blob_key(namespace: str, digest: str) -> str:
    """Give the key of a blob by the hexadecimal digits of its digest."""
    return f"models/{namespace}/sha256/{digest}"


def manifest_key(namespace: str, digest: str) -> str:
    """Give the key of a manifest."""
    return f"{blob_key(namespace, digest)}.json"


def manifest_files(raw: bytes) -> list[tuple[Entry, str]]:
    """Read the files of a manifest, each with the digits of its blob's digest.

    Raises:
        Unprocessable: it is not a canonical manifest of a version that is known here.
    """
    try:
        manifest: Any = json.loads(raw)
        files = [
            (Entry(str(one["path"]), int(one["size"])), str(one["digest"]).removeprefix("sha256:"))
            for one in manifest["files"]
        ]
    except (ValueError, KeyError, TypeError) as exc:
        raise Unprocessable(f"The manifest can't be read: {exc}") from exc
    if manifest.get("schemaVersion") != SCHEMA_VERSION:
        raise Unprocessable(f"The manifest must have schemaVersion {SCHEMA_VERSION}")
    if canonical(manifest) != raw:
        raise Unprocessable("The manifest is not canonical JSON: sort keys, no spaces, UTF-8")
    paths = [entry.path for entry, _ in files]
    if not paths or paths != sorted(set(paths)) or any(map(_leaves, paths)):
        raise Unprocessable("files must be sorted by path, each once, all inside the model")
    return files


def canonical(document: Any) -> bytes:
    """Encode JSON so that the same content has the same bytes."""
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return text.encode()


def _leaves(path: str) -> bool:
    return path.startswith("/") or any(part in {"", ".", ".."} for part in path.split("/"))


def _require_digest(digest: str, spooled: Spooled) -> None:
    if spooled.digest != digest:
        raise Unprocessable(
            f"The content has digest sha256:{spooled.digest}, not sha256:{digest}: upload it again"
        )
