"""How a bench is run: on the local cluster, and ended so that it takes away what it made."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Coroutine
from typing import Any, TypeVar

from api import BenchError
from trainyard_cluster import paths
from trainyard_cluster.shell import StepError

T = TypeVar("T")


def say(text: str) -> None:
    print(f"  • {text}", flush=True)


def run(name: str, work: Coroutine[Any, Any, T]) -> T:
    """Run a bench to its end; a SIGTERM cleans up as an interrupt from the keyboard does."""
    os.environ["KUBECONFIG"] = str(paths.kubeconfig())
    try:
        return asyncio.run(_guarded(work))
    except (BenchError, StepError) as exc:
        sys.exit(f"{name}: {exc}")
    except asyncio.CancelledError:
        sys.exit(f"{name}: stopped")


async def _guarded(work: Coroutine[Any, Any, T]) -> T:
    task = asyncio.current_task()
    if task is not None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    return await work


async def command(*words: object, seconds: float = 300) -> str:
    """Run a program; return what it printed.

    Raises:
        BenchError: It failed, or took too long.
    """
    texts = [str(word) for word in words]
    try:
        done = await asyncio.to_thread(
            subprocess.run, texts, capture_output=True, text=True, check=False, timeout=seconds
        )
    except subprocess.TimeoutExpired as exc:
        raise BenchError(f"`{' '.join(texts)}` took more than {seconds:.0f} s") from exc
    if done.returncode:
        said = (done.stdout + done.stderr).strip()[-500:]
        raise BenchError(f"`{' '.join(texts)}` ended with {done.returncode}: {said}")
    return done.stdout
