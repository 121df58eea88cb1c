"""What is shared has a bound, and what is bounded loses nothing: bytes, connections, readers."""

import asyncio
import socket
import struct
from time import monotonic

import pytest
from builders.serving import START, Service, exchanged, get, post, serving, until
from trainyard_serving.web import connection as connections
from trainyard_serving.web.answers import Answer
from trainyard_serving.web.shared import SMALL_BYTES, Limits, Shared

CHUNKED = b"POST /x HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
LARGE = b"x" * 30_000_000


def slow_socket(port: int) -> socket.socket:
    """A client whose kernel takes little at a time."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
    client.connect(("127.0.0.1", port))
    client.setblocking(False)
    return client


REQUESTS = {
    "Connection: close": get("/x"),
    "HTTP/1.0": b"GET /x HTTP/1.0\r\n\r\n",
    "keep-alive": get("/x", close=False),
    "draining": get("/x", close=False),
    "its side shut": get("/x", close=False),
}


@pytest.mark.parametrize("how", REQUESTS)
async def test_a_slow_reader_gets_all_of_a_large_answer(how, monkeypatch):
    got, begun = 0, monotonic()

    def clock() -> float:
        return begun + got / 300_000  # seconds, as if so many bytes were read in one

    monkeypatch.setattr(connections, "monotonic", clock)
    async with serving(Service(LARGE)) as (port, shared):
        shared.draining = how == "draining"
        loop, client = asyncio.get_running_loop(), slow_socket(port)
        await loop.sock_sendall(client, REQUESTS[how])
        await until(lambda: shared.held)
        if how == "its side shut":
            client.shutdown(socket.SHUT_WR)
        while got < len(LARGE):
            data = await asyncio.wait_for(loop.sock_recv(client, 300_000), 10)
            assert data, f"cut after {got} bytes"
            got += len(data)
            shared.sweep(clock())
            shared.close_idle()
        client.close()
        await until(lambda: not shared.connections)

    assert shared.held == 0


@pytest.mark.parametrize("how", REQUESTS)
async def test_a_reader_that_does_not_read_is_dropped_and_gives_its_bytes_back(how):
    async with serving(Service(LARGE)) as (port, shared):
        shared.draining = how == "draining"
        client = slow_socket(port)
        await asyncio.get_running_loop().sock_sendall(client, REQUESTS[how])
        await until(lambda: shared.held)
        held = shared.held
        for seconds in (1, 29, 62):
            shared.sweep(monotonic() + seconds)
        await until(lambda: not shared.connections)
        client.close()

    assert held > 20_000_000
    assert shared.held == 0


async def test_who_reads_a_drop_at_a_time_is_dropped_too():
    async with serving(Service(LARGE)) as (port, shared):
        loop, client, now = asyncio.get_running_loop(), slow_socket(port), monotonic()
        await loop.sock_sendall(client, get("/x"))
        await until(lambda: shared.held)
        connection, seconds = next(iter(shared.connections)), 0
        while not connection._transport.is_closing():
            unsent = shared.held
            while shared.held == unsent:
                await loop.sock_recv(client, 65536)
                await asyncio.sleep(0)
                shared.sweep(now + seconds)
            seconds += 20
            shared.sweep(now + seconds)
        client.close()

    assert 400 < seconds < 600  # 30 MB at 64 KiB a second


TRAILERS = b"".join(b"x-%d: %s\r\n" % (i, b"v" * 80) for i in range(1000))


async def test_trailers_are_dropped():
    service = Service()
    async with serving(service) as (port, _):
        reply = await exchanged(
            port, CHUNKED + b"2\r\nab\r\n0\r\nHost: evil\r\nContent-Encoding: gzip\r\n\r\n"
        )

    assert reply.startswith(b"HTTP/1.1 200 ")
    assert service.requests[0].body == b"ab"
    assert service.requests[0].headers[b"host"] == b"a"
    assert b"content-encoding" not in service.requests[0].headers


@pytest.mark.parametrize(
    "trailers",
    [
        pytest.param([TRAILERS], id="many at once"),
        pytest.param([TRAILERS[i : i + 90] for i in range(0, 90_000, 90)], id="one by one"),
        pytest.param([b"x: ", *[b"v" * 5000] * 30], id="one without an end"),
        pytest.param([b"n" * 5000] * 30, id="a name without an end"),
    ],
)
async def test_endless_trailers_are_refused(trailers):
    service = Service()
    async with serving(service) as (port, shared):
        reply = await exchanged(port, CHUNKED + b"2\r\nab\r\n0\r\n", *trailers)
        await until(lambda: not shared.connections)

    assert reply.startswith(b"HTTP/1.1 431 ")
    assert not service.requests
    assert shared.held == 0


async def test_chunks_in_many_pieces_are_no_trailers():
    service = Service()
    pieces = [b"1\r\nx\r\n" * 9000, b"ff", b"ff\r\n", *[b"y" * 4369] * 15, b"\r\n0\r\n", b"\r\n"]
    async with serving(service, header_bytes=2000) as (port, _):
        reply = await exchanged(port, CHUNKED, *pieces)

    assert reply.startswith(b"HTTP/1.1 200 ")
    assert service.requests[0].body == b"x" * 9000 + b"y" * 65535


async def test_bodies_of_all_connections_share_one_budget():
    limits = {"held_bytes": 1_000_000, "body_bytes": 400_000}
    service = Service()
    service.waiting = []
    async with serving(service, **limits) as (port, shared):
        clients = [await asyncio.open_connection("127.0.0.1", port) for _ in range(8)]
        request = post("/x", b"y" * 300_000)
        most = 0
        for start in range(0, len(request), 50_000):
            for _, writer in clients:
                writer.write(request[start : start + 50_000])
                await asyncio.sleep(0.001)
                most = max(most, shared.held)
        await until(lambda: len(service.requests) + shared.inflight >= 2)
        addresses = {r.caller._transport.get_extra_info("peername") for r in service.requests}
        refused = [
            await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)
            for reader, writer in clients
            if writer.get_extra_info("sockname") not in addresses
        ]
        small = post("/x", b"z" * 1000)
        _, probe = await asyncio.open_connection("127.0.0.1", port)
        before = len(service.requests)
        probe.write(small)
        await until(lambda: len(service.requests) > before)
        for respond in service.waiting:
            respond(Answer(200, b"{}"))
        for _, writer in [*clients, (None, probe)]:
            writer.close()
        await until(lambda: not shared.connections)

    assert most <= 1_000_000
    assert len(service.requests) - 1 + len(refused) == 8
    assert all(head.startswith(b"HTTP/1.1 503 ") and b"Retry-After: 1" in head for head in refused)
    assert len(refused) >= 5
    assert (shared.held, shared.inflight) == (0, 0)


def test_large_bodies_leave_room_for_small_ones():
    shared = Shared(lambda *_: None, Limits(held_bytes=8 * SMALL_BYTES), failed=lambda _: None)
    shared.held = 7 * SMALL_BYTES

    assert not shared.has_room(1, body=SMALL_BYTES + 1)
    assert shared.has_room(SMALL_BYTES, body=SMALL_BYTES)


PARTS = {
    "a head that is cut": [START + b"A: b\r\nC: "],
    "an upgrade": [START + b"Connection: Upgrade\r\nUpgrade: h2c\r\n\r\n"],
    "a head that is too long": [START + b"A: " + b"v" * 40_000],
    "a body that is cut": [post("/x", b"y" * 500)[:-10]],
    "chunks that are cut": [CHUNKED + b"5\r\nabcde\r\n"],
    "answered": [post("/x", b"y" * 500)],
    "pipelined": [post("/x", b"y" * 500, close=False) * 3],
    "too large": [post("/x", b"y" * 3000)],
    "too large in chunks": [CHUNKED + b"400\r\n" + b"y" * 1024 + b"\r\n400\r\n" + b"y" * 1024],
    "nonsense after a body": [post("/x", b"y" * 500, close=False) + b"nonsense\r\n\r\n"],
    "nonsense in a chunk": [CHUNKED + b"5\r\nabcde\r\nzz\r\n"],
}


@pytest.mark.parametrize("answers", ["at once", "after the client has gone"])
@pytest.mark.parametrize("how", PARTS)
async def test_every_byte_is_given_back(how, answers):
    service = Service(b"a" * 700)
    if answers != "at once":
        service.waiting = []
    async with serving(service, body_bytes=2000) as (port, shared):
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        for part in PARTS[how]:
            writer.write(part)
        await writer.drain()
        await until(lambda: shared.connections)
        await asyncio.sleep(0.01)
        writer.transport.abort()
        await until(lambda: shared.sweep(monotonic()) or not shared.connections)
        for respond in service.waiting or ():
            respond(Answer(200, service.body))

    assert (shared.held, shared.inflight) == (0, 0)


async def test_a_caller_that_broke_off_is_known_to_have_gone():
    service = Service()
    service.waiting = []
    async with serving(service) as (port, _):
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(post("/x", b"y"))
        await until(lambda: service.requests)
        there = service.requests[0].caller.gone
        reset = struct.pack("ii", 1, 0)
        raw = writer.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, reset)
        writer.transport.abort()
        await until(lambda: service.requests[0].caller.gone)

    assert not there


@pytest.mark.parametrize("close", [True, False])
async def test_a_caller_that_closed_politely_is_found_to_have_gone(close):
    service = Service()
    service.waiting = []
    async with serving(service) as (port, shared):
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(post("/x", b"y", close=close))
        await until(lambda: service.requests)
        writer.close()
        await until(lambda: any(c._half_closed for c in shared.connections))
        async with asyncio.timeout(10):
            while not service.requests[0].caller.gone:
                shared.sweep(monotonic())
                await asyncio.sleep(0.001)


async def test_a_caller_that_only_shut_its_side_is_still_answered():
    service = Service()
    service.waiting = []
    async with serving(service) as (port, shared):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(post("/x", b"y", close=False))
        writer.write_eof()
        await until(lambda: service.requests)
        await until(lambda: any(c._half_closed for c in shared.connections))
        for _ in range(3):
            shared.sweep(monotonic())
            await asyncio.sleep(0.001)
        service.waiting[0](Answer(200, b"late"))
        reply = await asyncio.wait_for(reader.read(), 10)
        writer.close()

    assert reply.endswith(b"\r\n\r\nlate")


async def test_beyond_the_limit_of_connections_only_probes_are_answered():
    service = Service()
    async with serving(service, connections=3) as (port, shared):
        held = [await asyncio.open_connection("127.0.0.1", port) for _ in range(3)]
        await until(lambda: len(shared.connections) == 3)
        refused = await exchanged(port, post("/x", b"y" * 100_000, close=False))
        probed = await exchanged(port, get("/v2/health/live", close=False))
        shared.sweep(monotonic() + 3)
        await until(lambda: not shared.connections)
        welcome = await exchanged(port, post("/x", b"y"))
        for _, writer in held:
            writer.close()

    assert refused.startswith(b"HTTP/1.1 503 ")
    assert b"Retry-After: 1" in refused
    assert probed.startswith(b"HTTP/1.1 200 ")
    assert welcome.startswith(b"HTTP/1.1 200 ")


async def test_far_beyond_the_limit_nothing_is_kept():
    async with serving(Service(), connections=1) as (port, shared):
        opened = [await asyncio.open_connection("127.0.0.1", port) for _ in range(100)]
        ends = await asyncio.gather(*(r.read() for r, _ in opened[65:]), return_exceptions=True)
        kept = len(shared.connections)
        for _, writer in opened:
            writer.transport.abort()

    assert kept == 65
    assert all(not end or isinstance(end, ConnectionError) for end in ends)


async def test_a_body_is_asked_for_once():
    async with serving(Service()) as (port, _):
        reply = await exchanged(
            port,
            post("/x", b"", "Expect: 100-continue", "Upgrade: h2c", "Connection: Upgrade")
            .replace(b"Content-Length: 0", b"Content-Length: 2")
            .replace(b"Connection: close\r\n", b""),
            b"ab" + get("/y"),
        )

    assert reply.count(b"HTTP/1.1 100 ") == 1
    assert reply.count(b"HTTP/1.1 200 ") == 2
