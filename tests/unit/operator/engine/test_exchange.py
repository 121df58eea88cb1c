"""Requests and answers, by a server that answers as it is told to."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import ExitStack
from dataclasses import dataclass, field

import pytest
from trainyard_operator.engine import exchange as exchanges
from trainyard_operator.engine.connection import ClosedError
from trainyard_operator.engine.exchange import Exchange, Request

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
EARLY = b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
CUT = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}"


@dataclass
class Server:
    """Answers each request by the next of *answers*; after None it is silent, after b"" it is gone.

    Attributes:
        heard: Requests as they came.
        connections: How many there were.
        closes: After each answer, without a word of it.
    """

    answers: list[bytes | None] = field(default_factory=list)
    heard: list[bytes] = field(default_factory=list)
    connections: int = 0
    closes: bool = False

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while request := await _request(reader):
                self.heard.append(request)
                answer = self.answers.pop(0) if self.answers else OK
                if answer is None:
                    await reader.read()  # until the client gives up
                    return
                if answer == b"":
                    return
                writer.write(answer)
                if self.closes:
                    return
        finally:
            writer.close()


async def _request(reader: asyncio.StreamReader) -> bytes:
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return b""
    _, found, length = head.partition(b"Content-Length: ")
    body = await reader.readexactly(int(length.split(b"\r\n")[0])) if found else b""
    return head + body


@dataclass
class Scene:
    server: Server
    exchange: Exchange
    url: str

    async def ask(self, method: str = "GET", *, patience: float = 5.0, **more: object) -> object:
        request = Request(method, "/a", patience, {}, **more)  # type: ignore[arg-type]
        return await self.exchange.send(request)


@pytest.fixture
async def scene() -> AsyncIterator[Scene]:
    server = Server()
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    exchange = Exchange(url, None, limit=2)
    yield Scene(server, exchange, url)
    exchange.close()
    listening.close()


async def test_a_request_says_what_it_must_and_no_more(scene: Scene) -> None:
    exchange = Exchange(scene.url + "/base/", None, limit=1)
    request = Request("POST", "/a b/c%2Fd", 5, {"Accept": "x"}, {"q": "a=b&c"}, b"{1}")
    assert (await exchange.send(request)).body == b"{}"
    exchange.close()

    host = scene.url.removeprefix("http://").encode()
    assert scene.server.heard == [
        b"POST /base/a%20b/c%2Fd?q=a%3Db%26c HTTP/1.1\r\nHost: " + host + b"\r\n"
        b"Accept: x\r\nContent-Length: 3\r\n\r\n{1}"
    ]


async def test_a_header_of_two_lines_is_not_sent(scene: Scene) -> None:
    with pytest.raises(ValueError, match="several lines"):
        await scene.exchange.send(Request("GET", "/", 5, {"Authorization": "Bearer a\r\nX: y"}))

    assert scene.server.heard == []


@pytest.mark.parametrize(
    ("sent", "read"),
    [
        (OK, (200, {"content-length": "2"}, b"{}")),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n1\r\n \r\n0\r\n\r\n",
            (200, {"transfer-encoding": "chunked"}, b"{} "),
        ),
        (b"HTTP/1.1 204 No Content\r\nDate: now\r\n\r\n", (204, {"date": "now"}, b"")),
        (
            EARLY + b"HTTP/1.1 409 Conflict\r\nRetry-After: 3\r\nContent-Length: 1\r\n\r\n!",
            (409, {"retry-after": "3", "content-length": "1"}, b"!"),
        ),
    ],
    ids=["of a length", "in chunks", "without a body", "after an interim one"],
)
async def test_an_answer_is_read_and_its_connection_used_again(
    scene: Scene, sent: bytes, read: object
) -> None:
    scene.server.answers = [sent]
    assert await scene.ask("POST", body=b"") == read
    assert await scene.ask("POST", body=b"") == (200, {"content-length": "2"}, b"{}")
    assert scene.server.connections == 1


@pytest.mark.parametrize("length", [b"0", b"7"])
async def test_the_answer_to_head_has_a_length_and_no_body(scene: Scene, length: bytes) -> None:
    scene.server.answers = [b"HTTP/1.1 200 OK\r\nContent-Length: " + length + b"\r\n\r\n"]
    assert await scene.ask("HEAD") == (200, {"content-length": length.decode()}, b"")
    assert (await scene.ask())[2] == b"{}"  # type: ignore[index]
    assert scene.server.connections == 1


@pytest.mark.parametrize(
    "answer",
    [
        OK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"),
        OK.replace(b"HTTP/1.1", b"HTTP/1.0"),
        OK + OK,
    ],
    ids=["that it says is the last", "of the old protocol", "that there are two of"],
)
async def test_after_an_answer_a_connection_is_not_used_again(scene: Scene, answer: bytes) -> None:
    scene.server.answers = [answer]
    assert (await scene.ask())[2] == b"{}"  # type: ignore[index]
    await scene.ask()
    assert scene.server.connections == 2


async def test_what_follows_an_answer_is_no_part_of_it(scene: Scene) -> None:
    scene.server.answers = [OK + OK.replace(b"\r\n\r\n", b"\r\nRetry-After: 9\r\n\r\n")]
    assert await scene.ask() == (200, {"content-length": "2"}, b"{}")


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (b"", "without an answer"),
        (b"SSH-2.0-OpenSSH_9.6\r\n", "no HTTP"),
        (b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n", "HTTP"),
    ],
)
async def test_what_is_no_answer_is_an_error(scene: Scene, answer: bytes, said: str) -> None:
    scene.server.answers = [answer]
    with pytest.raises(ConnectionError, match=said):
        await scene.ask("POST")


@pytest.mark.parametrize("answer", [CUT, b"HTTP/1.0 200 OK\r\n\r\nto the end", b"HTTP/1.1 2"])
async def test_an_answer_whose_end_is_not_told_is_an_error(scene: Scene, answer: bytes) -> None:
    scene.server.answers, scene.server.closes = [answer], True
    with pytest.raises(ConnectionError, match="in its answer"):
        await scene.ask()


async def test_a_read_is_sent_again_when_its_old_connection_was_closed(scene: Scene) -> None:
    await scene.ask()
    scene.server.answers = [b""]
    assert (await scene.ask())[0] == 200  # type: ignore[index]
    assert (len(scene.server.heard), scene.server.connections) == (3, 2)


async def test_a_write_is_not_sent_again_since_it_may_have_come(scene: Scene) -> None:
    await scene.ask()
    scene.server.answers = [b""]
    with pytest.raises(ClosedError):
        await scene.ask("POST")

    assert len(scene.server.heard) == 2


async def test_a_read_is_sent_once_on_a_new_connection(scene: Scene) -> None:
    scene.server.answers = [b"", b""]
    with pytest.raises(ClosedError):
        await scene.ask()

    assert len(scene.server.heard) == 1


async def test_what_gave_up_leaves_no_answer_for_the_next(scene: Scene) -> None:
    scene.server.answers = [None]
    with pytest.raises(TimeoutError):
        await scene.ask(patience=0.05)
    asking = asyncio.create_task(scene.ask())
    await asyncio.sleep(0)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert (await scene.ask())[2] == b"{}"  # type: ignore[index]


async def test_more_than_the_limit_wait_and_no_longer_than_their_patience(scene: Scene) -> None:
    scene.server.answers = [None, None]
    hanging = [asyncio.create_task(scene.ask()) for _ in range(2)]
    while len(scene.server.heard) < 2:
        await asyncio.sleep(0)
    with pytest.raises(TimeoutError):
        await scene.ask(patience=0.05)
    hanging[0].cancel()
    assert (await scene.ask())[0] == 200  # type: ignore[index]
    hanging[1].cancel()
    await asyncio.gather(*hanging, return_exceptions=True)


async def test_a_connection_that_was_idle_for_long_is_left(
    scene: Scene, monkeypatch: object
) -> None:
    await scene.ask()
    monkeypatch.setattr(exchanges, "_IDLE", -1.0)  # type: ignore[attr-defined]
    await scene.ask()
    assert scene.server.connections == 2


async def test_a_server_that_is_not_there_is_an_error() -> None:
    exchange = Exchange("http://127.0.0.1:1", None, limit=1)
    with pytest.raises(ConnectionRefusedError):
        await exchange.send(Request("GET", "/", 5, {}))


async def test_an_address_that_drops_what_it_is_sent_costs_a_moment_and_that_once(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = int(scene.url.rpartition(":")[2])
    asked: list[str] = []

    async def both(*_: object, **__: object) -> list[object]:
        asked.append("name")
        family = (socket.AF_INET, socket.SOCK_STREAM, 6, "")
        return [(*family, (address, port)) for address in ("127.0.0.2", "127.0.0.1")]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", both)
    monkeypatch.setattr(exchanges, "_ONE_OF_SEVERAL", 0.5)
    with ExitStack() as held:
        # One whose queue is full answers no more.
        listening = held.enter_context(socket.create_server(("127.0.0.2", port), backlog=0))
        listening.listen(0)
        for _ in range(3):
            waits = held.enter_context(socket.socket())
            waits.setblocking(False)
            waits.connect_ex(("127.0.0.2", port))
        assert (await scene.ask()).status == 200  # type: ignore[attr-defined]
        scene.exchange.close()
        monkeypatch.setattr(exchanges, "_CONNECT", 0.4)
        assert (await scene.ask()).status == 200  # type: ignore[attr-defined]

    assert (scene.server.connections, len(asked)) == (2, 2)
