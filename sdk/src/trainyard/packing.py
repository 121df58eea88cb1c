"""Pack a folder into one archive, the same bytes for the same files on every machine.

Knows nothing of clusters: the archive is a temporary file with its digest.
"""

import gzip
import hashlib
import tarfile
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from trainyard.errors import InvalidInput
from trainyard.ignoring import Ignore, is_clutter

WARN_BYTES = 20 * 1024**2
LIMIT_BYTES = 500 * 1024**2
_IN_MEMORY = 32 * 1024**2


@dataclass(frozen=True, slots=True)
class Archive:
    """A packed folder: *content* is a tar.gz of *size* bytes, open for reading."""

    content: IO[bytes]
    digest: str
    size: int
    files: int
    unpacked: int
    largest: tuple[tuple[str, int], ...] = ()
    skipped: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()

    @property
    def is_large(self) -> bool:
        return self.size > WARN_BYTES


def pack(folder: Path, *, limit: int = LIMIT_BYTES) -> Archive:
    """Pack what git would keep of *folder*.

    Order, times, owners and permissions are fixed, so the digest depends on
    names, contents and the executable bit alone. A link to a file or folder
    inside is packed as what it leads to; links that lead outside, nowhere or
    round in a circle are named in `skipped`, what .gitignore left behind in `ignored`.

    Raises:
        InvalidInput: *folder* is no folder, holds nothing to pack, or more than *limit* bytes.
    """
    root = folder.resolve()
    if not root.is_dir():
        raise InvalidInput(f"{folder} is not a folder", fix="Name the folder that holds the script")
    skipped: list[str] = []
    ignored: list[str] = []
    files = sorted(
        _files(root, skipped, ignored), key=lambda file: file.relative_to(root).as_posix()
    )
    if not files:
        raise InvalidInput(f"{folder} holds no file to pack", fix="Check its .gitignore")
    sizes = {file.relative_to(root).as_posix(): file.stat().st_size for file in files}
    largest = tuple(sorted(sizes.items(), key=lambda item: -item[1])[:3])
    if sum(sizes.values()) > limit:
        raise _too_large(folder, sum(sizes.values()), limit, largest)
    content: IO[bytes] = tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY)  # noqa: SIM115  # the archive owns it
    _write(content, root, files)
    size, digest = _measure(content)
    left = (tuple(sorted(skipped)), tuple(sorted(ignored)))
    return Archive(content, digest, size, len(files), sum(sizes.values()), largest, *left)


def human_size(count: int) -> str:
    """Write *count* bytes for people: `12 B`, `3.4 KiB`."""
    size = float(count)
    for unit in ("B", "KiB", "MiB"):
        if size < 1024:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} GiB"


def _files(root: Path, skipped: list[str], ignored: list[str]) -> Iterator[Path]:
    ignore = Ignore(root)
    waiting = [root]
    while waiting:
        folder = waiting.pop()
        ignore.enter(folder)
        for path in folder.iterdir():
            if is_clutter(path):
                continue
            if ignore.leaves_out(path):
                name = path.relative_to(root).as_posix()
                ignored.append(f"{name}/" if path.is_dir() else name)
                continue
            if path.is_symlink() and not _leads_inside(path, root):
                skipped.append(path.relative_to(root).as_posix())
            elif path.is_dir():
                waiting.append(path)
            elif path.is_file():
                yield path


def _leads_inside(link: Path, root: Path) -> bool:
    """Tell whether a link can be packed: to a file or folder inside, and not to one above it."""
    try:
        target = link.resolve()
        there = target.is_file() or target.is_dir()
        above = {each.resolve() for each in link.parents}
    except (OSError, RuntimeError):  # links that lead to each other
        return False
    return there and target.is_relative_to(root) and target not in above


def _write(content: IO[bytes], root: Path, files: list[Path]) -> None:
    with (
        gzip.GzipFile(filename="", mode="wb", fileobj=content, compresslevel=6, mtime=0) as packed,
        tarfile.open(mode="w", fileobj=packed, format=tarfile.PAX_FORMAT) as archive,
    ):
        for file in files:
            with file.open("rb") as data:
                status = file.stat()
                entry = tarfile.TarInfo(file.relative_to(root).as_posix())
                entry.size = status.st_size
                entry.mode = 0o755 if status.st_mode & 0o111 else 0o644
                archive.addfile(entry, data)


def _measure(content: IO[bytes]) -> tuple[int, str]:
    size = content.tell()
    content.seek(0)
    digest = hashlib.sha256()
    while block := content.read(1024**2):
        digest.update(block)
    content.seek(0)
    return size, f"sha256:{digest.hexdigest()}"


def _too_large(
    folder: Path, size: int, limit: int, largest: tuple[tuple[str, int], ...]
) -> InvalidInput:
    worst = ", ".join(f"{name} ({human_size(count)})" for name, count in largest)
    return InvalidInput(
        f"{folder} holds {human_size(size)}, more than the {human_size(limit)} that travel with a"
        f" Run; the largest files are {worst}",
        fix="Name data in .gitignore and read it from a bucket or a volume",
    )
