"""Fixtures of the SDK's tests: a fake cluster, and a kubeconfig that leads to it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from builders.sdk import (
    FakeCluster,
    condition,
    finished,
    model_object,
    run_object,
    serving,
    write_kubeconfig,
)
from trainyard import _creating
from trainyard.client import Client

RUN_ID = "a" * 32


@pytest.fixture
def cluster() -> FakeCluster:
    return FakeCluster()


@pytest.fixture
def server(cluster: FakeCluster) -> Iterator[str]:
    with serving(cluster) as url:
        yield url


@pytest.fixture
def kubeconfig(server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("KUBERNETES_SERVICE_HOST", "TRAINYARD_SYSTEM_NAMESPACE", "HTTP_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(_creating, "suffix", lambda: "x7k2p")
    path = write_kubeconfig(tmp_path / "kubeconfig", server)
    monkeypatch.setenv("KUBECONFIG", str(path))
    return path


@pytest.fixture
def client(kubeconfig: Path) -> Iterator[Client]:
    client = Client(kubeconfig=str(kubeconfig))
    yield client
    client.close()


@pytest.fixture
def filled(cluster: FakeCluster) -> FakeCluster:
    """A cluster that has one of each, and judges at once what it is given."""
    put = cluster.put
    good = condition("Available", "True", "MinimumReplicasAvailable")
    served = {"version": 1, "digest": f"sha256:{'a' * 64}"}
    serving = {"stable": served, "conditions": [good], "endpoint": "http://here"}

    def at_once(plural: str, body: dict[str, Any], event: str = "MODIFIED") -> dict[str, Any]:
        stored = put(plural, body, event)
        generation = stored["metadata"]["generation"]
        if plural == "models":
            aliases = stored["spec"].get("aliases", {})
            stages = [{"name": "production", "version": aliases.get("production")}]
            status = {"observedGeneration": generation, "aliases": aliases, "stages": stages}
            stages[0]["previous"] = 1
            stored["status"] = status
        if plural == "modeldeployments" and event == "ADDED":
            put(plural, {**stored, "status": serving})
        if plural == "runs" and event == "ADDED":
            ended = finished(stored["metadata"]["name"])
            put(plural, {**ended, "spec": stored["spec"], "metadata": stored["metadata"]})
        return stored

    cluster.put = at_once  # type: ignore[method-assign]  # the operator, at once
    cluster.put("runs", finished("done", completionTime="2026-01-02T03:05:05Z"))
    cluster.put("runs", run_object("going"))
    cluster.put("models", model_object("digits", aliases={"production": 2}))
    for number in (1, 2):
        source = {"mlflowRun": {"id": RUN_ID, "artifactPath": "model"}}
        spec = {"model": "digits", "version": number, "source": source}
        cluster.put("modelversions", {"metadata": {"name": f"digits-{number}"}, "spec": spec})
    cluster.recorded_logs[RUN_ID, "1"] = b"hello\n"
    cluster.logged_models[RUN_ID] = [{"artifactPath": "model", "name": "model"}]
    cluster.mlflow_experiments["e"] = "1"
    cluster.mlflow_runs[RUN_ID] = {"info": {"run_id": RUN_ID}, "data": {}}
    cluster.requests.clear()
    return cluster
