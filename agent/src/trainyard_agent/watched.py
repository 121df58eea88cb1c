"""Running a program that may take days: for as long as something moves, and no longer.

What moves is what it prints, and what is below its folder. A transfer of hundreds of gigabytes
goes on; one whose server took the call and says nothing ends.
"""

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, cast

_MOST_ERRORS = 256 << 10
"""Bytes kept of what it complains: a server may have it say anything, for ever."""
_LOOKS_EVERY = 10.0
_LOOKS_SHARE = 10
"""Of a folder of a million files a look takes long: that many times its length lie between two."""
_TOLD_EVERY = 60.0
_DYING_SECONDS = 5.0


class Silent(Exception):  # noqa: N818  # named for what happened
    """The program printed nothing and wrote nothing for too long, and was ended."""


def run(
    command: Sequence[str],
    *,
    folder: Path,
    environment: Mapping[str, str],
    silence: float,
    say: Callable[[str], None] = print,
) -> "subprocess.CompletedProcess[str]":
    """Run a program to its end.

    Args:
        folder: Where it writes.
        silence: Seconds without anything new after which it is ended.
        say: Told each minute how much is there.

    Raises:
        Silent: It was ended.
    """
    # A group of its own: helpers hold its pipes, and would be waited for when it is ended.
    process = subprocess.Popen(  # noqa: S603  # the caller's words
        command,
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    out, err = cast("IO[bytes]", process.stdout), cast("IO[bytes]", process.stderr)
    readers = (_Reader(out), _Reader(err, most=_MOST_ERRORS))
    moving = _Moving(folder, readers, say)
    try:
        _watch(process, readers, moving, silence=silence)
    except BaseException:
        _end(process, readers)
        raise
    printed, complained = (each.text() for each in readers)
    return subprocess.CompletedProcess(command, process.returncode, printed, complained)


def _watch(
    process: "subprocess.Popen[bytes]",
    readers: "Sequence[_Reader]",
    moving: "_Moving",
    *,
    silence: float,
) -> None:
    pause = min(_LOOKS_EVERY, silence / 4)
    while not _has_ended(process, readers, within=max(pause, moving.cost * _LOOKS_SHARE)):
        if moving.quiet_for() >= silence:
            raise Silent


class _Reader(threading.Thread):
    """Takes what a program prints, so that it never waits for us."""

    def __init__(self, stream: IO[bytes], *, most: int = 0) -> None:
        super().__init__(daemon=True)
        self.seen = 0
        self._stream = stream
        self._most = most
        self._kept = bytearray()
        self.start()

    def run(self) -> None:
        with self._stream:
            while chunk := os.read(self._stream.fileno(), 1 << 16):
                self._kept += chunk
                self.seen += len(chunk)
                if self._most and len(self._kept) > 2 * self._most:
                    del self._kept[: -self._most]

    def text(self) -> str:
        return self._kept.decode(errors="surrogateescape")


class _Moving:
    """Sees whether anything is new, and tells now and then how much there is."""

    def __init__(
        self, folder: Path, readers: Sequence[_Reader], say: Callable[[str], None]
    ) -> None:
        self.cost = 0.0
        self._folder = folder
        self._readers = readers
        self._say = say
        self._last = (0, (0, 0))
        self._since = self._told = time.monotonic()

    def quiet_for(self) -> float:
        """Look, and return for how many seconds nothing has been new."""
        begun = time.monotonic()
        held = there(self._folder)
        now = time.monotonic()
        self.cost = now - begun
        last = (sum(each.seen for each in self._readers), held)
        if last != self._last:
            self._last, self._since = last, now
        if now - self._told >= _TOLD_EVERY:
            self._told = now
            still = f", nothing new for {int(now - self._since)} s" if now > self._since else ""
            self._say(f"{held[1] >> 20} MiB in {self._folder} by now{still}")
        return now - self._since


def there(folder: Path) -> tuple[int, int]:
    """Count what is below a folder, and its bytes; what goes meanwhile is left out."""
    count = size = 0
    folders = [os.fspath(folder)]
    while folders:
        with suppress(OSError), os.scandir(folders.pop()) as entries:
            for entry in entries:
                with suppress(OSError):
                    count += 1
                    size += entry.stat(follow_symlinks=False).st_size
                    if entry.is_dir(follow_symlinks=False):
                        folders.append(entry.path)
    return count, size


def _has_ended(
    process: "subprocess.Popen[bytes]", readers: Sequence[_Reader], *, within: float
) -> bool:
    until = time.monotonic() + within
    for each in readers:
        each.join(max(0.0, until - time.monotonic()))
    if any(each.is_alive() for each in readers):
        return False
    with suppress(subprocess.TimeoutExpired):
        process.wait(max(0.01, until - time.monotonic()))
    return process.returncode is not None


def _end(process: "subprocess.Popen[bytes]", readers: Sequence[_Reader]) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    # No longer than this: one that hangs in a dead disk never ends.
    _has_ended(process, readers, within=_DYING_SECONDS)
