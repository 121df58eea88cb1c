"""A refusal that comes before all of a body was sent is heard."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from builders import threaded
from builders.authority import Authority
from trainyard_api.transfer import Away, Client, Refused

BODY = bytes(32 << 20)
"""More than both ends of a connection hold while nobody reads."""


@dataclass
class Service:
    """A server that reads no body: it refuses, or hangs up without a word."""

    url: str
    client: Client
    is_silent: bool = False


@pytest.fixture(params=["http", "https"])
def service(request, tmp_path: Path) -> Iterator[Service]:
    class Handler(BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            self.close_connection = True
            if found.is_silent:
                return
            told = json.dumps({"message": "too large"}).encode()
            self.send_response(413)
            self.send_header("Content-Length", str(len(told)))
            self.end_headers()
            self.wfile.write(told)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # its name there
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    found = Service(f"http://127.0.0.1:{server.server_port}", Client("test"))
    if request.param == "https":
        authority = Authority(tmp_path)
        found.url = authority.issue().serve(server)
        found.client = Client("test", ca_file=str(authority.file))
    with threaded.running(server):
        yield found


def test_a_refusal_of_a_body_that_nobody_read_is_told(service: Service) -> None:
    with pytest.raises(Refused, match="too large") as caught:
        service.client.open("PUT", service.url, data=BODY)

    assert caught.value.status == 413


def test_a_service_that_hangs_up_without_a_word_is_away(service: Service) -> None:
    service.is_silent = True

    with pytest.raises(Away, match="does not answer"):
        service.client.open("PUT", service.url, data=BODY)
