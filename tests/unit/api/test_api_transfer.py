"""HTTP between the parts: resumed, verified, and with credentials for nobody else."""

import hashlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from builders import threaded
from trainyard_api.transfer import Away, Client, Corrupt, Refused, patiently

CONTENT = bytes(range(256)) * 9000
DIGEST = f"sha256:{hashlib.sha256(CONTENT).hexdigest()}"


class Service:
    """A server on the loopback interface whose answer a test may write."""

    def __init__(self) -> None:
        self.reply: Callable[[BaseHTTPRequestHandler], None] = ranged
        self.asked: list[dict[str, str]] = []
        self.url = ""


def ranged(handler: BaseHTTPRequestHandler, content: bytes = CONTENT) -> None:
    begin = int(handler.headers.get("Range", "bytes=0-").split("=")[1].split("-")[0])
    handler.send_response(206 if begin else 200)
    if begin:
        handler.send_header("Content-Range", f"bytes {begin}-{len(content) - 1}/{len(content)}")
    handler.send_header("Content-Length", str(len(content) - begin))
    handler.end_headers()
    handler.wfile.write(content[begin:])


def cut(handler: BaseHTTPRequestHandler) -> None:
    """Promise all, send a part, hang up."""
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(CONTENT)))
    handler.end_headers()
    handler.wfile.write(CONTENT[:1_500_000])


def status(code: int, **headers: str) -> Callable[[BaseHTTPRequestHandler], None]:
    def reply(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(code)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    return reply


def serving() -> Iterator[Service]:
    service = Service()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            service.asked.append({k.lower(): v for k, v in self.headers.items()})
            with suppress(ConnectionError):  # who read enough has gone
                service.reply(self)

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    service.url = f"http://127.0.0.1:{server.server_port}/f"
    with threaded.running(server):
        yield service


service = pytest.fixture(serving, name="service")
another = pytest.fixture(serving, name="another")


def client() -> Client:
    return Client("test", token=lambda: "secret")


def test_what_broke_off_is_resumed_where_it_was(service, tmp_path):
    service.reply = cut
    with pytest.raises(Away) as broke:
        client().download(service.url, tmp_path / "f", digest=DIGEST, size=len(CONTENT))
    service.reply = ranged
    client().download(service.url, tmp_path / "f", digest=DIGEST, size=len(CONTENT))

    assert broke.value.progress
    assert service.asked[1]["range"] == "bytes=1500000-"
    assert (tmp_path / "f").read_bytes() == CONTENT
    assert [p.name for p in tmp_path.iterdir()] == ["f"]


@pytest.mark.parametrize("code", [200, 416])
def test_a_service_that_can_not_begin_in_the_middle_sends_all(service, tmp_path, code):
    (tmp_path / "f.part").write_bytes(CONTENT[:1000])

    def whole(handler: BaseHTTPRequestHandler) -> None:
        if code == 416 and "Range" in handler.headers:
            status(416)(handler)
            return
        del handler.headers["Range"]
        ranged(handler)

    service.reply = whole
    client().download(service.url, tmp_path / "f", digest=DIGEST)

    assert (tmp_path / "f").read_bytes() == CONTENT


def test_what_an_earlier_try_left_wrong_is_fetched_anew(service, tmp_path):
    (tmp_path / "f.part").write_bytes(b"x" * 1000)

    patiently(
        lambda: client().download(service.url, tmp_path / "f", digest=DIGEST),
        patience=1,
        say=lambda _: None,
        sleep=lambda _: None,
    )

    assert (tmp_path / "f").read_bytes() == CONTENT


def test_without_a_digest_nothing_is_resumed(service, tmp_path):
    (tmp_path / "f.part").write_bytes(b"x" * 1000)

    client().download(service.url, tmp_path / "f")

    assert "range" not in service.asked[0]
    assert (tmp_path / "f").read_bytes() == CONTENT


@pytest.mark.parametrize(
    "wanted",
    [{"digest": "sha256:" + "0" * 64}, {"digest": DIGEST, "size": 99}, {"size": 10**9}],
    ids=["another digest", "longer than said", "shorter than said"],
)
def test_what_is_not_what_was_asked_for_is_not_kept(service, tmp_path, wanted):
    with pytest.raises(Corrupt):
        client().download(service.url, tmp_path / "f", **wanted)

    assert not list(tmp_path.iterdir())


def test_a_document_arrives_whole_or_is_asked_for_again(service):
    assert client().get(service.url, most=len(CONTENT)) == CONTENT
    assert len(client().get(service.url, most=10)) > 10

    service.reply = cut
    with pytest.raises(Away, match="broke off"):
        client().get(service.url, most=len(CONTENT))


def test_what_never_began_leaves_nothing(service, tmp_path):
    service.reply = status(503)

    with pytest.raises(Away):
        client().download(service.url, tmp_path / "f", digest=DIGEST)

    assert not list(tmp_path.iterdir())


def test_a_redirect_to_another_host_goes_without_the_token(service, another):
    service.reply = status(302, Location=another.url)

    with client().open("GET", another.url):
        pass
    with client().open("GET", service.url):
        pass

    assert service.asked[0]["authorization"] == "Bearer secret"
    assert [a.get("authorization") for a in another.asked] == ["Bearer secret", None]


def test_a_redirect_on_the_same_host_keeps_the_token(service):
    def reply(handler: BaseHTTPRequestHandler) -> None:
        there = handler.path == "/there"
        (ranged if there else status(302, Location="/there"))(handler)

    service.reply = reply
    with client().open("GET", service.url):
        pass

    assert [a["authorization"] for a in service.asked] == ["Bearer secret"] * 2


def test_a_proxy_of_the_environment_is_not_asked(service, monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)

    with client().open("GET", service.url) as response:
        assert response.status == 200


@pytest.mark.parametrize("target", ["file:///etc/passwd", "ftp://127.0.0.1/x"])
def test_only_http_is_spoken_behind_a_redirect_too(service, target):
    service.reply = status(302, Location=target)

    with pytest.raises(ValueError, match="not an http URL"):
        client().open("GET", target)
    with pytest.raises((Away, Refused)):
        client().open("GET", service.url)


@pytest.mark.parametrize(
    ("code", "error"),
    [(503, Away), (500, Away), (429, Away), (408, Away), (403, Refused), (404, Refused)],
)
def test_statuses_that_pass_and_those_that_stay(service, code, error):
    service.reply = status(code, Retry_After="7")

    with pytest.raises(error) as caught:
        client().open("GET", service.url)
    if error is Away:
        assert caught.value.retry_after == 7
    else:
        assert caught.value.status == code


def test_patience_counts_what_the_attempts_took_and_begins_anew_with_progress():
    now, pauses = [0.0], []

    def sleep(seconds: float) -> None:
        pauses.append(seconds)

    def attempt() -> None:
        now[0] += 30
        raise Away("silent", progress=len(pauses) == 1)

    with pytest.raises(Away):
        patiently(attempt, patience=60, say=lambda _: None, sleep=sleep, clock=lambda: now[0])

    assert pauses == [0.5, 0.5, 1.0]


def test_a_pause_is_as_long_as_the_service_asks_for_within_reason():
    pauses: list[float] = []

    def attempt() -> str:
        if len(pauses) == 2:
            return "done"
        raise Away("busy", retry_after=(3.0, 9999.0)[len(pauses)])

    done = patiently(attempt, patience=600, say=lambda _: None, sleep=pauses.append)

    assert (done, pauses) == ("done", [3.0, 60.0])
