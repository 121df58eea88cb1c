"""Whether the service speaks TLS or plain HTTP, as one of an older chart does, is found out."""

import io
from collections.abc import Callable

import httpx
import pytest
import trainyard as ty
from builders import threaded
from builders.sdk import NAMESPACE, PLAIN, SERVICE, FakeCluster
from trainyard._proxy import TrackingProxy
from trainyard.client import Client
from trainyard_api.contract import AUTHORIZATION_HEADER

DIGEST = "sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"

Ask = Callable[[Client], object]


def read_log(client: Client) -> bytes:
    with client.tracking.log(NAMESPACE, "r", 1) as blocks:
        return b"".join(blocks)


def upload(client: Client) -> None:
    if not client.tracking.has_blob(NAMESPACE, DIGEST):
        client.tracking.put_blob(NAMESPACE, DIGEST, io.BytesIO(b"hello"), 5)


CALLS = pytest.mark.parametrize(
    "ask",
    [
        pytest.param(lambda client: client.tracking.healthy(), id="health"),
        pytest.param(lambda client: client.tracking.summary(NAMESPACE, "r"), id="read"),
        pytest.param(read_log, id="stream"),
        pytest.param(upload, id="upload"),
    ],
)


def asked(cluster: FakeCluster) -> list[str]:
    """Return the schemes by which the service was asked, in order."""
    paths = [path for _, path, _ in cluster.requests]
    return ["https" if path.startswith(SERVICE) else "http" for path in paths if "proxy" in path]


@pytest.fixture(autouse=True)
def _recorded(cluster: FakeCluster) -> None:
    cluster.recorded_logs["r", "1"] = b"line\n"


@CALLS
def test_a_service_that_speaks_tls_is_asked_by_tls_alone(
    cluster: FakeCluster, client: Client, ask: Ask
) -> None:
    ask(client)

    assert set(asked(cluster)) == {"https"}


@CALLS
def test_a_service_that_speaks_plain_http_is_asked_so_after_one_try(
    cluster: FakeCluster, client: Client, ask: Ask
) -> None:
    cluster.speaks_plain = True
    ask(client)
    ask(client)

    assert asked(cluster).count("https") == 1


def test_rights_of_an_older_chart_that_name_plain_http_alone_are_enough(
    cluster: FakeCluster, client: Client
) -> None:
    cluster.speaks_plain = True
    cluster.forbidden = {SERVICE}

    assert client.tracking.summary(NAMESPACE, "r") == {"models": []}


def test_who_may_not_reach_the_service_by_either_is_told_so_and_shows_no_token_in_the_clear(
    cluster: FakeCluster, client: Client
) -> None:
    cluster.forbidden = {SERVICE, PLAIN}

    with pytest.raises(ty.TrainyardError, match="forbidden"):
        client.tracking.summary(NAMESPACE, "r")

    (tried,) = (told for _, path, told in cluster.requests if path.startswith(PLAIN))
    assert AUTHORIZATION_HEADER not in tried


def test_what_the_service_itself_refuses_never_leads_to_plain_http(
    cluster: FakeCluster, client: Client
) -> None:
    client.tracking.healthy()
    cluster.forbidden = {SERVICE}
    with pytest.raises(ty.TrainyardError):
        client.tracking.summary(NAMESPACE, "r")

    assert set(asked(cluster)) == {"https"}


def test_the_door_passes_bodies_on_to_a_service_that_speaks_plain_http(
    cluster: FakeCluster, client: Client
) -> None:
    cluster.speaks_plain = True
    with TrackingProxy(client.tracking, port=0, namespace=NAMESPACE, shared=True) as door:
        door.tracking.healthy()
        with threaded.running(door), httpx.Client(base_url=door.url) as http:
            answer = http.post(f"{PLAIN}/api/2.0/x", content=b"body").json()

    assert (answer["route"], answer["body"]) == ("/api/2.0/x", "Ym9keQ==")
