"""Who waits for the API server, or sends spans, holds up nobody who wants something else."""

import os
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest
from builders.tracking import API_SERVER, FakeKube, bearer, person_token
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from trainyard_tracking.kube import KubeDown
from trainyard_tracking.store import RunStore

ASKERS = 60
"""More than MLflow and AnyIO have threads for all."""
RUN = f"{70:032x}"
PATIENCE = 5.0


@contextmanager
def _api_server_hangs(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Semaphore]:
    """Let reviews hang, as with a network that drops packets; say how many do."""
    asked, let = threading.Semaphore(0), threading.Event()

    def hang(*_: Any, **__: Any) -> Any:
        asked.release()
        let.wait(3 * PATIENCE)
        raise KubeDown("timed out")

    with monkeypatch.context() as patch:
        patch.setattr(FakeKube, "create", hang)
        yield asked
        let.set()


@pytest.mark.parametrize(
    ("path", "people"),
    [
        ("/api/2.0/mlflow/experiments/get?experiment_id=1", ["nobodys"] * 12),
        ("/api/3.0/mlflow/workspaces", [f"person-{number}" for number in range(8)]),
    ],
    ids=["one token that nobody knows", "lists of workspaces"],
)
def test_while_people_wait_for_the_api_server_runs_are_answered(
    world: Any, monkeypatch: pytest.MonkeyPatch, path: str, people: list[str]
) -> None:
    token, get = world.record(RUN, "waits"), world.client.get
    tokens = [person_token(one, API_SERVER) if "-" in one else one for one in people]
    for one in {one for one in tokens if "." in one}:
        assert get("/version", headers=bearer(one)).status_code == 200
    with ThreadPoolExecutor(len(tokens)) as pool, _api_server_hangs(monkeypatch) as asked:
        for one in tokens:
            pool.submit(get, path, headers=bearer(one))
        assert asked.acquire(timeout=PATIENCE)
        time.sleep(0.5)

        run = f"/api/2.0/mlflow/runs/get?run_id={RUN}"
        assert get(run, headers=bearer(token), timeout=PATIENCE).status_code == 200


def test_spans_of_one_namespace_wait_before_nobody_elses(
    world: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    let, log = threading.Event(), RunStore.log_spans

    def slow(store: Any, location: str, found: Any) -> Any:
        if found[0].name == "slow":
            let.wait(3 * PATIENCE)
        return log(store, location, found)

    monkeypatch.setattr(RunStore, "log_spans", slow)
    mine, theirs = world.record(RUN, "waits"), world.record(f"{71:032x}", "b", namespace="other")

    def send(token: str, name: str, **more: Any) -> int:
        headers = bearer(token, **{"Content-Type": "application/x-protobuf"})
        answer = world.client.post("/v1/traces", content=_span(name), headers=headers, **more)
        return int(answer.status_code)

    with ThreadPoolExecutor(ASKERS) as pool:
        for _ in range(ASKERS):
            pool.submit(send, mine, "slow")
        time.sleep(1)
        try:
            assert send(theirs, "quick", timeout=PATIENCE) == 200
        finally:
            let.set()


def _span(name: str) -> bytes:
    message = ExportTraceServiceRequest()
    message.resource_spans.add().scope_spans.add().spans.add(
        trace_id=os.urandom(16),
        span_id=os.urandom(8),
        name=name,
        start_time_unix_nano=10**18,
        end_time_unix_nano=10**18 + 1,
    )
    return message.SerializeToString()
