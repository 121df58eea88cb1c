"""How things look: rich on a terminal, plain text elsewhere. Knows no cluster.

What a command is asked for goes to standard output; talk about it, progress
and errors go to standard error, so that output can be piped.
"""

import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from typing import TYPE_CHECKING, Any, Self, TextIO

from trainyard import tables
from trainyard._progress import Step, in_lines
from trainyard.errors import TrainyardError, Unreachable

if TYPE_CHECKING:
    from rich.console import Console

_USUAL = 80
_SHORT = 0.5
"""Seconds of a work that need no bar."""


def console(*, soft_wrap: bool = False) -> "Console":
    """Return the console of standard output.

    Args:
        soft_wrap: leave it to the terminal where a line goes on, so that a command that is
            copied from it is one.
    """
    return _console(sys.stdout, soft_wrap=soft_wrap or not sys.stdout.isatty())


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


def for_each(names: Sequence[str], do: Callable[[str], None]) -> bool:
    """Do something for each of *names*, whatever comes of the others; tell whether all went well.

    Raises:
        Unreachable: nobody answers, and would not for the others either.
    """
    well = True
    for name in names:
        try:
            do(name)
        except Unreachable:
            raise
        except TrainyardError as exc:
            sys.stdout.flush()
            show_error(exc)
            well = False
    return well


def show_table(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table: columns fitted to a terminal, or aligned and whole when piped.

    On a terminal that is too narrow for columns, each row is some lines of its own.
    """
    plain = tables.Table(titles, rows)
    if not sys.stdout.isatty():
        print(*plain.lines(), sep="\n")
        return
    if not plain.fits(console().width):
        _show_records(plain)
        return
    from rich.table import Table  # noqa: PLC0415  # not for --help
    from rich.text import Text  # noqa: PLC0415

    table = Table(box=None, header_style="bold", pad_edge=False)
    for title in titles:
        table.add_column(title, overflow="fold")
    for row in rows:
        table.add_row(*(Text(str(cell), style=cell_style(str(cell))) for cell in row))
    console().print(table)


def _show_records(table: "tables.Table") -> None:
    out = console(soft_wrap=True)
    for head, told in table.records():
        out.print(head, style="bold", markup=False)
        for title, cell in told:
            out.print(f"  {title} " if title else "  ", style="dim", end="", markup=False)
            out.print(cell, style=cell_style(cell) or None, markup=False)


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
def progress(what: str, total: int) -> "Iterator[Step]":
    """Show how much of *total* bytes is done, once it lasts; yields a function that takes steps.

    A bar on a terminal, a line now and then elsewhere.
    """
    if not sys.stderr.isatty() or messages().is_dumb_terminal:
        with in_lines(what, total) as step:
            yield step
        return
    bar = _Bar(what, total)
    try:
        yield bar
    finally:
        bar.close()


class _Bar:
    """A bar that shows up only where there is something to wait for."""

    def __init__(self, what: str, total: int) -> None:
        self._what, self._total = what, total
        self._from = time.monotonic() + _SHORT
        self._done = 0
        self._shown: Any = None
        self._task: Any = None

    def __call__(self, step: int) -> None:
        self._done += step
        if self._shown is None and time.monotonic() >= self._from:
            self._show()
        if self._shown is not None:
            self._shown.update(self._task, completed=self._done)

    def _show(self) -> None:
        from rich.progress import (  # noqa: PLC0415  # not for --help
            BarColumn,
            DownloadColumn,
            Progress,
            TextColumn,
            TimeRemainingColumn,
        )

        columns = (TextColumn(_plain(self._what)), BarColumn(), DownloadColumn())
        out = _console(sys.stderr, soft_wrap=False)
        self._shown = Progress(*columns, TimeRemainingColumn(), console=out, transient=True)
        self._task = self._shown.add_task("", total=self._total)
        self._shown.start()

    def close(self) -> None:
        """Take it away."""
        if self._shown is not None:
            self._shown.stop()


class LiveLog:
    """A sink for a followed log: bytes to standard output, states to a spinner or to lines."""

    def __init__(self) -> None:
        self._told = ""
        self._status: Any = None
        self._in_line = False
        self.has_printed = False

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
        self.has_printed = True
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


def width() -> int:
    """Return the columns of the terminal, of whichever stream leads to one; 80 if none does."""
    told = os.environ.get("COLUMNS", "")
    if told.isdecimal() and int(told):
        return int(told)
    for stream in (0, 1, 2):
        with suppress(OSError):
            return os.get_terminal_size(stream).columns or _USUAL
    return _USUAL


@cache
def can_draw() -> bool:
    """Tell whether standard output can show more than ASCII."""
    return "utf" in (sys.stdout.encoding or "").lower()
