"""Heads of requests have a bound: each, and all together."""

import asyncio

import pytest
from builders.serving import START, Service, exchanged, get, serving, until

TINY = b"".join(b"%03x:\r\n" % number for number in range(4000))


@pytest.mark.parametrize(
    "parts",
    [
        pytest.param([TINY], id="many at once"),
        pytest.param([TINY[i : i + 50] for i in range(0, len(TINY), 50)], id="one by one"),
    ],
)
async def test_many_headers_of_next_to_nothing_are_refused(parts):
    service = Service()
    async with serving(service) as (port, shared):
        reply = await exchanged(port, START, *parts)
        await until(lambda: not shared.connections)

    assert reply.startswith(b"HTTP/1.1 431 ")
    assert b"more than 128 headers" in reply
    assert not service.requests
    assert shared.held == 0


async def test_heads_of_all_connections_share_one_budget():
    service = Service()
    async with serving(service, held_bytes=200_000) as (port, shared):
        clients = [await asyncio.open_connection("127.0.0.1", port) for _ in range(20)]
        most = 0
        for line in range(30):
            for _, writer in clients:
                writer.write((START if line == 0 else b"") + b"A%d: %s\r\n" % (line, b"v" * 800))
                await asyncio.sleep(0.001)
                most = max(most, shared.held)
        heads = [reader.readuntil(b"\r\n\r\n") for reader, _ in clients]
        refused = await asyncio.wait_for(
            asyncio.wait(map(asyncio.ensure_future, heads), timeout=0.2), 10
        )
        told = [one.result() for one in refused[0]]
        for one in refused[1]:
            one.cancel()
        for _, writer in clients:
            writer.close()
        await until(lambda: not shared.connections)

    assert most <= 200_000
    assert len(told) >= 10
    assert all(head.startswith(b"HTTP/1.1 503 ") for head in told)
    assert shared.held == 0


async def test_a_probe_has_room_where_others_have_taken_all():
    service = Service()
    async with serving(service, held_bytes=200_000) as (port, shared):
        shared.held = 200_000
        reply = await exchanged(port, get("/x", "Connection: close"))
        await until(lambda: not shared.connections)

    assert reply.startswith(b"HTTP/1.1 200 ")
    assert shared.held == 200_000
