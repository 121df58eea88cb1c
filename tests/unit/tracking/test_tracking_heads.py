"""What comes before a request is one: bounded in bytes, lines, connections and time."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

import pytest
import uvicorn
from builders.serving import exchanged, until
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from trainyard_tracking.heads import BoundedProtocol, Heads
from trainyard_tracking.peers import Waiting

START = b"GET /x HTTP/1.1\r\nHost: a\r\n"
ASKED = START + b"Connection: close\r\n\r\n"
CHUNKED = b"POST /x HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
TRAILERS = b"".join(b"a%d: b\r\n" % number for number in range(300))


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    body = await Request(scope, receive).body()
    await Response(b"%d bytes" % len(body))(scope, receive, send)


@dataclass(eq=False)
class Peer:
    address: str
    number: int
    ended: list[int]

    def abort(self) -> None:
        self.ended.append(self.number)


@asynccontextmanager
async def serving(**limits: Any) -> AsyncIterator[tuple[int, Heads, set[Any]]]:
    """Serve an application behind the protocol; nothing is held once nobody is connected."""
    heads = Heads(**limits)
    protocol = type("Protocol", (BoundedProtocol,), {"heads": heads})
    config = uvicorn.Config(app, ws="none", log_level="critical", lifespan="off")
    config.load()
    state = uvicorn.Server(config).server_state
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: protocol(config=config, server_state=state, app_state={}), "127.0.0.1", 0
    )
    try:
        yield server.sockets[0].getsockname()[1], heads, state.connections
        await until(lambda: not state.connections)
        assert heads.held == 0
    finally:
        server.close()


@pytest.mark.parametrize(
    "pieces",
    [
        pytest.param([START, b"A: " + b"v" * 70_000], id="a line without an end"),
        pytest.param([START, *[b"v" * 5000] * 20], id="a name without an end"),
        pytest.param([START, *[b"%d: \r\n" % n for n in range(300)]], id="many lines"),
        pytest.param([START + b"".join(b"%d: \r\n" % n for n in range(3000))], id="many at once"),
        pytest.param([b"GET /" + b"x" * 70_000 + b" HTTP/1.1\r\n\r\n"], id="a long path"),
    ],
)
async def test_a_head_that_is_too_large_is_refused(pieces: list[bytes]) -> None:
    async with serving() as (port, _, _):
        reply = await exchanged(port, *pieces)

    assert reply.startswith(b"HTTP/1.1 431 ")


@pytest.mark.parametrize(
    "pieces",
    [
        pytest.param([TRAILERS], id="many lines"),
        pytest.param([b"x: ", *[b"v" * 5000] * 30], id="one without an end"),
    ],
)
async def test_trailers_are_as_bounded_and_end_the_connection(pieces: list[bytes]) -> None:
    async with serving() as (port, _, _):
        with suppress(ConnectionError):
            assert await exchanged(port, CHUNKED + b"2\r\nab\r\n0\r\n", *pieces) == b""


async def test_ordinary_requests_pass_with_bodies_in_any_pieces() -> None:
    pieces = [b"1\r\nx\r\n" * 9000, b"ff", b"ff\r\n", *[b"y" * 4369] * 15, b"\r\n0\r\n", b"\r\n"]
    async with serving(one=2000) as (port, _, _):
        small = await exchanged(port, ASKED)
        chunked = await exchanged(port, CHUNKED, *pieces)
        two = await exchanged(port, START + b"\r\n" + ASKED)

    assert small.endswith(b"0 bytes")
    assert chunked.endswith(b"74535 bytes")
    assert two.count(b"HTTP/1.1 200 ") == 2


async def test_a_head_that_does_not_end_in_its_time_is_refused() -> None:
    async with serving(seconds=0.05) as (port, _, _):
        slow = await exchanged(port, START + b"A: ")
        again = await exchanged(port, START + b"\r\n", b"\r\n", START)
        silent = await exchanged(port)

    assert slow.startswith(b"HTTP/1.1 408 ")
    assert again.startswith(b"HTTP/1.1 200 ")
    assert silent == b""


async def test_heads_of_all_connections_share_one_budget() -> None:
    async with serving(all=50_000) as (port, heads, connections):
        clients = [await asyncio.open_connection("127.0.0.1", port) for _ in range(10)]
        for _, writer in clients:
            writer.write(START + b"A: " + b"v" * 20_000)
        await until(lambda: sum(one._refused for one in connections) == 8)
        held = heads.held
        for _, writer in clients:
            writer.close()

    assert 20_000 < held <= 50_000


async def test_small_heads_that_are_sent_ahead_of_answers_share_it_too() -> None:
    small = START + b"A: " + b"v" * 6000 + b"\r\n\r\n"
    async with serving(held=64 << 20) as (port, heads, _):
        reply = await exchanged(port, small * 3 + ASKED)
        assert heads.held == heads.all
        heads.held = 0

    assert reply.count(b"HTTP/1.1 200 ") < 4


async def test_a_probe_has_room_where_others_have_taken_all() -> None:
    async with serving(held=64 << 20) as (port, heads, _):
        reply = await exchanged(port, ASKED)
        assert heads.held == heads.all
        heads.held = 0

    assert reply.startswith(b"HTTP/1.1 200 ")


async def test_where_all_connections_are_taken_the_oldest_that_waits_ends() -> None:
    async with serving(connections=2) as (port, _, connections):
        clients = [await asyncio.open_connection("127.0.0.1", port) for _ in range(2)]
        await until(lambda: len(connections) == 2)
        assert (await exchanged(port, ASKED)).endswith(b"0 bytes")
        assert await clients[0][0].read() == b""
        clients[1][1].write(ASKED)
        assert (await clients[1][0].read()).endswith(b"0 bytes")
        for _, writer in clients:
            writer.close()


async def test_where_all_connections_have_requests_a_new_one_gets_nothing() -> None:
    async with serving(connections=2) as (port, heads, connections):
        clients = [await asyncio.open_connection("127.0.0.1", port) for _ in range(2)]
        for _, writer in clients:
            writer.write(CHUNKED)
        await until(lambda: len(connections) == 2 and not heads.waiting.many)
        with suppress(ConnectionError):
            assert await exchanged(port, ASKED) == b""
        for reader, writer in clients:
            writer.write(b"0\r\n\r\n")
            assert (await reader.read()).endswith(b"0 bytes")
            writer.close()
        await until(lambda: not connections)
        assert (await exchanged(port, ASKED)).endswith(b"0 bytes")


def test_room_is_made_by_the_address_that_has_most() -> None:
    ended: list[int] = []
    waiting = Waiting()
    for number, address in enumerate("abbcbac"):
        waiting.add(Peer(address, number, ended))
    asked = Peer("b", 99, ended)
    waiting.add(asked)
    waiting.discard(asked)
    waiting.discard(asked)

    while waiting.make_room():
        pass

    assert ended == [1, 0, 2, 3, 5, 4, 6]
    assert waiting.many == 0


async def test_requests_that_are_sent_ahead_of_answers_have_a_bound() -> None:
    async with serving(pipelined=4) as (port, _, _):
        few = await exchanged(port, (START + b"\r\n") * 3 + ASKED)
        many = await exchanged(port, (START + b"\r\n") * 2000)

    assert few.count(b"HTTP/1.1 200 ") == 4
    assert many.count(b"HTTP/1.1 200 ") < 5
