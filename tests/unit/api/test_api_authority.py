"""Who is trusted by TLS between the parts, and what is said of who is not."""

import ssl
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from builders import threaded
from builders.authority import Authority
from trainyard_api import authority
from trainyard_api.transfer import Away, Client


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def signed(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def url(signed: Authority) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    served = signed.issue().serve(server)
    with threaded.running(server):
        yield served


def test_a_server_of_the_authority_is_trusted(url: str, signed: Authority) -> None:
    assert Client("test", ca_file=str(signed.file)).get(url, most=9) == b"{}"


def test_a_server_of_another_authority_is_refused_by_the_setting_s_name(
    url: str, tmp_path: Path
) -> None:
    other = Authority(tmp_path, "other")

    with pytest.raises(Away, match=r"CERTIFICATE_VERIFY_FAILED.*TRAINYARD_CA_FILE, .*other\.crt"):
        Client("test", ca_file=str(other.file)).get(url, most=9)


def test_without_an_authority_it_is_said_what_to_set(url: str) -> None:
    with pytest.raises(Away, match="set TRAINYARD_CA_FILE"):
        Client("test").get(url, most=9)


def test_a_certificate_for_another_name_is_refused(signed: Authority) -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    url = signed.issue("tls", "elsewhere.example.org").serve(server)
    with threaded.running(server), pytest.raises(Away, match="IP address mismatch"):
        Client("test", ca_file=str(signed.file)).get(url, most=9)


def test_an_authority_that_is_renewed_holds_for_the_next_request(
    url: str, signed: Authority, tmp_path: Path
) -> None:
    file = tmp_path / "ca.crt"
    file.write_bytes(Authority(tmp_path, "before").file.read_bytes())
    client = Client("test", ca_file=str(file))
    with pytest.raises(Away):
        client.get(url, most=9)

    file.write_bytes(signed.file.read_bytes())

    assert client.get(url, most=9) == b"{}"


@pytest.mark.parametrize(
    ("said", "advised"),
    [
        ("CA cert does not include key usage extension", "keyUsage keyCertSign"),
        ("Missing Authority Key Identifier", "RFC 5280"),
        ("Hostname mismatch, certificate is not valid for 'a'.", "must name the service"),
        ("unable to get local issuer certificate", "/ca.crt: is that the authority now"),
    ],
)
def test_what_is_wrong_with_a_certificate_is_said_with_its_mend(said: str, advised: str) -> None:
    refused = ssl.SSLCertVerificationError(1, "certificate verify failed")
    refused.reason, refused.verify_message = "CERTIFICATE_VERIFY_FAILED", said

    told = authority.advice(refused, "/ca.crt", url="https://tracking")

    assert advised in told
    assert said in told or "local issuer" in said


@pytest.mark.parametrize("content", [None, "", "no certificate", "é"])
def test_a_file_without_an_authority_is_named_with_its_setting(
    tmp_path: Path, content: str | None
) -> None:
    file = tmp_path / "ca.crt"
    if content is not None:
        file.write_text(content)

    with pytest.raises(ValueError, match=r"TRAINYARD_CA_FILE names .*ca\.crt"):
        authority.read(file)


def test_several_authorities_and_words_between_them_are_read(
    url: str, signed: Authority, tmp_path: Path
) -> None:
    other = Authority(tmp_path, "other").file.read_text()
    file = tmp_path / "both.crt"
    file.write_text(f"# the last, Főtanúsítvány\n{other}\n# the next\n{signed.file.read_text()}")

    assert Client("test", ca_file=str(file)).get(url, most=9) == b"{}"


def test_who_speaks_plain_http_to_tls_is_asked_about_the_switch(url: str) -> None:
    with pytest.raises(Away, match=r"speak https\? see tracking\.tls\.enabled"):
        Client("test").get(url.replace("https:", "http:"), most=9)


def test_who_speaks_tls_to_plain_http_is_asked_about_the_switch(signed: Authority) -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    url = f"https://127.0.0.1:{server.server_port}"
    told = r"speak plain http\? see tracking\.tls\.enabled"
    with threaded.running(server), pytest.raises(Away, match=told):
        Client("test", ca_file=str(signed.file)).get(url, most=9)


@pytest.mark.parametrize(
    ("error", "url"),
    [
        (ConnectionRefusedError(), "http://tracking:5000"),
        (ConnectionResetError(), "https://tracking:5000"),
    ],
)
def test_what_is_no_matter_of_trust_gets_no_advice(error: OSError, url: str) -> None:
    assert authority.advice(error, url=url) == ""
