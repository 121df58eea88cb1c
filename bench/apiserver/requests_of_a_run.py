"""The requests that a Run causes, as the operator makes them, and those of a bare Job."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import loads
from builders.stage import SETTINGS, attempt_pod
from trainyard_api.contract import API_VERSION, OPERATOR_MANAGER, RUNS
from trainyard_operator.engine.reconcile import merge_patch
from trainyard_operator.runs import status
from trainyard_operator.runs.attempt import Attempt
from trainyard_operator.runs.job import run_job
from trainyard_operator.runs.outcome import COMPLETED, Fault, Outcome
from trainyard_operator.tokens import run_secret

Object = dict[str, Any]
_RUNS = f"/apis/{API_VERSION}/namespaces/default/{RUNS}"
_JOBS = "/apis/batch/v1/namespaces/default/jobs"
_MANAGER = f"?fieldManager={OPERATOR_MANAGER}"
_PATCH = {"Content-Type": "application/merge-patch+json"}
_TOLD = "The program ended"


@dataclass(frozen=True, slots=True)
class Asked:
    """One request."""

    method: str
    path: str
    body: Object | None = None
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Step:
    """The same request for each of many Runs."""

    name: str
    asked: Sequence[Asked]


def runs(n: int) -> Step:
    """Return what creates N Runs."""
    return Step("POST Run", [Asked("POST", _RUNS, loads.run(number)) for number in range(n)])


def of(made: Sequence[Object]) -> Iterator[Step]:
    """Yield what follows for Runs that were created, and the same for bare Jobs."""
    jobs = [run_job(run, 1, settings=SETTINGS) for run in made]
    secrets = [run_secret(run, settings=SETTINGS) for run in made]
    yield Step("POST Secret", [_post("/api/v1/namespaces/default/secrets", s) for s in secrets])
    yield Step("POST Job of a Run", [_post(_JOBS, job) for job in jobs])
    told: list[Object] = [{} for _ in made]
    for name, say in _SAID.items():
        said = [{**run, "status": said} for run, said in zip(made, told, strict=True)]
        new = [say(run) for run in said]
        pairs = zip(made, told, new, strict=True)
        yield Step(f"PATCH status {name}", [_patch(run, old, new) for run, old, new in pairs])
        told = new
    bare = [loads.BARE_JOBS.body(number) for number in range(len(made))]
    yield Step("POST bare Job", [_post(_JOBS, job) for job in bare])
    started = {"active": 1, "startTime": "2026-11-24T12:00:00Z"}
    yield Step(
        "PATCH status of a Job",
        [Asked("PATCH", _status_of(job), {"status": started}, _PATCH) for job in bare],
    )
    yield Step("GET Run", [Asked("GET", f"{_RUNS}/{run['metadata']['name']}") for run in made])


def _running(run: Object) -> Object:
    pod = attempt_pod(run)
    return status.running(run, 1, pod=pod, started="2026-11-24T12:00:00Z", now=_now())


def _finished(run: Object) -> Object:
    lines = ("epoch 1: loss=0.42", "epoch 2: loss=0.21")
    outcome = Outcome(COMPLETED, _TOLD, Fault.NOBODY, exit_code=0, log_tail=lines)
    attempt = Attempt.of(1, None, [attempt_pod(run)])
    ended = status.ended(run, attempt, outcome, now=_now())
    return status.final(run, ended, reason=COMPLETED, message=_TOLD, now=_now())


def _recorded(run: Object) -> Object:
    metrics = {"metrics": {"loss": "0.21"}, "metric": "loss=0.21", "experimentID": "1"}
    return {**status.recorded(run, now=_now()), **metrics}


_SAID: dict[str, Callable[[Object], Object]] = {
    "Running": _running,
    "Finished": _finished,
    "Recorded": _recorded,
}


def _now() -> datetime:
    return datetime.now(UTC)


def _post(path: str, body: Object) -> Asked:
    return Asked("POST", path + _MANAGER, body)


def _patch(run: Object, old: Object, new: Object) -> Asked:
    body = {"metadata": {"uid": run["metadata"]["uid"]}, "status": merge_patch(old, new)}
    return Asked("PATCH", f"{_RUNS}/{run['metadata']['name']}/status{_MANAGER}", body, _PATCH)


def _status_of(job: Object) -> str:
    return f"{_JOBS}/{job['metadata']['name']}/status"
