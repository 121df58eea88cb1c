"""Pack a folder into one archive, the same bytes for the same files on every machine.

Knows nothing of clusters: the archive is a temporary file with its digest.
"""

import gzip
import tarfile
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from pathspec import GitIgnoreSpec
from trainyard_api.digests import digest_of

from trainyard._progress import Showing, Step, counted, human_size, in_lines
from trainyard.errors import InvalidInput
from trainyard.ignoring import Ignore, is_clutter

WARN_BYTES = 20 * 1024**2
LIMIT_BYTES = 500 * 1024**2
_IN_MEMORY = 32 * 1024**2
_NAMED = 5


@dataclass(frozen=True, slots=True)
class Archive:
    """A packed folder: *content* is a tar.gz of *size* bytes, open for reading."""

    content: IO[bytes]
    digest: str
    size: int
    files: int
    largest: tuple[tuple[str, int], ...] = ()
    skipped: Mapping[str, str] = field(default_factory=dict)
    """What cannot travel, and why."""
    ignored: tuple[str, ...] = ()

    @property
    def is_large(self) -> bool:
        return self.size > WARN_BYTES


def pack(
    folder: Path,
    *,
    limit: int = LIMIT_BYTES,
    include: Sequence[str] = (),
    showing: Showing = in_lines,
) -> Archive:
    """Pack what git would keep of *folder*, and what *include* names.

    Order, times, owners and permissions are fixed, so the digest depends on
    names, contents and the executable bit alone. A link to a file or folder
    inside is packed as what it leads to; links that lead outside, nowhere or
    round in a circle are named in `skipped`, what .gitignore left behind in `ignored`.

    Args:
        include: patterns as in .gitignore of what travels all the same: `data/`, `*.pkl`.
        showing: shows how far it is; what is short shows nothing.

    Raises:
        InvalidInput: *folder* is no folder, holds nothing to pack, or more than *limit* bytes; a
            file cannot be read, or changes meanwhile; a pattern of *include* matches nothing.
    """
    root = folder.resolve()
    if not root.is_dir():
        raise InvalidInput(f"{folder} is not a folder", fix="Name the folder that holds the script")
    try:
        walk = Walk(root, include)
        files = sorted(walk.files(), key=lambda file: file.relative_to(root).as_posix())
        sizes = {file.relative_to(root).as_posix(): file.stat().st_size for file in files}
    except OSError as exc:
        raise _unreadable(exc.filename or folder, exc) from exc
    if not files:
        raise InvalidInput(f"{folder} holds no file to pack", fix="Check its .gitignore")
    largest = tuple(sorted(sizes.items(), key=lambda item: -item[1])[:3])
    if (total := sum(sizes.values())) > limit:
        raise _too_large(folder, total, limit, largest)
    content: IO[bytes] = tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY)  # noqa: SIM115  # the archive owns it
    try:
        with showing(f"Packing {folder}", total) as step:
            _write(_Room(content), root, files, step)
        with showing(f"Hashing {folder}", content.tell()) as step:
            size, digest = _measure(content, step)
    except BaseException:
        content.close()
        raise
    left = (dict(sorted(walk.skipped.items())), tuple(sorted(walk.ignored)))
    return Archive(content, digest, size, len(files), largest, *left)


def remarks(archive: Archive) -> list[str]:
    """Say in a line each what stays behind, how it can travel, and what is large."""
    said = []
    if archive.skipped:
        names = [f"{name} ({why})" for name, why in archive.skipped.items()]
        said.append(f"Left out: {few(names)}")
    if archive.ignored:
        said.append(
            f"Left out, as .gitignore says: {few(archive.ignored)}."
            f" To take it along: --include '{archive.ignored[0]}'"
        )
    if archive.is_large:
        largest = ", ".join(f"{name} ({human_size(size)})" for name, size in archive.largest)
        said.append(
            f"{human_size(archive.size)} is a lot to travel with a Run. The largest: {largest}."
            " Name data in .gitignore and read it from a bucket or a volume"
        )
    return said


def few(names: Sequence[str]) -> str:
    """List the first few of *names*, and how many more there are."""
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {more} more" if more > 0 else "")


class Walk:
    """The way through a folder: which files travel, what stays behind and why."""

    def __init__(self, root: Path, include: Sequence[str] = ()) -> None:
        self.skipped: dict[str, str] = {}
        self.ignored: list[str] = []
        self._root = root
        self._ignore = Ignore(root)
        self._wanted = {pattern: _wanted(pattern) for pattern in include}
        self._met: set[str] = set()
        self._step = counted(f"Looking through {root}", "files and folders")

    def files(self) -> Iterator[Path]:
        """Yield the files that travel.

        Raises:
            InvalidInput: a pattern of those to include matches no file.
        """
        yield from self._below(self._root, ignored=False)
        for pattern in self._wanted:
            if pattern not in self._met:
                raise InvalidInput(
                    f"--include {pattern!r} matches no file of the folder",
                    fix="Write it as in .gitignore, from the folder on: data/, data/*.csv, *.pkl",
                )

    def _below(self, folder: Path, *, ignored: bool) -> Iterator[Path]:
        self._ignore.enter(folder)
        for path in sorted(folder.iterdir()):
            self._step(1)
            if is_clutter(path):
                continue
            name = path.relative_to(self._root).as_posix()
            left = ignored or self._ignore.leaves_out(path)
            if path.is_dir() and not _why_not(path, self._root):
                yield from self._folder(path, name, left=left)
            elif left and not self._wants(name):
                self.ignored.append(name)
            elif why := _why_not(path, self._root):
                self.skipped[name] = why
            else:
                self._wants(name)
                yield path

    def _folder(self, path: Path, name: str, *, left: bool) -> Iterator[Path]:
        """Go into a folder; into an ignored one only to look for what is wanted of it."""
        before, any_taken = len(self.ignored), False
        if not left or self._wanted:
            for file in self._below(path, ignored=left):
                any_taken = True
                yield file
        if left and not any_taken:
            self.ignored[before:] = [f"{name}/"]

    def _wants(self, name: str) -> bool:
        met = [pattern for pattern, spec in self._wanted.items() if spec.match_file(name)]
        self._met.update(met)
        return bool(met)


def _wanted(pattern: str) -> GitIgnoreSpec:
    try:
        return GitIgnoreSpec.from_lines([pattern])
    except ValueError as exc:
        raise InvalidInput(
            f"--include {pattern!r} is no pattern",
            fix="Write it as in .gitignore, from the folder on: data/, data/*.csv, *.pkl",
        ) from exc


def _why_not(path: Path, root: Path) -> str:
    """Tell why *path* cannot be packed; "" if it can."""
    if not path.is_symlink():
        return "" if path.is_file() or path.is_dir() else "no file"
    try:
        target = path.resolve(strict=True)
        above = {each.resolve() for each in path.parents}
    except FileNotFoundError:
        return "a link that leads nowhere"
    except (OSError, RuntimeError):  # links that lead to each other
        return "a link in a circle"
    if not target.is_relative_to(root):
        return "a link that leads outside the folder: copy what it leads to"
    if target in above:
        return "a link in a circle"
    return "" if target.is_file() or target.is_dir() else "a link to no file"


class _Room:
    """Where the archive is written; what it does not take is not the fault of a file."""

    def __init__(self, content: IO[bytes]) -> None:
        self._content = content

    def write(self, data: bytes) -> int:
        try:
            return self._content.write(data)
        except OSError as exc:
            raise _no_room(exc) from exc

    def flush(self) -> None:
        try:
            self._content.flush()
        except OSError as exc:
            raise _no_room(exc) from exc


def _no_room(error: OSError) -> InvalidInput:
    return InvalidInput(
        f"The packed folder does not fit into {tempfile.gettempdir()}: {error.strerror}",
        fix="Make room there, or name another place with TMPDIR",
    )


class _Seen:
    """A file that tells how much of it was read."""

    def __init__(self, file: IO[bytes], step: Step) -> None:
        self._file, self._step = file, step

    def read(self, size: int = -1) -> bytes:
        data = self._file.read(size)
        self._step(len(data))
        return data


def _write(content: _Room, root: Path, files: list[Path], step: Step) -> None:
    with (
        gzip.GzipFile(
            filename="",
            mode="wb",
            fileobj=content,
            compresslevel=6,
            mtime=0,
        ) as packed,
        tarfile.open(mode="w", fileobj=packed, format=tarfile.PAX_FORMAT) as archive,
    ):
        for file in files:
            try:
                _add(archive, file, file.relative_to(root).as_posix(), step)
            except OSError as exc:
                raise _unreadable(file, exc) from exc


def _add(archive: tarfile.TarFile, file: Path, name: str, step: Step) -> None:
    with file.open("rb") as data:
        status = file.stat()
        entry = tarfile.TarInfo(name)
        entry.size = status.st_size
        entry.mode = 0o755 if status.st_mode & 0o111 else 0o644
        archive.addfile(entry, _Seen(data, step))


def _unreadable(file: Path | str, error: OSError) -> InvalidInput:
    if error.errno is None:  # tarfile's own: the file has become shorter
        return InvalidInput(
            f"{file} changed while it was packed",
            fix="Wait until nobody writes it, or name it in .gitignore",
        )
    return InvalidInput(
        f"Cannot read {file}: {error.strerror}",
        fix="Make it readable, or name it in .gitignore if the program needs it not",
    )


def _measure(content: IO[bytes], step: Step) -> tuple[int, str]:
    size = content.tell()
    content.seek(0)
    digest = digest_of(content, step)
    content.seek(0)
    return size, digest


def _too_large(
    folder: Path, size: int, limit: int, largest: tuple[tuple[str, int], ...]
) -> InvalidInput:
    worst = ", ".join(f"{name} ({human_size(count)})" for name, count in largest)
    return InvalidInput(
        f"{folder} holds {human_size(size)}, more than the {human_size(limit)} that travel with a"
        f" Run; the largest files are {worst}",
        fix="Name data in .gitignore and read it from a bucket or a volume",
    )
