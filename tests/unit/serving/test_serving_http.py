"""The HTTP layer over a real loopback socket: what clients send, well-behaved or not."""

import asyncio
import json
from time import monotonic

import pytest
from builders.serving import Doubling, exchanged, get, listening, post, routes
from trainyard_serving.web.shared import Limits

BODY = b'{"instances":[[21]]}'
GOOD = b'{"predictions":[42.0]}'


async def sent(*pieces: bytes, limits: Limits | None = None) -> bytes:
    async with listening(routes()[0], limits) as (port, _):
        return await exchanged(port, *pieces)


def statuses(reply: bytes) -> list[int]:
    return [int(part[:3]) for part in reply.split(b"HTTP/1.1 ")[1:]]


async def test_a_prediction():
    reply = await sent(post("/invocations", BODY))

    assert statuses(reply) == [200]
    assert reply.endswith(GOOD)
    assert b"Connection: close\r\n" in reply


async def test_a_request_may_come_byte_by_byte():
    request = post("/invocations", BODY)

    assert (await sent(*[request[i : i + 1] for i in range(len(request))])).endswith(GOOD)


async def test_pipelined_requests_are_answered_in_order():
    first = post("/invocations", b'{"instances":[[1]]}', close=False)
    second = get("/v2/health/live", close=False)
    third = post("/invocations", b'{"instances":[["x"]]}', close=False)

    reply = await sent(first + second + third + post("/invocations", BODY))

    assert statuses(reply) == [200, 200, 400, 200]
    assert reply.index(b"[2.0]") < reply.index(b"live") < reply.index(b"error_code")


async def test_more_pipelined_requests_than_the_limit_are_all_answered():
    many = post("/invocations", BODY, close=False) * 200 + get("/ping")

    assert statuses(await sent(many, limits=Limits(pipelined=4))) == [200] * 201


async def test_a_chunked_body():
    head = post("/invocations", b"", "Transfer-Encoding: chunked").replace(
        b"Content-Length: 0\r\n", b""
    )
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(c), c) for c in (BODY[:5], BODY[5:])) + b"0\r\n\r\n"

    assert (await sent(head, chunks)).endswith(GOOD)


async def test_expect_continue_is_answered_before_the_body():
    async with listening(routes()[0]) as (port, _):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        request = post("/invocations", BODY, "Expect: 100-continue")
        writer.write(request[: -len(BODY)])
        first = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)
        writer.write(BODY)
        rest = await asyncio.wait_for(reader.read(), 5)
        writer.close()

    assert first.startswith(b"HTTP/1.1 100 ")
    assert rest.endswith(GOOD)


async def test_head_tells_the_length_and_sends_no_body():
    reply = await sent(get("/v2/health/live", method="HEAD"))

    assert b"Content-Length: 13\r\n" in reply
    assert reply.endswith(b"\r\n\r\n")


async def test_an_upgrade_is_ignored_as_java_clients_need():
    upgrade = ("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABk")
    reply = await sent(post("/invocations", BODY, *upgrade, close=False) + get("/ping"))

    assert statuses(reply) == [200, 200]
    assert GOOD in reply


async def test_http_1_0_closes_unless_asked_to_keep_alive():
    old = b"GET /ping HTTP/1.0\r\n\r\n"
    kept = b"GET /ping HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"

    reply = await sent(kept + old)

    assert statuses(reply) == [200, 200]
    assert reply.count(b"Connection: keep-alive") == 1


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        pytest.param(b"\x16\x03\x01\x02\x00\x01", 400, id="TLS to a plain port"),
        pytest.param(b"nonsense\r\n\r\n", 400, id="no request line"),
        pytest.param(b"CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n", 405, id="CONNECT"),
        pytest.param(post("/ping", b"", "Content-Length: 5"), 400, id="two lengths"),
        pytest.param(post("/ping", b"", "Transfer-Encoding: chunked"), 400, id="smuggling"),
        pytest.param(get("/x", "A" * 40_000 + ": 1"), 431, id="a long header name"),
        pytest.param(get("/" + "x" * 40_000), 431, id="a long path"),
        pytest.param(b"GET / HTTP/1.1\r\nA: " + b"x" * 70_000, 431, id="an endless header"),
        pytest.param(post("/invocations", b"x" * 2000), 413, id="a long body"),
        pytest.param(get("/nope"), 404, id="an unknown path"),
        pytest.param(get("/invocations"), 405, id="GET where POST is meant"),
        pytest.param(get("/ping", method="BREW"), 400, id="an unknown method"),
        pytest.param(get("/ping", method="OPTIONS"), 405, id="OPTIONS"),
        pytest.param(get("/%zz%00"), 404, id="a strange path"),
        pytest.param(get("http://host/ping"), 200, id="a whole URL as target"),
        pytest.param(get("/ping?a=b"), 200, id="a query"),
        pytest.param(b"\r\n\r\n" + get("/ping"), 200, id="empty lines before the request"),
    ],
)
async def test_strange_requests(request_bytes, status):
    reply = await sent(request_bytes, limits=Limits(body_bytes=1000))

    assert statuses(reply) == [status]
    if status >= 400:
        assert json.loads(reply.split(b"\r\n\r\n", 1)[1])["error"]


async def test_a_chunked_body_over_the_limit_is_refused():
    head = post("/invocations", b"", "Transfer-Encoding: chunked").replace(
        b"Content-Length: 0\r\n", b""
    )
    reply = await sent(head, b"fff\r\n" + b"x" * 4095, limits=Limits(body_bytes=1000))

    assert statuses(reply) == [413]
    assert b"maxBodyBytes in the Deployment's spec" in reply


async def test_a_large_refused_body_does_not_lose_the_answer():
    request = post("/invocations", b"x" * 3_000_000)

    assert statuses(await sent(request, limits=Limits(body_bytes=1000))) == [413]


async def test_an_error_waits_for_the_answers_before_it():
    reply = await sent(post("/invocations", BODY, close=False) + b"nonsense\r\n\r\n")

    assert statuses(reply) == [200, 400]


async def test_a_slow_request_is_answered_408():
    async with listening(routes()[0]) as (port, shared):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"POST /invocations HTTP/1.1\r\nContent-Le")
        await writer.drain()
        while not any(c._active_since for c in shared.connections):
            await asyncio.sleep(0)
        shared.sweep(monotonic() + 31)
        reply = await asyncio.wait_for(reader.read(), 5)
        writer.close()

    assert statuses(reply) == [408]


async def test_a_quiet_connection_is_closed_without_a_word():
    async with listening(routes()[0]) as (port, shared):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while not shared.connections:
            await asyncio.sleep(0)
        shared.sweep(monotonic() + 76)
        reply = await asyncio.wait_for(reader.read(), 5)
        writer.close()

    assert reply == b""


async def test_a_client_that_does_not_read_stops_being_read_and_is_dropped():
    async with listening(routes()[0]) as (port, shared):
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        while not any(c._blocked for c in shared.connections):
            writer.write(get("/metrics", close=False) * 100)
            await asyncio.sleep(0)
        (connection,) = shared.connections
        paused = connection._paused
        for seconds in (31, 62):  # the kernel may have taken some since the first look
            shared.sweep(monotonic() + seconds)
        while shared.connections:
            await asyncio.sleep(0)
        writer.transport.abort()

    assert paused


async def test_a_client_that_leaves_is_forgotten():
    async with listening(routes()[0]) as (port, shared):
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(post("/invocations", BODY, close=False) * 10)
        await writer.drain()
        writer.transport.abort()
        while shared.connections or shared.inflight:
            await asyncio.sleep(0)

    assert shared.inflight == 0


async def test_a_client_that_shuts_its_side_still_gets_its_answer():
    async with listening(routes()[0]) as (port, _):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(post("/invocations", BODY, close=False))
        writer.write_eof()
        reply = await asyncio.wait_for(reader.read(), 5)
        writer.close()

    assert reply.endswith(GOOD)


async def test_concurrent_connections_share_a_call_of_the_model():
    model = Doubling()
    async with listening(routes(model=model)[0]) as (port, _):
        pairs = [await asyncio.open_connection("127.0.0.1", port) for _ in range(20)]
        for _, writer in pairs:
            writer.write(post("/invocations", BODY))
        replies = [await reader.read() for reader, _ in pairs]
        for _, writer in pairs:
            writer.close()

    assert all(reply.endswith(GOOD) for reply in replies)
    assert sum(model.calls) == 20
    assert len(model.calls) < 20


async def test_a_draining_server_asks_to_close():
    async with listening(routes()[0]) as (port, shared):
        shared.draining = True
        reply = await exchanged(port, post("/invocations", BODY, close=False))

    assert statuses(reply) == [200]
    assert b"Connection: close\r\n" in reply
