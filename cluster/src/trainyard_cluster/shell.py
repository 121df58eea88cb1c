"""Run a program as a named step: progress on the screen, output in a log, a remedy on failure."""

import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console

from trainyard_cluster import paths

console = Console(highlight=False)


class StepFailed(Exception):
    """A step failed; the message names it, its log and the remedy."""


@contextmanager
def step(title: str, *, takes: str = "") -> Iterator[None]:
    """Show *title* while the block runs, and its seconds behind it."""
    start = time.monotonic()
    hint = f" [dim](about {takes})[/dim]" if takes else ""
    console.print(f"  • {title}{hint}")
    yield
    console.print(f"    [green]done[/green] [dim]{time.monotonic() - start:.0f} s[/dim]")


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
        StepFailed: with the last lines of the output, and *remedy*.
    """
    file = paths.logs() / f"{log}.log"
    command = [str(word) for word in words]
    with file.open("ab") as output:
        output.write(f"$ {' '.join(command)}\n".encode())
        output.flush()
        try:
            done = subprocess.run(
                command, cwd=cwd, env=env, input=stdin, stdout=output, stderr=output, check=False
            )
        except OSError as error:
            raise StepFailed(f"{command[0]} can't be started: {error}. {remedy}") from error
    if done.returncode:
        tail = file.read_text(errors="replace").splitlines()[-15:]
        shown = "\n".join(f"      {line}" for line in tail)
        raise StepFailed(f"`{' '.join(command)[:200]}` failed:\n{shown}\n{remedy} Log: {file}")


def output(*words: str | Path, env: Mapping[str, str] | None = None, timeout: float = 60) -> str:
    """Return what *words* print, or nothing if they fail."""
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
