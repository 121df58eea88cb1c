"""Fixtures of the SDK's tests: a fake cluster, and a kubeconfig that leads to it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from builders.sdk import FakeCluster, serving, write_kubeconfig
from trainyard import _creating
from trainyard.client import Client


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
