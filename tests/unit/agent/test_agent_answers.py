"""Answers that something else than the tracking service gives."""

import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from builders import threaded
from builders.agent_service import Service
from trainyard_agent import transport
from trainyard_agent.__main__ import main
from trainyard_agent.errors import TransportError
from trainyard_agent.transport import Tracking


@pytest.mark.parametrize("answer", [b"", b"<html>", b'{"files": [', b"[1]", b"[" * 9000])
def test_an_answer_that_is_no_json_object_is_waited_out_and_told(
    service: Service, said: list[str], answer: bytes
) -> None:
    service.contents["/source"] = answer
    hasty = Tracking(service.url, "t", patience=0, say=said.append, sleep=lambda _: None)

    with pytest.raises(TransportError, match="something else answer there") as caught:
        hasty.json("/source")

    assert caught.value.reason == "TrackingUnavailable"


def test_how_far_an_upload_is_that_is_no_number_is_waited_out(
    service: Service, said: list[str], tmp_path: Path
) -> None:
    hasty = Tracking(service.url, "t", patience=0, say=said.append, sleep=lambda _: None)
    (tmp_path / "x").write_bytes(b"x")
    service.partial["/blobs/x"] = b""

    for answer in ({}, {"complete": False, "offset": "1"}, {"complete": False, "offset": -1}):
        service.progress = answer
        with pytest.raises(TransportError, match="does not say how far it is"):
            hasty.upload("/blobs/x", tmp_path / "x", size=1)


@pytest.mark.parametrize(
    ("files", "code", "last"),
    [
        ([{"path": "x", "size": 1}], 1, "what came of it can't be told"),
        ([], 2, "SourceMissing: u holds no file"),
    ],
)
def test_where_no_message_can_be_written_the_end_of_the_log_says_it(
    *,
    service: Service,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    files: list[object],
    code: int,
    last: str,
) -> None:
    base = "/api/trainyard/v1/namespaces/a/modelversions/b-1/source"
    service.contents[base] = json.dumps({"uri": "u", "files": files}).encode()
    service.contents[f"{base}/x"] = b"x"
    monkeypatch.setenv("TRAINYARD_TERMINATION_LOG", "/dev/full")
    monkeypatch.setenv("TRAINYARD_TRACKING_URL", service.url)
    words = ["--namespace", "a", "--version", "b-1", "--into", str(tmp_path)]

    assert main(["fetch", "model", *words]) == code
    assert capsys.readouterr().out.splitlines()[-1].startswith(last)


class _Proxy(BaseHTTPRequestHandler):
    """Passes ten bytes on: the first in chunks, without their number, then three at a time."""

    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # its name there
        pass

    def do_GET(self) -> None:
        begin = int(self.headers.get("Range", "bytes=0-").removeprefix("bytes=").rstrip("-"))
        self.send_response(206 if begin else 200)
        self.send_header("ETag", "one")
        self.send_header("Accept-Ranges", "bytes")
        if begin:
            self.send_header("Content-Length", str(10 - begin))
            self.end_headers()
            self.wfile.write(b"0123456789"[begin:][:3])
        else:
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            self.wfile.write(b"4\r\n0123\r\n")
        self.close_connection = True


def test_a_file_whose_length_came_later_is_not_taken_for_whole(
    said: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport, "CHUNK", 4)
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Proxy)
    url = f"http://127.0.0.1:{server.server_port}"
    patient = Tracking(url, "t", patience=5, say=said.append, sleep=lambda _: None)

    with threaded.running(server):
        assert patient.download("/x", tmp_path / "x") == 10

    assert (tmp_path / "x").read_bytes() == b"0123456789"
