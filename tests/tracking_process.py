"""The tracking service as a process of its own, for tests that look at it from outside."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from processes import ended

_HERE = Path(__file__).parent


@dataclass
class Service:
    """The service in its process."""

    url: str
    process: subprocess.Popen[str]
    before: int

    def peak(self) -> int:
        """End it; give by how many KiB its memory grew at most since it listened."""
        told, _ = self.process.communicate(timeout=60)
        return int(told) - self.before


@contextmanager
def tracking_service(folder: Path, endpoint: str = "") -> Iterator[Service]:
    """Run the service on the S3 of an endpoint, or on files in *folder*."""
    paths = [str(_HERE), *os.environ.get("PYTHONPATH", "").split(":")]
    script = _HERE / "stores" / "service.py"
    with (
        subprocess.Popen(
            [sys.executable, "-W", "ignore", str(script), str(folder), endpoint],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": ":".join(paths)},
        ) as process,
        ended(process, seconds=3),
    ):
        assert process.stdout
        url, before = process.stdout.readline().split()
        yield Service(url, process, int(before))
