"""Servers that tests start, as processes of their own."""

import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def ended(process: subprocess.Popen[Any], *, seconds: float) -> Iterator[None]:
    """End *process* afterwards: by SIGTERM, and by force if that takes longer than *seconds*."""
    try:
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
