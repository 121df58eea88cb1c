"""Bring a model here by digest: manifest, then files, each verified as it streams in.

Nothing is trusted but the digest: the manifest's bytes must have it, and each file must have
the size and digest that the manifest says. What is here and right already is not fetched again.
"""

import hashlib
import http.client
import json
import re
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Final
from urllib.parse import quote

from trainyard_serving.errors import LoadError, SourceUnavailable

_CHUNK: Final = 1024 * 1024
_TIMEOUT_SECONDS: Final = 30.0
_MAX_MANIFEST: Final = 16 * 1024 * 1024
_DIGEST: Final = re.compile(r"sha256:[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Source:
    """Where a manifest is, what it must hash to, and the token to read it with."""

    url: str
    digest: str
    token_file: Path | None = None


@dataclass(frozen=True, slots=True)
class File:
    """One file of a model: path in the model's folder, bytes, `sha256:…`."""

    path: str
    size: int
    digest: str


def fetch(source: Source, store: Path) -> Path:
    """Fetch the model into a folder of `store` named by the digest; return the folder.

    Raises:
        LoadError: Refused, not there, or not what the digest says. Asking again won't help.
        SourceUnavailable: The service is down or broke off. Asking again may help.
    """
    if not _DIGEST.fullmatch(source.digest):
        raise LoadError(f"{source.digest!r} is not a digest: expected sha256: and 64 hex digits")
    files = _manifest(source)
    folder = store / source.digest.removeprefix("sha256:")
    for file in files:
        target = folder / file.path
        if not _is_right(target, file):
            _download(source, file, target)
    return folder


def _manifest(source: Source) -> list[File]:
    with _opened(source, "", "the manifest") as body:
        raw = body.read(_MAX_MANIFEST + 1)
    found = f"sha256:{hashlib.sha256(raw).hexdigest()}"
    if found != source.digest:
        raise LoadError(f"The manifest has digest {found}, expected {source.digest}: refused")
    try:
        return [_file(entry) for entry in json.loads(raw)["files"]]
    except (ValueError, KeyError, TypeError) as exc:
        raise LoadError(f"The manifest can't be read: {exc}") from exc


def _file(entry: dict[str, object]) -> File:
    path, size, digest = str(entry["path"]), int(str(entry["size"])), str(entry["digest"])
    parts = PurePosixPath(path).parts
    if not parts or path.startswith("/") or ".." in parts or "\\" in path or "\0" in path:
        raise ValueError(f"the path {path!r} leads out of the model")
    if not _DIGEST.fullmatch(digest):
        raise ValueError(f"{digest!r} is not a digest")
    return File(path, size, digest)


def _is_right(target: Path, file: File) -> bool:
    if not target.is_file() or target.stat().st_size != file.size:
        return False
    with target.open("rb") as stream:
        return f"sha256:{hashlib.file_digest(stream, 'sha256').hexdigest()}" == file.digest


def _download(source: Source, file: File, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f"{target.name}.part")
    with (
        _opened(source, f"/files/{quote(file.path)}", file.path) as body,
        partial.open("wb") as out,
    ):
        size, digest = _copied(body, out, limit=file.size)
    if (size, digest) != (file.size, file.digest):
        partial.unlink()
        if size < file.size:
            raise SourceUnavailable(f"{file.path} broke off at {size} of {file.size} bytes")
        raise LoadError(f"{file.path} has digest {digest}, expected {file.digest}: refused")
    partial.replace(target)


def _copied(body: IO[bytes], out: IO[bytes], *, limit: int) -> tuple[int, str]:
    """Copy, reading at most one chunk beyond what the manifest allows."""
    digest, size = hashlib.sha256(), 0
    while size <= limit and (chunk := body.read(_CHUNK)):
        out.write(chunk)
        digest.update(chunk)
        size += len(chunk)
    return size, f"sha256:{digest.hexdigest()}"


@contextmanager
def _opened(source: Source, path: str, what: str) -> Iterator[IO[bytes]]:
    """Open a URL below the source's; translate what can go wrong, also while reading."""
    if not source.url.startswith(("http://", "https://")):
        raise LoadError(f"{source.url!r} is not an http URL")
    try:
        request = urllib.request.Request(source.url.rstrip("/") + path, headers=_headers(source))  # noqa: S310  # checked above
        with urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS) as response:  # noqa: S310  # checked above
            yield response
    except urllib.error.HTTPError as exc:
        with exc:
            raise _refused(exc.code, what, source) from exc
    except (urllib.error.URLError, http.client.HTTPException, TimeoutError, ConnectionError) as exc:
        reason = getattr(exc, "reason", exc)
        raise SourceUnavailable(f"{source.url} does not answer: {reason}") from exc
    except OSError as exc:
        raise LoadError(f"{what} can't be stored: {exc}") from exc


def _refused(status: int, what: str, source: Source) -> Exception:
    if status >= 500 or status in {408, 425, 429}:
        return SourceUnavailable(f"{source.url} answered {status} for {what}")
    hint = {
        401: "the token is missing or not valid",
        403: "the token does not allow this digest",
        404: "no such model: was the version published?",
    }.get(status, "the request was refused")
    return LoadError(f"{source.url} answered {status} for {what}: {hint}")


def _headers(source: Source) -> dict[str, str]:
    if source.token_file is None:
        return {}
    try:
        token = source.token_file.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as exc:
        raise LoadError(f"The token can't be read: {exc}") from exc
    return {"Authorization": f"Bearer {token}"}
