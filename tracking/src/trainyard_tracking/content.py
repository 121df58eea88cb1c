"""Published content: blobs and manifests, under the digests of their bytes, written once.

A manifest is accepted only when every blob it lists is there with its size: it is the commit
of a model. Keys: `models/<folder>/sha256/<hex>` and the same with `.json` for a manifest; the
folder is the namespace's name, until it is another's.
"""

import hashlib
import json
import threading
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from trainyard_api.paths import is_plain

from trainyard_tracking.errors import NotFound, Unprocessable
from trainyard_tracking.objects import Entry, Objects, Stat

SCHEMA_VERSION = 1
LARGEST_MANIFEST = 8 << 20
_MOST_KNOWN = 32 << 20
_LOOKS = 8


@dataclass(frozen=True, slots=True)
class Located:
    """Where a file is, and what to say if it is not there.

    Attributes:
        digest: Hexadecimal digits of its SHA-256, if they are known.
    """

    key: str
    missing: str
    digest: str = ""


@dataclass(slots=True)
class _Indexes:
    """The files of the models that were read last, by digest; what has a digest never changes."""

    _known: OrderedDict[tuple[str, str], tuple[dict[str, str], int]] = field(
        default_factory=OrderedDict
    )
    _bytes: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def get(self, model: tuple[str, str]) -> dict[str, str] | None:
        with self._lock:
            if model not in self._known:
                return None
            self._known.move_to_end(model)
            return self._known[model][0]

    def put(self, model: tuple[str, str], files: dict[str, str], size: int) -> None:
        """Keep the files of a model whose manifest has so many bytes."""
        with self._lock:
            if model in self._known:
                return
            self._known[model] = (files, size)
            self._bytes += size
            while self._bytes > _MOST_KNOWN:
                _, (_, freed) = self._known.popitem(last=False)
                self._bytes -= freed


@dataclass(frozen=True, slots=True)
class Content:
    """Reads and writes the content of all namespaces."""

    objects: Objects
    folder: Callable[[str], str] = str
    """Tells the folder of a namespace."""
    _indexes: _Indexes = field(default_factory=_Indexes)

    def blob(self, namespace: str, digest: str) -> Located:
        """Say where a blob is."""
        missing = f"No blob sha256:{digest} in namespace {namespace}"
        return Located(blob_key(self.folder(namespace), digest), missing, digest)

    def manifest(self, namespace: str, digest: str) -> bytes:
        """Give the bytes of a manifest.

        Raises:
            NotFound: no model was published with this digest.
        """
        found = self.objects.open(manifest_key(self.folder(namespace), digest))
        if found is None:
            raise NotFound(f"No model sha256:{digest} was published in namespace {namespace}")
        return b"".join(found.chunks)

    def put_manifest(self, namespace: str, digest: str, raw: bytes) -> bool:
        """Write a manifest after checking it against the store; tell whether it was new.

        Raises:
            Unprocessable: wrong digest, wrong form, or a blob that is missing or of another size.
        """
        found = hashlib.sha256(raw).hexdigest()
        if found != digest:
            raise Unprocessable(f"The manifest has digest sha256:{found}, not sha256:{digest}")
        files = manifest_files(raw)
        folder = self.folder(namespace)
        blobs = list(dict.fromkeys(blob for _, blob in files))
        with ThreadPoolExecutor(_LOOKS) as pool:
            looks = pool.map(self.objects.stat, [blob_key(folder, blob) for blob in blobs])
            stats = dict(zip(blobs, looks, strict=True))
        for entry, blob in files:
            _require_there(entry, blob, stats[blob])
        return self.objects.write(manifest_key(folder, digest), raw, new=True)

    def file_of(self, namespace: str, digest: str, path: str) -> Located:
        """Say where one file of a published model is.

        Raises:
            NotFound: no such model, or no such file in it.
        """
        folder = self.folder(namespace)
        known = self._indexes.get((folder, digest))
        if known is None:
            raw = self.manifest(namespace, digest)
            known = {entry.path: blob for entry, blob in manifest_files(raw)}
            self._indexes.put((folder, digest), known, len(raw))
        if path not in known:
            raise NotFound(f"Model sha256:{digest} has no file {path}")
        return self.blob(namespace, known[path])


def _require_there(entry: Entry, blob: str, stat: Stat | None) -> None:
    if stat is None or stat.size != entry.size:
        found = "missing" if stat is None else f"there with {stat.size} bytes"
        raise Unprocessable(
            f"Blob sha256:{blob} of file {entry.path} should have {entry.size} bytes"
            f" and is {found}: upload it first"
        )


def blob_key(folder: str, digest: str) -> str:
    """Give the key of a blob by the hexadecimal digits of its digest."""
    return f"models/{folder}/sha256/{digest}"


def manifest_key(folder: str, digest: str) -> str:
    """Give the key of a manifest."""
    return f"{blob_key(folder, digest)}.json"


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
        is_canonical = canonical(manifest) == raw
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as exc:
        raise Unprocessable(f"The manifest can't be read: {exc!a:.300}") from exc
    if manifest.get("schemaVersion") != SCHEMA_VERSION:
        raise Unprocessable(f"The manifest must have schemaVersion {SCHEMA_VERSION}")
    if not is_canonical:
        raise Unprocessable("The manifest is not canonical JSON: sort keys, no spaces, UTF-8")
    paths = [entry.path for entry, _ in files]
    if not paths or paths != sorted(set(paths)) or not all(map(is_plain, paths)):
        raise Unprocessable("files must be sorted by path, each once, all inside the model")
    return files


def canonical(document: Any) -> bytes:
    """Encode JSON so that the same content has the same bytes."""
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return text.encode()
