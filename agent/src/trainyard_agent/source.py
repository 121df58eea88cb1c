"""Fetching the files of a model version's source, as the tracking service resolves it."""

import errno
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

from trainyard_agent import beside
from trainyard_agent.errors import SourceError, TransportError
from trainyard_agent.paths import inside
from trainyard_agent.transport import Tracking

_UNFIT = frozenset({errno.EEXIST, errno.EISDIR, errno.ENOTDIR, errno.ENAMETOOLONG})


def fetch(
    tracking: Tracking, *, version: str, into: Path, say: Callable[[str], None] = print
) -> dict[str, Any]:
    """Download every file of the version's source and return the termination message.

    It tells the size of all files, the resolved URI, and the MLflow run if one is behind it.

    Raises:
        SourceError: The source is gone, is empty, or a file came short.
    """
    into.mkdir(parents=True, exist_ok=True)
    base = f"/modelversions/{quote(version)}/source"
    source = tracking.json(base)
    files = _listed(source)
    if not files:
        raise SourceError(f"{source.get('uri', version)} holds no file", reason="SourceMissing")
    targets = [(entry, inside(into, entry["path"])) for entry in files]

    def download(entry: dict[str, Any], target: Path) -> int:
        with _naming(entry["path"]):
            size = tracking.download(f"{base}/{quote(entry['path'])}", target)
        if size != entry["size"]:
            raise SourceError(
                f"{entry['path']} came with {size} bytes, {entry['size']} were announced: was"
                " it written to meanwhile?",
                reason="SourceIncomplete",
            )
        return size

    total = sum(beside.each(partial(download, *pair) for pair in targets))
    say(f"fetched {len(files)} files ({total} bytes) of {source.get('uri', version)}")
    told = {"size": total, "uri": source.get("uri"), "runID": source.get("runID")}
    return {name: value for name, value in told.items() if value is not None}


def _listed(source: dict[str, Any]) -> list[dict[str, Any]]:
    found = source.get("files") or []
    if isinstance(found, list) and all(_is_entry(entry) for entry in found):
        return found
    raise TransportError("the tracking service's list of files is none: is it of another release?")


def _is_entry(entry: object) -> bool:
    return (
        isinstance(entry, dict)
        and isinstance(entry.get("path"), str)
        and isinstance(entry.get("size"), int)
    )


@contextmanager
def _naming(path: str) -> Iterator[None]:
    """Say of a file that no folder can hold which one it is: a store has names that it has not."""
    try:
        yield
    except OSError as exc:
        if exc.errno not in _UNFIT:
            raise
        raise SourceError(
            f"{path} can't be a file ({exc.strerror}): a file and a folder have one name, or a name"
            " is too long; log the model again without"
        ) from exc
