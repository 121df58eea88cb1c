"""One tracking service for all clients: `make test-clients` makes their environments first."""

import json
import os
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import httpx
import object_stores
import pytest
from builders import threaded
from builders.tracking import OPERATOR, SCIENTIST, bearer, run_token
from tracking_process import Service, tracking_service
from trainyard._proxy import TrackingProxy
from trainyard._tracking import Tracking

from . import environments

Who = tuple[str, str]
"""A minor of MLflow, and `person` or `run`."""
PROGRAM = Path(__file__).with_name("program")
# People come by `trainyard proxy`, or with a token and a workspace, which MLflow knows since 3.10.
_WITH_A_TOKEN = ("3.11", "3.17")
_SECONDS = 1800
_TABLE = pytest.StashKey[dict[Who, dict[str, Any]]]()


@dataclass
class Clients:
    """Runs the program as each client, once."""

    service: Service
    door: str
    folder: Path
    outcomes: dict[Who, dict[str, Any]] = field(default_factory=dict)

    def run_all(self) -> None:
        """Run all of them, as many at once as there are processors; those read from come first."""
        minors = environments.MINORS
        oldest, newest = (minors[0], "person"), (minors[-1], "person")
        self.outcomes[newest] = self._run(newest, reads=newest)
        people = [(minor, "person") for minor in minors[:-1]]
        runs = [(minor, "run") for minor in minors]
        for each in (people, runs):
            with ThreadPoolExecutor(os.cpu_count()) as pool:
                reads = [oldest if one[0] == newest[0] else newest for one in each]
                done = pool.map(lambda one, other: self._run(one, reads=other), each, reads)
                self.outcomes.update(zip(each, done, strict=True))
        self.outcomes = dict(sorted(self.outcomes.items()))

    def _run(self, who: Who, *, reads: Who) -> dict[str, Any]:
        """Run the program for *who*, which reads what *reads* made; give each step's line."""
        name, python = _name(*who), environments.python(who[0])
        home, log = self.folder / name, self.folder / f"{name}.log"
        home.mkdir()
        with log.open("w") as written:
            done = subprocess.run(
                [python, "-W", "ignore", PROGRAM, name, home, _name(*reads)],
                env={**_surroundings(python, home), **self._where(*who)},
                cwd=home,
                stdout=written,
                stderr=subprocess.STDOUT,
                timeout=_SECONDS,
                check=False,
            )
        said = log.read_text("utf-8")
        lines = [one for one in said.splitlines() if one.startswith("STEP ")]
        found = [json.loads(one.removeprefix("STEP ")) for one in lines]
        if done.returncode:
            died = {"step": "to the end", "outcome": "died", "said": said[-2000:], "seconds": 0}
            found.append(died)
        return {one["step"]: one for one in found}

    def _where(self, minor: str, caller: str) -> dict[str, str]:
        """Give what the client is told: an address, and unless that is the proxy's a token."""
        if caller == "person" and minor not in _WITH_A_TOKEN:
            return {"MLFLOW_TRACKING_URI": self.door}
        direct = {"MLFLOW_TRACKING_URI": self.service.url}
        if caller == "person":
            return {**direct, "MLFLOW_TRACKING_TOKEN": SCIENTIST, "MLFLOW_WORKSPACE": "team"}
        token = _recorded(self.service.url, minor, _name(minor, caller))
        return {**direct, "MLFLOW_TRACKING_TOKEN": token}


def _surroundings(python: Path, home: Path) -> dict[str, str]:
    return {
        "PATH": f"{python.parent}:{os.environ['PATH']}",
        "HOME": str(home),
        "GIT_PYTHON_REFRESH": "quiet",
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }


def _name(minor: str, caller: str) -> str:
    return f"matrix-{minor.replace('.', '-')}-{caller}"


def _recorded(url: str, minor: str, name: str) -> str:
    """Record a Run as the operator does; give its token."""
    run_id = f"{int(minor.replace('.', '')):032x}"
    body = {"name": name, "experiment": name, "startTime": 1_700_000_000_000}
    path = f"{url}/api/trainyard/v1/namespaces/team/runs/{run_id}"
    httpx.put(path, json=body, headers=bearer(OPERATOR)).raise_for_status()
    return run_token(run_id, name)


@pytest.fixture(scope="session")
def clients(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Clients]:
    folder = tmp_path_factory.mktemp("clients")
    with (
        _store(folder) as endpoint,
        tracking_service(folder, endpoint) as service,
        _door(service.url) as door,
    ):
        found = Clients(service, door, folder)
        found.run_all()
        request.config.stash[_TABLE] = found.outcomes
        yield found


@contextmanager
def _store(folder: Path) -> Iterator[str]:
    """Run MinIO and give its endpoint; nothing if `make cluster` never built it."""
    binary = object_stores.minio_binary()
    if binary is None:
        yield ""
        return
    with object_stores.minio(binary, folder) as running:
        object_stores.made(object_stores.settings(running))
        yield running.endpoint


@contextmanager
def _door(url: str) -> Iterator[str]:
    """Be `trainyard proxy` for a scientist of namespace `team`."""
    with httpx.Client(base_url=url, timeout=60) as http:
        reached = SimpleNamespace(
            http=http, base="", extensions={}, headers=lambda: bearer(SCIENTIST)
        )
        door = TrackingProxy(cast("Tracking", reached), port=0, namespace="team")
        with threaded.running(door):
            yield door.url


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    outcomes = config.stash.get(_TABLE, {})
    if not outcomes:
        return
    names = list(dict.fromkeys(name for steps in outcomes.values() for name in steps))
    width = max(map(len, names))
    heads = [f"{minor} {caller}" for minor, caller in outcomes]
    terminalreporter.section("what came of each step, by client")
    terminalreporter.write_line("  ".join([" " * width, *(f"{head:>11}" for head in heads)]))
    for name in names:
        told = [_cell(steps.get(name)) for steps in outcomes.values()]
        terminalreporter.write_line("  ".join([f"{name:{width}}", *(f"{one:>11}" for one in told)]))


def _cell(step: dict[str, Any] | None) -> str:
    if step is None:
        return "not reached"
    if step["outcome"] == "ok":
        return f"ok {step['seconds']:5.1f} s"
    return {"absent": "-", "PERMISSION_DENIED": "refused"}.get(step["outcome"], "FAILED")
