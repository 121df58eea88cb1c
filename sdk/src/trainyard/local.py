"""Run a folder's program on this machine, as a Run would, without any cluster.

In place: the working directory is the folder itself, as if one had typed
`cd FOLDER; python train.py --max_depth=12`. Results go to `mlflow.db` and
`mlruns/` in that folder, which are never packed.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from trainyard_api.contract import PARAMETER_ENV_PREFIX

from trainyard._signals import on_termination
from trainyard.errors import InvalidInput
from trainyard.parameters import Parameter, as_arguments, as_text
from trainyard.program import distributions, modules_needed, script_of

_PROBE = (
    "import importlib.util, json, sys;"
    "print(json.dumps([m for m in sys.argv[1:] if importlib.util.find_spec(m) is None]))"
)


@dataclass(frozen=True, slots=True)
class LocalRun:
    """What to start: *command* is complete, *environment* adds to this process's own."""

    folder: Path
    command: list[str]
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def tracking_uri(self) -> str:
        return self.environment["MLFLOW_TRACKING_URI"]


def prepare(
    folder: Path,
    command: list[str],
    parameters: Mapping[str, Parameter],
    *,
    experiment: str = "",
    env: Mapping[str, str] | None = None,
) -> LocalRun:
    """Choose the interpreter and the environment for *command* in *folder*.

    Raises:
        InvalidInput: the program is not there, or its Python lacks modules;
            the message has the `pip install` that mends it.
    """
    folder = folder.resolve()
    command = [*_program(folder, command), *as_arguments(parameters)]
    environment = {
        "MLFLOW_TRACKING_URI": os.environ.get("MLFLOW_TRACKING_URI") or _local_store(folder),
        "PYTHONUNBUFFERED": "1",
        "GIT_PYTHON_REFRESH": "quiet",
        **{_variable(name): as_text(value) for name, value in parameters.items()},
        **({"MLFLOW_EXPERIMENT_NAME": experiment} if experiment else {}),
        **(env or {}),
    }
    return LocalRun(folder, command, environment)


def execute(run: LocalRun) -> int:
    """Run it to its end with this terminal's own input and output; return its exit code."""
    with (
        subprocess.Popen(  # noqa: S603  # the user's own command, on the user's own machine
            run.command, cwd=run.folder, env={**os.environ, **run.environment}
        ) as process,
        # The program ends, and not this one alone.
        on_termination(lambda number, _: process.send_signal(number)),
    ):
        while True:
            try:
                return process.wait()
            except KeyboardInterrupt:
                # A terminal sends it to the program too: let it end in its own way.
                if not _is_of_a_terminal():
                    process.send_signal(signal.SIGINT)


def _is_of_a_terminal() -> bool:
    """Tell whether a terminal is what sends us Ctrl-C, and so to all of our process group."""
    if sys.platform == "win32":
        return True
    try:
        with Path("/dev/tty").open() as terminal:
            return os.tcgetpgrp(terminal.fileno()) == os.getpgrp()
    except OSError:
        return False


def _variable(parameter: str) -> str:
    return PARAMETER_ENV_PREFIX + re.sub(r"[^A-Za-z0-9_]", "_", parameter).upper()


def _local_store(folder: Path) -> str:
    return f"sqlite:///{(folder / 'mlflow.db').as_posix()}"


def _program(folder: Path, command: list[str]) -> list[str]:
    if command[0] in {"python", "python3"}:
        script = script_of(folder, command)
        return [_python_with(modules_needed(script) if script else []), *command[1:]]
    program = shutil.which(command[0], path=f"{folder}{os.pathsep}{os.environ.get('PATH', '')}")
    if program is None:
        raise InvalidInput(
            f"There is no program {command[0]!r} on this machine",
            fix="Install it, or say what to run after two dashes: -- python train.py",
        )
    return [program, *command[1:]]


def _python_with(modules: list[str]) -> str:
    """Choose the first Python that can import *modules*: the active environment's, then ours."""
    candidates = _pythons()
    lacking = {python: _missing(python, modules) for python in candidates}
    for python, missing in lacking.items():
        if not missing:
            return python
    python = candidates[0]
    names = distributions(lacking[python])
    raise InvalidInput(
        f"The script imports {', '.join(lacking[python])}, which {python} does not have",
        fix=f"Install it: {python} -m pip install {' '.join(names)}",
    )


def _pythons() -> list[str]:
    active = os.environ.get("VIRTUAL_ENV") or os.environ.get("CONDA_PREFIX")
    on_path = shutil.which("python") or shutil.which("python3")
    order = [on_path, sys.executable] if active else [sys.executable, on_path]
    return list(dict.fromkeys(python for python in order if python))


def _missing(python: str, modules: list[str]) -> list[str]:
    if not modules:
        return []
    try:
        answer = subprocess.run(  # noqa: S603  # a fixed program in an interpreter found on PATH
            [python, "-c", _PROBE, *modules], capture_output=True, check=True, timeout=60
        )
    except (OSError, subprocess.SubprocessError):
        return modules
    missing: list[str] = json.loads(answer.stdout)
    return missing
