"""TLS on the service's port, by real connections: what is shown, and what after a renewal."""

import os
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace

import httpx
import pytest
from builders.authority import Authority, Pair
from builders.tracking_port import HANGS_SECONDS, PLAIN, on_loop, served
from cryptography import x509
from prometheus_client import REGISTRY
from trainyard_tracking import certificate
from trainyard_tracking.__main__ import configured
from trainyard_tracking.certificate import CERTIFICATE_ENDS, Early, Files, Shown
from trainyard_tracking.closing import Closing
from trainyard_tracking.errors import BadSettings
from trainyard_tracking.handshakes import Handshake
from trainyard_tracking.heads import BoundedProtocol
from trainyard_tracking.settings import read_settings

ENVIRONMENT = {
    "TRAINYARD_OBJECT_STORE_ENDPOINT": "minio:9000",
    "TRAINYARD_VERIFY_CERT_FILE": "/x",
}


async def app(scope, _receive, send):
    assert scope["type"] == "http"
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": scope["scheme"].encode()})


@dataclass
class Port:
    address: tuple[str, int]
    authority: Authority
    files: Pair

    def shown(self, *, names_it: bool = True) -> int:
        """Connect, and return the serial number of what is shown."""
        context = ssl.create_default_context(cafile=self.authority.file)
        context.check_hostname = names_it
        name = self.address[0] if names_it else None
        with (
            socket.create_connection(self.address) as plain,
            context.wrap_socket(plain, server_hostname=name) as opened,
        ):
            der = opened.getpeercert(binary_form=True)
        return x509.load_der_x509_certificate(der).serial_number


def serial(files: Pair) -> int:
    return x509.load_pem_x509_certificate(files.certificate.read_bytes()).serial_number


@pytest.fixture
def port(tmp_path, monkeypatch) -> Iterator[Port]:
    monkeypatch.setattr(certificate, "_EVERY", 0.0)
    authority = Authority(tmp_path)
    files = authority.issue()
    tls = Files(files.certificate, files.key)
    with served(configured(app, replace(PLAIN, tls=tls))) as made:
        yield Port(made.address, authority, files)


def test_who_knows_the_authority_is_served_by_tls(port):
    host, number = port.address
    context = ssl.create_default_context(cafile=port.authority.file)

    assert httpx.get(f"https://{host}:{number}/", verify=context).text == "https"


def test_plain_http_is_not_served_beside_it(port):
    host, number = port.address

    with pytest.raises(httpx.TransportError):
        httpx.get(f"http://{host}:{number}/")


@pytest.mark.parametrize("names_it", [True, False], ids=["by name", "without a name"])
def test_the_next_connection_after_a_renewal_is_shown_the_new_certificate(port, names_it):
    first = serial(port.files)
    assert port.shown(names_it=names_it) == first

    port.authority.issue()

    assert port.shown(names_it=names_it) == serial(port.files) != first


@pytest.mark.parametrize("bound", ["most", "connections"])
def test_of_connections_that_never_begin_the_oldest_make_room(port, monkeypatch, bound):
    monkeypatch.setattr(
        *{"most": (Handshake, bound, 2), "connections": (Closing.heads, bound, 2)}[bound]
    )
    with ExitStack() as silent:
        first, second = (
            silent.enter_context(socket.create_connection(port.address, timeout=10))
            for _ in range(2)
        )
        assert port.shown() == serial(port.files)
        assert first.recv(1) == b""
        assert port.shown() == serial(port.files)
        second.setblocking(False)
        with pytest.raises(BlockingIOError):
            second.recv(1)


def test_a_handshake_has_its_time(port, monkeypatch):
    monkeypatch.setattr(Handshake, "seconds", 0.05)
    with socket.create_connection(port.address, timeout=HANGS_SECONDS) as silent:
        assert silent.recv(1) == b""


def test_silent_connections_end_where_somebody_has_no_place(port, monkeypatch):
    monkeypatch.setattr(Closing.heads, "connections", 2)
    trusted = ssl.create_default_context(cafile=port.authority.file)
    with ExitStack() as silent:
        opened = [
            silent.enter_context(
                trusted.wrap_socket(
                    socket.create_connection(port.address, timeout=10), server_hostname="127.0.0.1"
                )
            )
            for _ in range(2)
        ]
        opened[1].sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert opened[1].recv(99)
        assert port.shown() == serial(port.files)
        assert opened[0].recv(1) == b""


@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
def test_either_event_loop_opens_connections_and_ends_half_open_ones(tmp_path, loop):
    config, context = on_loop(loop, app, tmp_path)
    with ExitStack() as later, served(config) as made:
        later.enter_context(socket.create_connection(made.address))
        for _ in range(20):
            url = f"https://{made.address[0]}:{made.address[1]}/"
            assert httpx.post(url, verify=context, content=b"x" * 9000).text == "https"


def test_a_connection_that_is_open_lives_through_a_renewal(port):
    host, number = port.address
    context = ssl.create_default_context(cafile=port.authority.file)
    with httpx.Client(base_url=f"https://{host}:{number}", verify=context) as client:
        assert client.get("/").is_success
        port.authority.issue()
        assert client.get("/").is_success


def test_a_renewal_that_can_not_be_used_leaves_the_last_one_and_is_tried_again(port):
    first, key = serial(port.files), port.files.key.read_bytes()
    port.files.key.write_text("half of it")
    assert port.shown() == first
    port.files.key.unlink()
    assert port.shown() == first

    port.files.key.write_bytes(key)
    port.authority.issue()

    assert port.shown() == serial(port.files) != first


def test_the_end_of_what_is_shown_is_a_metric_and_follows_a_renewal(tmp_path):
    class Opened:
        context = None

    def told() -> float | None:
        return REGISTRY.get_sample_value("trainyard_tracking_certificate_expiry_timestamp_seconds")

    def ends() -> float:
        shown = x509.load_pem_x509_certificate(pair.certificate.read_bytes())
        return shown.not_valid_after_utc.timestamp()

    authority, now = Authority(tmp_path), [0.0]
    pair = authority.issue()
    CERTIFICATE_ENDS.set(0)
    shown = Shown(Files(pair.certificate, pair.key), clock=lambda: now[0])
    assert told() == ends()

    CERTIFICATE_ENDS.set(0)
    authority.issue()
    now[0] = 60.0
    shown.choose(Opened(), None, None)
    assert told() == ends()


def test_mlflow_is_not_imported_before_its_settings_are_made():
    asked = "import sys, trainyard_tracking.__main__; sys.exit('mlflow' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", asked], check=False).returncode == 0


def test_files_are_looked_at_every_few_seconds_and_not_for_every_connection(tmp_path):
    class Opened:
        context = None

    authority, now = Authority(tmp_path), [0.0]
    pair = authority.issue()
    shown, opened = Shown(Files(pair.certificate, pair.key), clock=lambda: now[0]), Opened()
    shown.choose(opened, None, None)
    first = opened.context
    authority.issue()

    now[0] = 4.9
    shown.choose(opened, None, None)
    assert opened.context is first
    now[0] = 5.0
    shown.choose(opened, None, None)
    assert opened.context is not first


def test_files_that_are_none_at_the_start_are_named_with_their_settings(tmp_path):
    tls = Files(tmp_path / "tls.crt", tmp_path / "tls.key")

    with pytest.raises(BadSettings, match=r"TRAINYARD_TLS_CERT_FILE .*tls\.crt"):
        configured(app, replace(PLAIN, tls=tls))


def test_a_key_of_another_certificate_is_refused_at_the_start(tmp_path):
    authority = Authority(tmp_path)
    one, other = authority.issue("one"), authority.issue("other")

    with pytest.raises(BadSettings, match=r"TRAINYARD_TLS_KEY_FILE .*other\.key"):
        configured(app, replace(PLAIN, tls=Files(one.certificate, other.key)))


@pytest.mark.parametrize("alone", ["CERT", "KEY"])
def test_a_certificate_and_its_key_are_set_together(alone):
    with pytest.raises(BadSettings, match="belong together"):
        read_settings({**ENVIRONMENT, f"TRAINYARD_TLS_{alone}_FILE": "/x"})


def test_without_a_certificate_the_port_speaks_plain_http():
    assert read_settings(ENVIRONMENT).tls is None
    assert configured(app, PLAIN).http_protocol_class is BoundedProtocol


LOGS = """
import mlflow
with mlflow.start_run() as run:
    mlflow.log_metric("score", 1)
    mlflow.log_text("hello", "notes/hello.txt")
print(mlflow.artifacts.load_text(f"{run.info.artifact_uri}/notes/hello.txt"))
"""


@pytest.mark.parametrize("trusted", [True, False], ids=["the authority", "another authority"])
def test_mlflow_checks_the_service_by_its_own_variable(world, tmp_path, trusted):
    authority = Authority(tmp_path)
    pair = authority.issue()
    config = configured(world.service.app, replace(PLAIN, tls=Files(pair.certificate, pair.key)))
    with served(config) as made:
        token = world.record("f" * 32, "by-tls")
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(tmp_path),
            "MLFLOW_TRACKING_URI": f"https://127.0.0.1:{made.address[1]}",
            "MLFLOW_TRACKING_TOKEN": token,
            "MLFLOW_TRACKING_SERVER_CERT_PATH": str(
                authority.file if trusted else Authority(tmp_path, "other").file
            ),
            "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "GIT_PYTHON_REFRESH": "quiet",
        }
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", LOGS],
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    if trusted:
        assert done.stdout.splitlines()[-1:] == ["hello"], done.stderr
    else:
        assert "CERTIFICATE_VERIFY_FAILED" in done.stderr


def test_connections_that_are_opened_a_turn_later_get_their_own_first_bytes(port):
    context = Shown(Files(port.files.certificate, port.files.key)).listening()
    context.early.extend([Early(b"one"), Early(b""), Early(b"three")])
    begun = [ssl.MemoryBIO() for _ in range(3)]
    for incoming in begun:
        context.wrap_bio(incoming, ssl.MemoryBIO(), server_side=True)

    assert [incoming.read() for incoming in begun] == [b"one", b"", b"three"]
