"""Bring a model here by digest: manifest, then files, each verified as it streams in.

Nothing is trusted but the digest: the manifest's bytes must have it, and each file must have
the size and digest that the manifest says. What is here and right already is not fetched again,
and a file that broke off is fetched from there on.
"""

import hashlib
import json
import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import quote

from trainyard_api.digests import digest_of
from trainyard_api.paths import segments
from trainyard_api.progress import Told
from trainyard_api.transfer import Away, Client, Corrupt, Refused

from trainyard_serving.errors import LoadError, SourceUnavailable

LOG = logging.getLogger(__name__)
_MAX_MANIFEST: Final = 16 * 1024 * 1024
_DIGEST: Final = re.compile(r"sha256:[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Source:
    """Where a manifest is, what it must hash to, and the token to read it with.

    Attributes:
        ca_file: The authority of the service's certificate; "" for the machine's own.
    """

    url: str
    digest: str
    token_file: Path | None = None
    ca_file: str = ""


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
    with _told(source, "the manifest"):
        raw = _client(source).get(_base(source), most=_MAX_MANIFEST)
    found = f"sha256:{hashlib.sha256(raw).hexdigest()}"
    if found != source.digest:
        raise LoadError(f"The manifest has digest {found}, expected {source.digest}: refused")
    try:
        return [_file(entry) for entry in json.loads(raw)["files"]]
    except (ValueError, KeyError, TypeError) as exc:
        raise LoadError(f"The manifest can't be read: {exc}") from exc


def _file(entry: dict[str, object]) -> File:
    path, size, digest = str(entry["path"]), int(str(entry["size"])), str(entry["digest"])
    segments(path)
    if not _DIGEST.fullmatch(digest):
        raise ValueError(f"{digest!r} is not a digest")
    return File(path, size, digest)


def _is_right(target: Path, file: File) -> bool:
    if not target.is_file() or target.stat().st_size != file.size:
        return False
    told = Told(f"verified of {file.path}", LOG.info)
    with target.open("rb") as stream:
        return digest_of(stream, lambda _: told(stream.tell(), file.size)) == file.digest


def _download(source: Source, file: File, target: Path) -> None:
    url = f"{_base(source)}/files/{quote(file.path)}"
    with _told(source, file.path):
        told = Told(f"fetched of {file.path}", LOG.info)
        client = _client(source)
        client.download(url, target, digest=file.digest, size=file.size, told=told)


@contextmanager
def _told(source: Source, what: str) -> Iterator[None]:
    """Translate what can go wrong into what the server's life knows."""
    try:
        yield
    except Away as exc:
        raise SourceUnavailable(f"{what}: {exc}") from exc
    except Refused as exc:
        raise LoadError(f"{source.url} answered {exc.status} for {what}: {_hint(exc)}") from exc
    except Corrupt as exc:
        raise LoadError(f"{what} is not what the manifest says, refused: {exc}") from exc
    except OSError as exc:
        raise LoadError(f"{what} can't be stored: {exc}") from exc
    except ValueError as exc:
        raise LoadError(f"{what}: {exc}") from exc


def _hint(refused: Refused) -> str:
    return {
        401: "the token is missing or not valid",
        403: "the token does not allow this digest",
        404: "no such model: was the version published?",
    }.get(refused.status, refused.told)


def _base(source: Source) -> str:
    if not source.url.startswith(("http://", "https://")):
        raise LoadError(f"{source.url!r} is not an http URL")
    return source.url.rstrip("/")


def _client(source: Source) -> Client:
    return Client("model-server", token=lambda: _token(source), ca_file=source.ca_file)


def _token(source: Source) -> str:
    if source.token_file is None:
        return ""
    try:
        return source.token_file.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as exc:
        raise LoadError(f"The token can't be read: {exc}") from exc
