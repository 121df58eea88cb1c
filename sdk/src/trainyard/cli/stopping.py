"""How a command ends before its end: by Ctrl-C, by SIGTERM, by a reader that has enough.

Whoever stops one is told what goes on without it. The exit code is what a shell expects: 130 and
143, and a death of SIGPIPE, as of other programs in a pipe.
"""

import errno
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

import typer

from trainyard._signals import on_termination
from trainyard.cli.terminal import note
from trainyard.errors import TrainyardError

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO})


class Terminated(KeyboardInterrupt):
    """SIGTERM came: what Ctrl-C is to people, from a script, CI or systemd."""


@contextmanager
def orderly() -> Iterator[None]:
    """Turn what stops a command into its exit code, with all that was printed written."""
    if sys.stdout is None:  # closed by whoever started us: `>&-`
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115, PTH123  # for the whole process
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="backslashreplace")  # as standard error has it
    try:
        with on_termination(_terminate):
            try:
                yield
            finally:
                # At the end of Python an error would be a traceback.
                sys.stdout.flush()
    except BrokenPipeError:
        _end_of_pipe()
    except OSError as exc:
        if exc.errno not in _FULL or exc.filename:
            raise
        _drop_the_rest()
        raise TrainyardError(f"Standard output takes no more: {exc.strerror}") from exc
    except Terminated:
        raise typer.Exit(128 + signal.SIGTERM) from None
    except KeyboardInterrupt:
        raise typer.Exit(128 + signal.SIGINT) from None


@contextmanager
def telling(*lines: str) -> Iterator[None]:
    """Say these lines to whoever stops what happens inside."""
    try:
        yield
    except KeyboardInterrupt:
        note(f"\n{lines[0]}", style="bold")
        for line in lines[1:]:
            note(line)
        raise


def _terminate(*_: object) -> NoReturn:
    raise Terminated


def _drop_the_rest() -> None:
    """Have what is left in the buffer go nowhere."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _end_of_pipe() -> NoReturn:
    """End as `cat` does whose reader has enough; Python ignores the signal for that."""
    _drop_the_rest()
    if hasattr(signal, "SIGPIPE"):
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGPIPE)
    raise typer.Exit(1)
