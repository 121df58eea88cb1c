"""Answers that come bit by bit, by a server that sends what it is told to."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field

import pytest
from trainyard_operator.engine import stream as streaming
from trainyard_operator.engine.access import Access
from trainyard_operator.engine.clock import ServerClock
from trainyard_operator.engine.errors import NotFound, Unheard
from trainyard_operator.engine.exchange import Request, Streams
from trainyard_operator.engine.transport import Transport

HEAD = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
EARLY = b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
END = b"0\r\n\r\n"


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


@dataclass
class Server:
    """Answers each request by the next of *answers*, part by part, and then closes or waits.

    Attributes:
        sent: Bytes that the client's side has taken.
        more: Set to have another part sent; set from the start.
    """

    answers: list[Sequence[bytes]] = field(default_factory=list)
    connections: int = 0
    closes: bool = False
    sent: int = 0
    more: asyncio.Event = field(default_factory=asyncio.Event)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        writer.transport.set_write_buffer_limits(0)
        try:
            while await _is_asked(reader):
                for part in self.answers.pop(0):
                    writer.write(part)
                    await writer.drain()
                    self.sent += len(part)
                    await self.more.wait()
                if self.closes:
                    return
        finally:
            writer.close()


async def _is_asked(reader: asyncio.StreamReader) -> bool:
    try:
        return bool(await reader.readuntil(b"\r\n\r\n"))
    except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
        return False


@dataclass
class Scene:
    server: Server
    streams: Streams

    async def read(self, *answer: bytes, patience: float | None = 5.0) -> list[bytes]:
        self.server.answers = [answer]
        async with self.streams.open(Request("GET", "/", patience, {})) as stream:
            assert stream.status == 200
            return [data async for data in _all(stream.readany)]


async def _all(read: Callable[[], object]) -> AsyncIterator[bytes]:
    while data := await read():  # type: ignore[misc]
        yield data


@pytest.fixture
async def scene() -> AsyncIterator[Scene]:
    server = Server()
    server.more.set()
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    streams = Streams(url, None)
    yield Scene(server, streams)
    streams.close()
    listening.close()


@pytest.mark.parametrize(
    "answer",
    [
        (HEAD + chunk(b"a") + chunk(b"bc") + END,),
        (HEAD, chunk(b"a"), chunk(b"bc"), END),
        (EARLY, HEAD[:9], HEAD[9:] + b"3\r\nab", b"c\r\n" + END),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\na", b"bc"),
    ],
    ids=["at once", "bit by bit", "cut anywhere", "of a length"],
)
async def test_a_body_is_given_as_it_comes_and_its_connection_used_again(
    scene: Scene, answer: Sequence[bytes]
) -> None:
    assert b"".join(await scene.read(*answer)) == b"abc"
    assert b"".join(await scene.read(*answer)) == b"abc"
    assert scene.server.connections == 1


async def test_what_came_is_given_before_the_rest_has(scene: Scene) -> None:
    scene.server.answers = [(HEAD + chunk(b"a"), chunk(b"b"), END)]
    scene.server.more.clear()
    async with scene.streams.open(Request("GET", "/", 5, {})) as stream:
        assert await stream.readany() == b"a"
        scene.server.more.set()
        assert await stream.readany() == b"b"
        assert await stream.readany() == b""
        assert await stream.readany() == b""


async def test_a_body_without_a_length_ends_with_its_connection(scene: Scene) -> None:
    scene.server.closes = True

    assert b"".join(await scene.read(b"HTTP/1.0 200 OK\r\n\r\n", b"abc")) == b"abc"


@pytest.mark.parametrize("cut", [(chunk(b"ab"),), (b"9\r\nab",), ()])
async def test_what_is_cut_short_is_an_error_after_what_came(
    scene: Scene, cut: tuple[bytes, ...]
) -> None:
    scene.server.closes, scene.server.answers = True, [(HEAD, *cut)]
    async with scene.streams.open(Request("GET", "/", 5, {})) as stream:
        for came in cut:
            assert await stream.readany() == came[3:5]
        with pytest.raises(ConnectionError, match="in its answer"):
            await stream.readany()


@pytest.mark.parametrize("came", [(), (HEAD,), (HEAD, chunk(b"a"))])
async def test_silence_ends_a_stream_if_it_shall(scene: Scene, came: Sequence[bytes]) -> None:
    with pytest.raises(TimeoutError):
        await scene.read(*came, patience=0.05)
    assert await scene.read(HEAD + chunk(b"a") + END) == [b"a"]
    assert scene.server.connections == 2


async def test_a_stream_that_is_left_closes_its_connection(scene: Scene) -> None:
    scene.server.answers = [(HEAD + chunk(b"a"),)]
    async with scene.streams.open(Request("GET", "/", None, {})) as stream:
        await stream.readany()
    await scene.read(HEAD + END)

    assert scene.server.connections == 2


async def test_what_comes_after_an_answer_is_not_taken_for_more_of_it(scene: Scene) -> None:
    another = HEAD + chunk(b"b") + END

    assert await scene.read(HEAD + chunk(b"a") + END + another) == [b"a"]
    assert await scene.read(HEAD + chunk(b"c") + END) == [b"c"]
    assert scene.server.connections == 2


async def test_what_was_left_unread_holds_up_no_other_stream(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streaming, "_HELD", 10)
    scene.server.answers = [(HEAD + chunk(b"x" * 100) + END,)]
    async with asyncio.timeout(5), scene.streams.open(Request("GET", "/", None, {})) as stream:
        while not stream._connection.is_over:
            await asyncio.sleep(0)

    assert await scene.read(HEAD + chunk(b"a") + END) == [b"a"]


async def test_a_machine_that_is_gone_without_a_word_is_noticed(scene: Scene) -> None:
    scene.server.answers = [(HEAD, END)]
    async with scene.streams.open(Request("GET", "/", None, {})) as stream:
        transport = stream._connection._transport
        assert transport is not None
        opened = transport.get_extra_info("socket")
        assert opened.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
        idle = opened.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE)
        unheard = opened.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT)

    assert (idle, unheard) == (30, 60_000)


async def test_who_reads_slowly_has_the_server_wait(scene: Scene, monkeypatch: object) -> None:
    monkeypatch.setattr(streaming, "_HELD", 1000)  # type: ignore[attr-defined]
    part = chunk(b"x" * 100_000)
    scene.server.answers = [(HEAD, *([part] * 200), END)]
    async with scene.streams.open(Request("GET", "/", 5, {})) as stream:
        before = -1
        while scene.server.sent > before:
            before = scene.server.sent
            await asyncio.sleep(0.2)
        assert before < 100 * len(part)
        assert sum([len(data) async for data in _all(stream.readany)]) == 20_000_000


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (b"HTTP/1.1 404 Not Found\r\nContent-Length: 17\r\n\r\n" + b'{"kind":"Status"}', NotFound),
        (b"HTTP/1.1 503 No\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n", Unheard),
        (b"HTTP/1.1 500 No\r\nContent-Length: 9\r\n\r\ncut", Unheard),
    ],
)
async def test_a_refusal_is_told_by_its_body(
    scene: Scene, answer: bytes, error: type[Exception]
) -> None:
    scene.server.answers, scene.server.closes = [(answer,)], True
    transport = Transport(Access("http://server"), ServerClock())
    with pytest.raises(error):
        async with transport.stream(scene.streams, Request("GET", "/", None, {})):
            pytest.fail("it is no success")
