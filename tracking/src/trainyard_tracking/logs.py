"""Logs of attempts: appended at an offset while they come, an artifact of the run at the end.

Until then they are files in the spool, which survives the pod of the Run and ours. A log is two
files: the bytes, and a note of how many of them count and where they end in the pod's log; bytes
beyond the note are of an append that was cut off, and are dropped. Both are on the disk before
anybody is told so: a note of bytes that a node lost would have the log go on behind a hole.

The last bytes of a log may come with the end of its Run: they are never noted, only archived.
"""

import json
import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from shutil import rmtree
from typing import IO

from trainyard_tracking.errors import NotFound, Refused, TrackingError
from trainyard_tracking.objects import CHUNK, Objects

_LOCKS = 64


class WrongOffset(TrackingError):  # noqa: N818  # an answer that has a value
    """The log has another length than the sender thinks."""

    def __init__(self, name: str, state: "LogState") -> None:
        super().__init__(f"The log of attempt {name} has {state.offset} bytes")
        self.state = state


@dataclass(frozen=True, slots=True)
class LogState:
    """Length of a log in bytes, and its sender's word for the place they end at."""

    offset: int
    place: str = ""


@dataclass(frozen=True, slots=True)
class Tail:
    """The last bytes of a log, from an offset to what their sender calls the place they end at."""

    offset: int
    place: str
    data: bytes


@dataclass(frozen=True, slots=True)
class LogRef:
    """The log of an attempt's pod.

    Attributes:
        artifact_root: The key prefix of the run's artifacts; None while it has no record. What is
            printed meanwhile is spooled all the same.
    """

    namespace: str
    run_id: str
    attempt: int
    artifact_root: str | None
    index: int = 0

    @property
    def name(self) -> str:
        """Return its name among those of a Run: the first pod's is the attempt's alone."""
        return f"{self.attempt}-{self.index}" if self.index else f"{self.attempt}"

    @property
    def artifact(self) -> str:
        return f"logs/attempt-{self.name}.log"

    @property
    def key(self) -> str:
        if self.artifact_root is None:
            raise NotFound(f"MLflow run {self.run_id} is not in namespace {self.namespace}")
        return f"{self.artifact_root}/{self.artifact}"


@dataclass(slots=True)
class Logs:
    """All logs; one append to a log at a time."""

    spool: Path
    objects: Objects
    _locks: list[threading.Lock] = field(
        default_factory=lambda: [threading.Lock() for _ in range(_LOCKS)]
    )

    def state(self, ref: LogRef) -> LogState:
        """Tell how much of a log is here, in the spool or archived."""
        return self._spooled(ref) or LogState(self._archived(ref) or 0)

    def append(self, ref: LogRef, *, offset: int, place: str, data: bytes) -> LogState:
        """Append bytes.

        Raises:
            WrongOffset: the log does not end at `offset`; carries where it ends.
            Refused: the log is archived and takes no more.
        """
        with self._lock_of(ref):
            spooled = self._spooled(ref)
            archived = None if spooled else self._archived(ref)
            state = spooled or LogState(archived or 0)
            if state.offset != offset:
                raise WrongOffset(ref.name, state)
            if archived is not None:
                raise Refused(f"The log of attempt {ref.name} is archived already")
            _write(self._path(ref), offset, data)
            appended = LogState(offset + len(data), place or state.place)
            _write_note(self._note(ref), appended)
            return appended

    def read(self, ref: LogRef, offset: int = 0) -> Iterator[bytes]:
        """Stream what is there from a byte on; nothing if there is no more.

        Raises:
            NotFound: nothing of the log is here, and the run has no record.
        """
        state = self._spooled(ref)
        if state is not None:
            # Opened here: the file may be gone, and archived, before the first chunk is read.
            with suppress(FileNotFoundError):
                return _file_chunks(self._path(ref).open("rb"), offset, state.offset)
        archived = self.objects.stat(ref.key)
        if archived is None or offset >= archived.size:
            return iter(())
        return self.objects.read(ref.key, offset)

    def archive(self, ref: LogRef, tail: Tail | None = None) -> None:
        """Make the log an artifact, whole with its tail, and empty the spool; again is harmless.

        Raises:
            WrongOffset: the log ends neither where the tail begins nor where it ends.
        """
        with self._lock_of(ref):
            path, spooled = self._path(ref), self._spooled(ref)
            if spooled is None and self._archived(ref) is not None:
                # Whole: who archived it had its tail, too.
                self._remove(ref)
                return
            state = spooled or LogState(0)
            _write(path, state.offset, _missing(ref, state, tail))
            self.objects.put(ref.key, path)
            self._remove(ref)

    def archive_all(
        self,
        namespace: str,
        run_id: str,
        root: str,
        *,
        named: Mapping[tuple[int, int], Tail | None] | None = None,
    ) -> list[LogRef]:
        """Archive these logs of a Run and whatever else of it is in the spool.

        Args:
            named: By attempt and index, with the tails that have come.

        Raises:
            WrongOffset: a tail does not belong where its log ends; others may be archived.
        """
        folder, tails = self._folder(namespace, run_id), named or {}
        spooled = {_place_of(path.stem) for path in _files(folder) if path.suffix == ".log"}
        places = sorted({*tails, *spooled})
        refs = [LogRef(namespace, run_id, attempt, root, index) for attempt, index in places]
        for ref in refs:
            self.archive(ref, tails.get((ref.attempt, ref.index)))
        with suppress(OSError):
            folder.rmdir()  # unless a log has just been begun
        return refs

    def has_some(self, namespace: str, run_id: str) -> bool:
        """Tell whether anything of a Run is in the spool."""
        return bool(_files(self._folder(namespace, run_id)))

    def spooled(self) -> Iterator[tuple[str, str, float]]:
        """List the Runs in the spool: namespace, id, and the second since 1970 it last grew."""
        for folder in (self.spool / "logs").glob("*/*"):
            with suppress(FileNotFoundError):
                grown = [file.stat().st_mtime for file in (folder, *folder.iterdir())]
                yield folder.parent.name, folder.name, max(grown)

    def drop(self, namespace: str, run_id: str) -> None:
        """Remove the logs of a Run that has no record to keep them under."""
        rmtree(self._folder(namespace, run_id), ignore_errors=True)

    def _spooled(self, ref: LogRef) -> LogState | None:
        """Tell how much of a log is in the spool; nothing if it is not there."""
        try:
            state = _read_note(self._note(ref))
            size = self._path(ref).stat().st_size
        except FileNotFoundError:
            return None
        # A disk that lied about what it keeps: the rest is read again from the pod's log, of
        # which nobody knows any more where that is.
        return state if size >= state.offset else LogState(size)

    def _remove(self, ref: LogRef) -> None:
        """Empty the spool of a log; its bytes last, so that a note is never without them."""
        note = self._note(ref)
        for file in (note, _fresh(note), self._path(ref)):
            file.unlink(missing_ok=True)

    def _archived(self, ref: LogRef) -> int | None:
        """Give the size of the log among the run's artifacts; nothing if it is not there."""
        found = None if ref.artifact_root is None else self.objects.stat(ref.key)
        return None if found is None else found.size

    def _lock_of(self, ref: LogRef) -> threading.Lock:
        # Shared by some: bounded, and an upload holds up few others.
        return self._locks[hash((ref.run_id, ref.name)) % _LOCKS]

    def _path(self, ref: LogRef) -> Path:
        return self._folder(ref.namespace, ref.run_id) / f"{ref.name}.log"

    def _folder(self, namespace: str, run_id: str) -> Path:
        return self.spool / "logs" / namespace / run_id

    def _note(self, ref: LogRef) -> Path:
        return self._path(ref).with_suffix(".json")


def _place_of(name: str) -> tuple[int, int]:
    attempt, _, index = name.partition("-")
    return int(attempt), int(index or 0)


def _missing(ref: LogRef, state: LogState, tail: Tail | None) -> bytes:
    """Give what a log lacks of its tail: all, or nothing if an append has brought it."""
    if tail is None:
        return b""
    if state.offset == tail.offset:
        return tail.data
    if tail.place and state.place == tail.place:
        return b""
    raise WrongOffset(ref.name, state)


def _write(path: Path, offset: int, data: bytes) -> None:
    """Have a file end with these bytes at an offset that it reaches, whatever was beyond it."""
    with _opened(path) as file:
        file.truncate(offset)
        file.seek(offset)
        file.write(data)
        file.flush()
        os.fdatasync(file.fileno())


def _opened(path: Path) -> IO[bytes]:
    """Open a file to write into it where it is, making it and its folder if need be."""
    while True:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Who has just archived another log of the Run removes the empty folder.
        with suppress(FileNotFoundError):
            return os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o644), "r+b")


def _read_note(note: Path) -> LogState:
    found = json.loads(note.read_bytes() or '{"offset": 0, "place": ""}')
    return LogState(int(found["offset"]), str(found["place"]))


def _write_note(note: Path, state: LogState) -> None:
    fresh = _fresh(note)
    with fresh.open("w") as file:
        json.dump({"offset": state.offset, "place": state.place}, file)
        file.flush()
        os.fdatasync(file.fileno())
    fresh.replace(note)


def _fresh(note: Path) -> Path:
    return note.with_suffix(".new")


def _files(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except FileNotFoundError:
        return []


def _file_chunks(opened: IO[bytes], begin: int, end: int) -> Iterator[bytes]:
    size = end - begin
    with opened as file:
        file.seek(begin)
        while size > 0 and (chunk := file.read(min(CHUNK, size))):
            size -= len(chunk)
            yield chunk
