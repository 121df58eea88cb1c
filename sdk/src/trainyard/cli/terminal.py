"""How things look: rich on a terminal, plain text elsewhere. Knows no cluster.

What a command is asked for goes to standard output; talk about it, progress
and errors go to standard error, so that output can be piped.
"""

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from typing import TYPE_CHECKING, Any, Self, TextIO

from trainyard import tables
from trainyard.errors import TrainyardError

if TYPE_CHECKING:
    from rich.console import Console


def console() -> "Console":
    """Return the console of standard output."""
    return _console(sys.stdout, soft_wrap=not sys.stdout.isatty())


def messages() -> "Console":
    """Return the console of standard error."""
    return _console(sys.stderr, soft_wrap=True)


def _console(file: TextIO, *, soft_wrap: bool) -> "Console":
    from rich.console import Console  # noqa: PLC0415  # not for --help

    class Piped(Console):
        def on_broken_pipe(self) -> None:
            raise BrokenPipeError  # stopping.py knows how to end of it

    return Piped(file=file, highlight=False, soft_wrap=soft_wrap)


def note(text: str, *, style: str = "") -> None:
    """Tell the user something on standard error, after what was printed before."""
    sys.stdout.flush()
    messages().print(text, style=style or None, markup=False)


def show_error(error: TrainyardError) -> None:
    """Print what went wrong, and below it what to do."""
    out = messages()
    out.print("Error:", style="bold red", end=" ")
    out.print(error.message, markup=False)
    if error.fix:
        out.print(f"  → {error.fix}", style="cyan" if out.is_terminal else None, markup=False)


def show_table(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table: columns fitted to a terminal, or aligned and whole when piped."""
    if not sys.stdout.isatty():
        print(*tables.Table(titles, rows).lines(), sep="\n")
        return
    from rich.table import Table  # noqa: PLC0415  # not for --help
    from rich.text import Text  # noqa: PLC0415

    table = Table(box=None, header_style="bold", pad_edge=False)
    for title in titles:
        table.add_column(title, overflow="fold")
    for row in rows:
        table.add_row(*(Text(str(cell), style=cell_style(str(cell))) for cell in row))
    console().print(table)


_STYLES = {
    "Succeeded": "green",
    "Available": "green",
    "Ready": "green",
    "True": "green",
    "Running": "cyan",
    "Progressing": "cyan",
    "Publishing": "cyan",
    "Pending": "yellow",
    "Retrying": "yellow",
    "Suspended": "yellow",
    "Failed": "red",
    "Rejected": "red",
    "Degraded": "red",
    "False": "red",
    "Cancelled": "dim",
}


def cell_style(text: str) -> str:
    """Return the colour of a word that means something, else none."""
    return _STYLES.get(text.removesuffix(" *"), "")


def show_data(data: object, form: str) -> None:
    """Print plain data as json or yaml."""
    if form == "json":
        print(json.dumps(data, indent=2))
        return
    from trainyard.looking import yaml_text  # noqa: PLC0415  # not for --help

    print(yaml_text(data), end="")


@contextmanager
def progress(what: str, total: int) -> "Iterator[Any]":
    """Show how far a transfer of *total* bytes is; yields a function that takes steps."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.progress import (  # noqa: PLC0415  # not for --help
        BarColumn,
        DownloadColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    columns = (TextColumn(what), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=messages(), transient=True) as bar:
        task = bar.add_task(what, total=total)
        yield lambda step: bar.advance(task, step)


class LiveLog:
    """A sink for a followed log: bytes to standard output, states to a spinner or to lines."""

    def __init__(self) -> None:
        self._told = ""
        self._status: Any = None
        self._in_line = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Take the spinner away and begin a new line, whatever ended the following."""
        self.close()
        with suppress(BrokenPipeError):
            self.end_line()

    def write(self, data: bytes) -> None:
        """Print a piece of the log as it is."""
        self.close()
        _standard_output(data)
        self._in_line = not data.endswith(b"\n")

    def state(self, text: str) -> None:
        """Show what the Run waits for."""
        if text == self._told:
            return
        self._told = text
        self.end_line()
        out = messages()
        if not sys.stderr.isatty() or out.is_dumb_terminal:
            note(f"· {text}")
            return
        if self._status is None:
            self._status = out.status(_plain(text))
            self._status.start()
        self._status.update(_plain(text))

    def end_line(self) -> None:
        """Begin a new line if the log's last one has no end."""
        if self._in_line:
            _standard_output(b"\n")
            self._in_line = False

    def close(self) -> None:
        """Take the spinner away."""
        if self._status is not None:
            self._status.stop()
            self._status = None


def _plain(text: str) -> str:
    from rich.markup import escape  # noqa: PLC0415  # not for --help

    return escape(text)


def _standard_output(data: bytes) -> None:
    sys.stdout.flush()
    raw = getattr(sys.stdout, "buffer", None)
    if raw is None:
        sys.stdout.write(data.decode(errors="replace"))
    else:
        raw.write(data)
        raw.flush()


@cache
def can_draw() -> bool:
    """Tell whether standard output can show more than ASCII."""
    return "utf" in (sys.stdout.encoding or "").lower()
