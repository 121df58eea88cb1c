"""How a step is told, done, timed and reported; runs in the client's environment, on any MLflow."""

import json
import signal
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import mlflow
from mlflow.exceptions import MlflowException

VERSION = tuple(int(part) for part in mlflow.__version__.split(".")[:2])
# What takes longer hangs: seven repeats, as of a 500, take minutes.
_SECONDS = 240


@dataclass
class Seen:
    """What earlier steps made, for later ones."""

    name: str
    """Of this client and this caller; nobody else's experiment or model has it."""
    folder: Path
    other: str
    """What a person's client of another version went by, which is done with this program."""
    run_id: str = ""
    model_uri: str = ""
    more: dict[str, Any] = field(default_factory=dict)


Do = Callable[[Seen], None]
STEPS: list[tuple[str, tuple[int, int], Do]] = []


def step(name: str, *, since: tuple[int, int] = (0, 0)) -> Callable[[Do], Do]:
    """Add a step; a client older than *since* has nothing for it."""

    def add(do: Do) -> Do:
        STEPS.append((name, since, do))
        return do

    return add


def report(seen: Seen) -> None:
    """Do all steps in order, and write a line of JSON for each."""
    signal.signal(signal.SIGALRM, _too_long)
    for name, since, do in STEPS:
        begun = time.monotonic()
        outcome, said = ("absent", "") if since > VERSION else _outcome(do, seen)
        line = {"step": name, "outcome": outcome, "said": said}
        line["seconds"] = round(time.monotonic() - begun, 1)
        sys.stdout.write(f"STEP {json.dumps(line)}\n")
        sys.stdout.flush()


def _outcome(do: Do, seen: Seen) -> tuple[str, str]:
    signal.alarm(_SECONDS)
    try:
        do(seen)
    except MlflowException as exc:
        return exc.error_code, exc.message
    except Exception as exc:  # noqa: BLE001  # whatever it is, the table says it
        where = traceback.extract_tb(exc.__traceback__)[-1]
        return type(exc).__name__, f"{exc} at {Path(where.filename).name}:{where.lineno}"
    finally:
        signal.alarm(0)
        while mlflow.active_run():
            mlflow.end_run()
    return "ok", ""


def _too_long(number: int, frame: object) -> None:
    raise TimeoutError(f"not done after {_SECONDS} s")


def code(call: Callable[[], object]) -> str:
    """Give the error code of a call that has to fail; none if it does not."""
    try:
        call()
    except MlflowException as exc:
        return str(exc.error_code)
    return ""
