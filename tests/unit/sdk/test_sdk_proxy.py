"""The local door to tracking: what it adds, what it keeps, whom it refuses."""

import base64
import threading
from collections.abc import Iterator

import httpx
import pytest
from builders.sdk import NAMESPACE, SERVICE
from trainyard._proxy import TrackingProxy
from trainyard.client import Client
from trainyard.errors import InvalidInput


@pytest.fixture
def door(client: Client) -> Iterator[TrackingProxy]:
    with TrackingProxy(client.tracking, port=0, namespace=client.namespace) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def http(door: TrackingProxy) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=door.url) as http:
        yield http


def test_login_and_workspace_are_added(http: httpx.Client) -> None:
    said = http.get("/api/2.0/x?y=1", headers={"Authorization": "Bearer mine"}).json()
    headers = {name.lower(): value for name, value in said["headers"].items()}

    assert said["route"] == "/api/2.0/x"
    assert headers["x-trainyard-authorization"] == "Bearer secret"
    assert headers["x-mlflow-workspace"] == NAMESPACE
    assert headers["authorization"] == "Bearer secret"


def test_a_workspace_of_the_clients_own_is_kept(http: httpx.Client) -> None:
    said = http.get("/x", headers={"X-MLFLOW-WORKSPACE": "other"}).json()
    headers = {name.lower(): value for name, value in said["headers"].items()}

    assert headers["x-mlflow-workspace"] == "other"


def test_a_body_passes_as_it_is(http: httpx.Client) -> None:
    said = http.put("/x", content=b"\0binary" * 50_000).json()

    assert base64.b64decode(said["body"]) == b"\0binary" * 50_000


def test_links_that_the_api_server_made_its_own_lead_back(http: httpx.Client) -> None:
    assert http.get(f"{SERVICE}/static/x.js").json()["route"] == "/static/x.js"


def test_many_ask_at_once(http: httpx.Client) -> None:
    found: list[int] = []
    threads = [
        threading.Thread(target=lambda: found.append(http.get("/x").status_code)) for _ in range(16)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert found == [200] * 16


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param({"Origin": "https://evil.example"}, id="a page of another origin"),
        pytest.param({"Host": "evil.example:5000"}, id="a name that was bent to this machine"),
    ],
)
def test_strangers_are_refused(http: httpx.Client, headers: dict[str, str]) -> None:
    assert http.post("/x", headers=headers).status_code == 403


def test_a_port_that_is_taken_is_said(client: Client, door: TrackingProxy) -> None:
    with pytest.raises(InvalidInput, match="is taken"):
        TrackingProxy(client.tracking, port=door.server_address[1], namespace="x")
