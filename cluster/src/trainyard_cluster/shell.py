"""Run a program as a named step: progress on the screen, output in a log, a remedy on failure."""

import fcntl
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from trainyard_cluster import paths

SHOWN_LINES = 15

console = Console(highlight=False)


class StepError(Exception):
    """A step failed; the message says what failed, with which input, and what to do."""


@contextmanager
def step(title: str, *, takes: str = "") -> Iterator[None]:
    """Show *title* while the block runs, and its seconds behind it; name it if the block fails."""
    start = time.monotonic()
    hint = f" [dim](about {takes})[/dim]" if takes else ""
    console.print(f"  • {escape(title)}{hint}")
    try:
        yield
    except (StepError, OSError, subprocess.SubprocessError) as error:
        raise StepError(f"{title}: {error}") from error
    console.print(f"    [green]done[/green] [dim]{time.monotonic() - start:.0f} s[/dim]")


@contextmanager
def lock() -> Iterator[None]:
    """Let one process at a time change the cluster, the images and the caches."""
    file = paths.cache() / "lock"
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            console.print("  • Waiting for another run of this command to end")
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def run(
    *words: str | Path,
    log: str,
    remedy: str,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    stdin: bytes | None = None,
) -> None:
    """Run *words* with the output in *log*.

    Raises:
        StepError: with the last lines of the output, and *remedy*.
    """
    file = paths.logs() / f"{log}.log"
    command = [str(word) for word in words]
    with file.open("ab") as sink:
        sink.write(f"$ {' '.join(command)}\n".encode())
        sink.flush()
        try:
            done = subprocess.run(
                command, cwd=cwd, env=env, input=stdin, stdout=sink, stderr=sink, check=False
            )
        except OSError as error:
            raise StepError(f"{command[0]} can't be started: {error}. {remedy}") from error
    if done.returncode:
        tail = file.read_text(errors="replace").splitlines()[-SHOWN_LINES:]
        shown = "\n".join(f"      {line}" for line in tail)
        raise StepError(f"`{' '.join(command)[:200]}` failed:\n{shown}\n{remedy} Log: {file}")


def output(*words: str | Path, env: Mapping[str, str] | None = None, timeout: float = 60) -> str:
    """Return what *words* print, or nothing if they fail or take longer than *timeout* seconds."""
    try:
        done = subprocess.run(
            [str(word) for word in words],
            env=env,
            capture_output=True,
            text=True,
            check=False,
            timeout=timeout,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout if done.returncode == 0 else ""
