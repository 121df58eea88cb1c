"""A tracking service in memory, and the agent's way to it."""

from collections.abc import Iterator

import pytest
from builders import threaded
from builders.agent_service import Server, Service
from trainyard_agent.transport import Tracking
from trainyard_api import slices


@pytest.fixture
def service() -> Iterator[Service]:
    service = Service()
    server = Server(service)
    service.url = f"http://127.0.0.1:{server.server_port}"
    with threaded.running(server):
        yield service


@pytest.fixture
def small_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slices, "SLICE", 4)


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def tracking(service: Service, said: list[str]) -> Tracking:
    return Tracking(
        service.url, "the-token", patience=5, say=said.append, sleep=lambda seconds: None
    )
