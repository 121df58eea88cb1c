"""The local door to tracking: what it adds, what it keeps, whom it refuses."""

import base64
import json
import socket
import struct
import threading
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from builders.sdk import NAMESPACE, SERVICE, FakeCluster
from trainyard import _peers, _proxy
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


def raw(door: TrackingProxy, request: bytes, *, half: bool = False) -> bytes:
    """Send bytes as they are, and return all that is answered."""
    with socket.create_connection(("127.0.0.1", door.server_address[1]), timeout=10) as peer:
        peer.sendall(request)
        if half:
            peer.shutdown(socket.SHUT_WR)
        answer = b""
        while block := peer.recv(65536):
            answer += block
        return answer


HOST = b"Host: localhost\r\nConnection: close\r\n"


@pytest.mark.parametrize(
    "request_bytes",
    [
        pytest.param(b"POST /x HTTP/1.1\r\n%bContent-Length: ten\r\n\r\n", id="a length in words"),
        pytest.param(b"POST /x HTTP/1.1\r\n%bContent-Length: -1\r\n\r\n", id="a length below 0"),
        pytest.param(
            b"POST /x HTTP/1.1\r\n%bContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
            id="two lengths",
        ),
        pytest.param(
            b"POST /x HTTP/1.1\r\n%bContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0",
            id="a length and chunks",
        ),
        pytest.param(
            b"POST /x HTTP/1.1\r\n%bTransfer-Encoding: gzip\r\n\r\n", id="an unknown encoding"
        ),
        pytest.param(
            b"POST /x HTTP/1.1\r\n%bTransfer-Encoding: chunked\r\n\r\nzz\r\n", id="a bad chunk"
        ),
        pytest.param(b"POST /x HTTP/1.1\r\n%bContent-Length: 9\r\n\r\nabc", id="a body cut off"),
        pytest.param(b"GET x HTTP/1.1\r\n%b\r\n", id="no path"),
        pytest.param(b"GET /x HTTP/1.1\r\n%bX-A: a\x00b\r\n\r\n", id="a NUL"),
    ],
)
def test_what_is_no_request_is_answered_in_words(
    door: TrackingProxy, capfd: pytest.CaptureFixture[str], request_bytes: bytes
) -> None:
    door.is_private = False  # of a half-closed connection of root's nobody can tell
    answer = raw(door, request_bytes % HOST, half=True)

    assert answer.startswith(b"HTTP/1.1 400 ")
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(
    ("line", "route"),
    [
        (b"GET /h\xc3\xbct?q=\xc3\xa4 HTTP/1.1", "/hüt"),
        (b"GET http://localhost/x?y HTTP/1.1", "/x"),
        (b"GET /a%20b HTTP/1.1", "/a b"),
    ],
)
def test_a_path_arrives_as_it_was_meant(door: TrackingProxy, line: bytes, route: str) -> None:
    answer = raw(door, line + b"\r\n" + HOST + b"X-Name: M\xc3\xbcller\r\n\r\n")

    assert answer.startswith(b"HTTP/1.1 200 ")
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["route"] == route


def test_a_browser_that_goes_away_leaves_no_trace(
    door: TrackingProxy,
    http: httpx.Client,
    cluster: FakeCluster,
    capfd: pytest.CaptureFixture[str],
) -> None:
    gone = threading.Event()

    def large(handler: Any) -> bool:
        gone.wait(10)
        handler.answer(200, b"x" * 50_000_000)
        return True

    cluster.outages = [large]
    peer = socket.create_connection(("127.0.0.1", door.server_address[1]))
    peer.sendall(b"GET /x HTTP/1.1\r\n" + HOST + b"\r\n")
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    peer.close()
    gone.set()

    assert http.get("/x").status_code == 200
    assert capfd.readouterr().err == ""


def test_a_client_of_http_1_0_gets_no_chunks(door: TrackingProxy, cluster: FakeCluster) -> None:
    def unsized(handler: Any) -> bool:
        handler.send_response(200)
        handler.send_header("Connection", "close")
        handler.end_headers()
        handler.wfile.write(b"hello")
        handler.close_connection = True
        return True

    cluster.outages = [unsized]
    answer = raw(door, b"GET /x HTTP/1.0\r\nHost: localhost\r\n\r\n")

    assert answer.endswith(b"\r\n\r\nhello")
    assert b"chunked" not in answer


def test_another_user_of_the_machine_is_refused(
    door: TrackingProxy, http: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_proxy._peers, "is_own", lambda peer, here: False)
    door.is_private = True

    assert http.delete("/x").status_code == 403
    door.is_private = False
    with httpx.Client(base_url=door.url) as fresh:
        assert fresh.get("/x").status_code == 200


TABLE = """\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: {here} {peer} 01 00000000:00000000 00:00000000 00000000     7        0 1 1 0 20 0 0 10 -1
   1: {peer} {here} {state} 00000000:00000000 00:00000000 00000000  {of}        0 2 1 0 20 0 0 10 -1
"""


@pytest.mark.parametrize("mapped", ["", "0000000000000000FFFF0000"])
@pytest.mark.parametrize(
    ("state", "of", "user"),
    [
        pytest.param("01", 1001, 1001, id="open"),
        pytest.param("01", 0, 0, id="open, root's"),
        pytest.param("05", 1001, 1001, id="closed for sending"),
        pytest.param("05", 0, None, id="closed: nobody's, and called root's"),
        pytest.param("06", 0, None, id="over"),
    ],
)
def test_the_kernel_says_whose_an_open_connection_is(
    mapped: str, state: str, of: int, user: int | None
) -> None:
    ends = [mapped + _peers._written("127.0.0.1", port) for port in (5000, 41000)]
    table = TABLE.format(here=ends[0], peer=ends[1], state=state, of=of)

    assert _peers.owner(table, ("127.0.0.1", 41000), ("127.0.0.1", 5000)) == user


@pytest.mark.skipif(not _peers.tells(), reason="only Linux says whose a connection is")
def test_a_connection_of_our_own_is_known(door: TrackingProxy) -> None:
    here = ("127.0.0.1", door.server_address[1])
    with socket.create_connection(here) as peer:
        assert _peers.is_own(peer.getsockname(), here)
