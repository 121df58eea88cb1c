"""A database that fails one query: it is said to pass, and what is there is never "not there"."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
from builders.tracking import OPERATOR, SCIENTIST, bearer
from builders.tracking_side import V2, Side
from sqlalchemy import Engine, event
from sqlalchemy.exc import OperationalError

PRIVATE = "/api/trainyard/v1/namespaces/team"
TEAM = bearer(SCIENTIST, **{"X-MLFLOW-WORKSPACE": "team"})
HEAD = {"name": "fit", "experiment": "digits", "startTime": 1_700_000_000_000}
END = {"status": "FINISHED", "endTime": 1_800_000_000_000}
_MOST_QUERIES = 60


@contextmanager
def failing(number: int) -> Iterator[list[str]]:
    """Have the query of this number fail, of all that are asked; tell which it was."""
    failed: list[str] = []
    left = [number]

    def fail(_: Any, __: Any, statement: str, *___: Any) -> None:
        if statement.startswith(("PRAGMA", "SET LOCAL")):
            return
        left[0] -= 1
        if left[0] == 0:
            failed.append(statement)
            raise OperationalError(statement, {}, Exception("the connection was lost"))

    event.listen(Engine, "before_cursor_execute", fail)
    try:
        yield failed
    finally:
        event.remove(Engine, "before_cursor_execute", fail)


def forget(world: Any) -> None:
    from trainyard_tracking.recording import forget_places  # noqa: PLC0415  # reads MLflow
    from trainyard_tracking.sources import forget_artifact_roots  # noqa: PLC0415  # the same

    forget_places()
    forget_artifact_roots()
    world.service.leftovers.ledger.forget_all()


def source(name: str, side: Side) -> dict[str, Any]:
    found: dict[str, dict[str, Any]] = {
        "run": {"mlflowRun": {"id": side.run_id, "artifactPath": "model"}},
        "model": {"uri": f"models:/{side.model}"},
    }
    return found[name]


def calls(side: Side) -> dict[str, tuple[str, str, dict[str, str], Any]]:
    run, model = f"{PRIVATE}/runs/{side.run_id}", f"{V2}/logged-models/{side.model}"
    operator = bearer(OPERATOR)
    found: dict[str, tuple[str, str, dict[str, str], Any]] = {
        "summary": ("GET", f"{run}/summary", TEAM, None),
        "summary for its Run": ("GET", f"{run}/summary", side.headers, None),
        "record": ("PUT", run, operator, HEAD),
        "next attempt": ("PUT", run, operator, {**HEAD, "attempt": 2}),
        "finish": ("POST", f"{run}/finish", operator, END),
        "active": ("GET", f"{PRIVATE}/runs?state=active", operator, None),
        "log": ("HEAD", f"{run}/logs/1", operator, None),
        "artifact": ("GET", f"/get-artifact?run_id={side.run_id}&path=a.txt", TEAM, None),
        "model file": ("GET", f"{model}/artifacts/files?artifact_file_path=MLmodel", TEAM, None),
    }
    for name in ("run", "model"):
        version = f"blink-{name}-{side.run_id[-4:]}"
        spec = {"model": "blink", "version": 1, "source": source(name, side)}
        side.world.kube.has("modelversions", version, spec=spec)
        path = f"{PRIVATE}/modelversions/{version}/source"
        found[f"source of {name}"] = ("GET", path, TEAM, None)
    return found


NAMES = (
    "summary",
    "summary for its Run",
    "record",
    "next attempt",
    "finish",
    "active",
    "log",
    "artifact",
    "model file",
    "source of run",
    "source of model",
)


@pytest.mark.parametrize("name", NAMES)
def test_a_query_that_fails_once_is_told_as_passing(world: Any, name: str) -> None:
    side = Side(world)
    method, path, headers, body = calls(side)[name]
    seen: dict[str, tuple[int, str]] = {}

    for number in range(1, _MOST_QUERIES):
        forget(world)
        with failing(number) as failed:
            # A connection of its own: the server closes it after some of these answers.
            answer = httpx.request(method, world.url + path, headers=headers, json=body)
        if not failed:
            break
        if answer.status_code not in {429, 503}:  # 429: before anything was done
            seen[failed[0]] = (answer.status_code, answer.text[:200])

    assert answer.status_code == 200, answer.text
    assert number > 1
    assert seen == {}


def test_a_namespace_whose_records_can_not_be_looked_up_is_told_as_passing(world: Any) -> None:
    world.kube.write("/api/v1/namespaces/blinks", {"metadata": {"name": "blinks", "uid": "1"}})
    world.sync()
    headers = bearer(OPERATOR, **{"X-MLFLOW-WORKSPACE": "blinks"})
    body = {"max_results": 1}

    with failing(1) as failed:
        first = httpx.post(f"{world.url}{V2}/experiments/search", json=body, headers=headers)
    second = world.client.post(f"{V2}/experiments/search", json=body, headers=headers)

    assert "trainyard_namespaces" in failed[0]
    assert (first.status_code, second.status_code) == (429, 200)
