"""How connections by TLS end: at a restart, or where their client reads nothing."""

import asyncio
import json
import threading
import time
from contextlib import ExitStack
from dataclasses import replace

import pytest
from builders.tracking_port import await_that, on_loop, served
from trainyard_tracking.closing import Closing

ASKED = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
LARGE = b"x" * (8 << 20)


async def large(scope, _receive, send):
    headers = [(b"content-length", str(len(LARGE)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": LARGE})


async def streamed(scope, _receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": []})
    for _ in range(512 if scope["path"] == "/" else 0):
        await send({"type": "http.response.body", "body": b"x" * (64 << 10), "more_body": True})
    await send({"type": "http.response.body", "body": b""})


async def named(scope, _receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": scope["path"].encode()})


def test_a_restart_waits_for_no_client_whose_connection_is_idle(tmp_path):
    config, trusted = on_loop("auto", named, tmp_path)
    with served(config) as port, port.connected(trusted) as opened:
        opened.sendall(ASKED)
        assert opened.recv(99).startswith(b"HTTP/1.1 200")
        port.ends()


@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
def test_a_restart_waits_for_no_client_once_it_has_its_answer(tmp_path, loop):
    begun, goes_on = threading.Event(), threading.Event()

    async def late(_scope, _receive, send):
        headers = [(b"content-length", b"4")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        begun.set()
        while not goes_on.is_set():
            await asyncio.sleep(0.01)
        await send({"type": "http.response.body", "body": b"done"})

    config, trusted = on_loop(loop, late, tmp_path)
    with served(config) as port, port.connected(trusted) as opened:
        opened.sendall(ASKED)
        assert begun.wait(5)
        await_that(port.is_told_to_end)
        time.sleep(0.2)  # until connections are told
        goes_on.set()
        got = b""
        while not got.endswith(b"done"):
            got += opened.recv(99)
        port.ends()


@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
def test_a_restart_lets_an_answer_go_out_that_its_client_still_reads(tmp_path, loop):
    config, trusted = on_loop(loop, large, tmp_path)
    with served(config) as port, port.connected(trusted) as opened:
        opened.sendall(ASKED)
        got = opened.recv(1)
        (one,) = port.server.server_state.connections
        await_that(lambda: one.cycle and one.cycle.response_complete)
        await_that(port.is_told_to_end)
        while piece := opened.recv(1 << 16):
            got += piece

    assert got.endswith(LARGE)


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(ASKED, id="an answer that is not read"),
        pytest.param(ASKED * 60, id="far ahead of answers"),
        pytest.param(b"GET http:// HTTP/1.1\r\nHost: x\r\n\r\n", id="a URL that is none"),
    ],
)
def test_who_reads_nothing_ends_where_somebody_has_no_place(tmp_path, monkeypatch, sent):
    config, trusted = on_loop("uvloop", streamed, tmp_path)
    monkeypatch.setattr(Closing.heads, "connections", 2)
    with served(config) as port, ExitStack() as later:
        for opened in [later.enter_context(port.connected(trusted)) for _ in range(2)]:
            opened.sendall(sent)
        time.sleep(0.5)  # until the service has what was sent
        asks = later.enter_context(port.connected(trusted))
        asks.sendall(b"GET /x HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert asks.recv(12) == b"HTTP/1.1 200"


def test_an_answer_that_nobody_reads_ends(tmp_path, monkeypatch):
    config, trusted = on_loop("uvloop", streamed, tmp_path)
    monkeypatch.setattr(Closing.heads, "unread_seconds", 0.2)
    with served(config) as port, port.connected(trusted) as opened:
        opened.sendall(ASKED)
        await_that(lambda: port.server.server_state.connections)
        await_that(lambda: not port.server.server_state.connections)


def test_an_answer_that_is_read_slowly_arrives_whole(tmp_path, monkeypatch):
    config, trusted = on_loop("uvloop", streamed, tmp_path)
    monkeypatch.setattr(Closing.heads, "unread_seconds", 1.0)
    with served(config) as port, port.connected(trusted) as opened:
        opened.sendall(ASKED.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
        got = 0
        while piece := opened.recv(1 << 20):
            got += len(piece)
            if got < 4 << 20:
                time.sleep(0.005)

    assert got > 512 * (64 << 10)


def test_what_is_no_request_behind_one_never_gets_into_its_answer(tmp_path):
    goes_on = threading.Event()

    async def halved(_scope, _receive, send):
        headers = [(b"content-length", b"200")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"a" * 100, "more_body": True})
        while not goes_on.is_set():
            await asyncio.sleep(0.01)
        await send({"type": "http.response.body", "body": b"a" * 100})

    config, trusted = on_loop("auto", halved, tmp_path)
    with served(config) as port, port.connected(trusted) as opened:
        opened.sendall(ASKED)
        got = opened.recv(999)
        opened.sendall(b"no request\r\n\r\n")
        time.sleep(0.2)
        goes_on.set()
        while piece := opened.recv(999):
            got += piece

    assert got.count(b"HTTP/1.1") == 1


def test_a_body_that_ends_after_its_answer_is_no_head_that_comes_late(tmp_path, monkeypatch):
    config, trusted = on_loop("auto", named, tmp_path)
    monkeypatch.setattr(Closing.heads, "seconds", 0.3)
    with served(config) as port, port.connected(trusted) as opened:
        opened.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nab")
        answer = opened.recv(999)
        while not answer.endswith(b"0\r\n\r\n"):
            answer += opened.recv(999)
        opened.sendall(b"cd")
        later = opened.recv(999)

    assert answer.startswith(b"HTTP/1.1 200")
    assert later == b""


@pytest.mark.parametrize("has_begun", [False, True])
async def test_who_waits_longer_than_a_restart_does_is_told_to_ask_again(world, has_begun):
    scope = {"type": "http", "method": "GET", "path": "/health", "headers": []}
    begin = {"type": "http.response.start", "status": 200, "headers": []}
    sent = []

    async def send(message):
        sent.append(message)

    async def hang(scope, receive, send):
        if has_begun:
            await send(begin)
        await asyncio.sleep(60)

    door = replace(world.service.app.inside, inside=hang)
    asked = asyncio.create_task(door(scope, asyncio.sleep, send))
    await asyncio.sleep(0.05)
    asked.cancel()
    await asyncio.wait([asked])

    assert asked.cancelled() == has_begun
    assert sent[0]["status"] == (200 if has_begun else 503)
    assert has_begun or "restarts" in json.loads(sent[1]["body"])["message"]
