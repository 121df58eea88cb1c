"""The life of the server: waiting, ready, draining, gone."""

import asyncio
import json
import sys
from pathlib import Path

import pytest
from builders.addresses import EACH_FAMILY
from builders.serving import asked, exchanged, get, post
from trainyard_serving.errors import LoadError
from trainyard_serving.protocols import mlflow
from trainyard_serving.server import Server, told_once
from trainyard_serving.settings import Settings, settings_from

pytestmark = [
    # The runtime installs this filter itself; pytest removes it after each test.
    pytest.mark.filterwarnings("ignore:X does not have valid feature names"),
]

BODY = b'{"dataframe_split":{"columns":["b","a"],"data":[[1,1.0],[0,4.0]]}}'
DIGEST = "sha256:" + "0" * 64


def local(folder: Path, **changes) -> Server:
    fields = {"name": "digits", "version": "3", "model_dir": folder, "host": "127.0.0.1"}
    return Server(Settings(**(fields | {"port": 0, "drain_seconds": 0.0} | changes)))


async def until(condition) -> None:
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(0.005)


async def test_it_loads_answers_drains_and_ends(saved):
    server = local(saved, drain_seconds=0.3)
    running = asyncio.create_task(server.run())
    await until(lambda: server.served.ready)
    before = await exchanged(server.port, post("/invocations", BODY))
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    server.stop()
    await until(lambda: server.served.draining)
    unready = await exchanged(server.port, get("/v2/health/ready", close=False))
    writer.write(post("/invocations", BODY, close=False))
    during = await reader.read()
    writer.close()
    await asyncio.wait_for(running, 10)

    assert before.endswith(b'{"predictions":[0,1]}')
    assert unready.startswith(b"HTTP/1.1 503 ")
    assert during.startswith(b"HTTP/1.1 200 ")
    assert b"Connection: close" in during
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", server.port)


@EACH_FAMILY
async def test_in_a_pod_it_answers_at_addresses_of_both_families(saved, host):
    anywhere = settings_from(["--url", "http://tracking/m", "--digest", DIGEST], {}).host
    server = local(saved, host=anywhere)
    running = asyncio.create_task(server.run())
    await until(lambda: server.port)

    live = await exchanged(server.port, get("/v2/health/live"), host=host)
    server.stop()
    await asyncio.wait_for(running, 10)

    assert live.startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize(("host", "said"), [("127.0.0.1", "127.0.0.1"), ("", "every address")])
async def test_a_port_that_is_taken_ends_the_server_with_its_reason(saved, host, said):
    taken = await asyncio.get_running_loop().create_server(asyncio.Protocol, "127.0.0.1", 0)
    port = taken.sockets[0].getsockname()[1]

    with pytest.raises(LoadError, match=f"can't listen on {said}, port {port}: .*--port"):
        await local(saved, host=host, port=port).run()
    taken.close()


@pytest.mark.parametrize("batching", [True, False])
async def test_requests_are_joined_only_where_that_is_wished(saved, batching):
    server = local(saved, batching=batching)
    await server.load()
    loaded = server.served.loaded
    rows = [mlflow.read(BODY, "application/json", loaded.signature) for _ in range(3)]
    before = calls(server)

    answers = await asked(loaded.dataplane, *rows)

    assert [answer.tolist() for answer in answers] == [[0, 1]] * 3
    assert calls(server) - before == (1 if batching else 3)


def calls(server: Server) -> int:
    """How often the model was called."""
    text = server.metrics.exposition("")[0].decode()
    return int(float(text.split("trainyard_batch_rows_count ")[1].split()[0]))


async def test_while_the_source_is_down_it_is_alive_says_so_and_can_be_stopped(tmp_path):
    log = tmp_path / "log"
    server = local(
        tmp_path,
        model_dir=None,
        url="http://127.0.0.1:9/m",
        digest=DIGEST,
        store=tmp_path,
        termination_log=log,
    )
    running = asyncio.create_task(server.run())
    await until(lambda: "waiting" in server.served.waits_for)
    live = await exchanged(server.port, get("/v2/health/live"))
    ready = await exchanged(server.port, get("/v2/health/ready"))
    server.stop()
    await asyncio.wait_for(running, 10)

    assert live.startswith(b"HTTP/1.1 200 ")
    assert ready.startswith(b"HTTP/1.1 503 ")
    assert "does not answer" in json.loads(ready.split(b"\r\n\r\n")[1])["reason"]
    assert json.loads(log.read_text())["reason"] == "TrackingUnavailable"


async def test_a_model_that_can_not_be_loaded_ends_the_server(tmp_path):
    with pytest.raises(LoadError, match="MLmodel"):
        await asyncio.wait_for(local(tmp_path).run(), 10)


async def test_the_process_exits_with_the_reason_in_the_termination_log(tmp_path):
    log = tmp_path / "log"
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "trainyard_serving", "--model-dir", str(tmp_path), "--port", "0"),
        env={"TRAINYARD_TERMINATION_LOG": str(log)},
        stderr=asyncio.subprocess.PIPE,
    )
    _, errors = await asyncio.wait_for(process.communicate(), 30)

    assert process.returncode == 1
    assert "no MLmodel file" in json.loads(log.read_text())["message"]
    assert b"Traceback" not in errors


def test_nowhere_to_write_the_reason_is_no_further_failure(tmp_path):
    told_once(tmp_path / "none" / "log", LoadError("x"))


def test_settings_come_from_the_environment():
    environment = {
        "TRAINYARD_MODEL_NAME": "digits",
        "TRAINYARD_MODEL_VERSION": "3",
        "TRAINYARD_MODEL_DIGEST": DIGEST,
        "TRAINYARD_MODEL_URL": "http://tracking/m",
        "TRAINYARD_TOKEN_FILE": "/t",
        "TRAINYARD_PORT": "8081",
        "TRAINYARD_DRAIN_SECONDS": "2.5",
    }
    settings = settings_from([], environment)

    assert (settings.name, settings.version, settings.port) == ("digits", "3", 8081)
    assert (settings.drain_seconds, settings.token_file) == (2.5, Path("/t"))


@pytest.mark.parametrize(
    ("environment", "named"),
    [
        ({}, "--model-dir"),
        ({"TRAINYARD_PORT": "x"}, "--port"),
        ({"TRAINYARD_PORT": "99999"}, "--port"),
        ({"TRAINYARD_MAX_BODY_BYTES": "-1"}, "--max-body-bytes"),
        ({"TRAINYARD_MAX_BODY_BYTES": "32Mi"}, "--max-body-bytes"),
        ({"TRAINYARD_MAX_CONNECTIONS": "0"}, "--max-connections"),
        ({"TRAINYARD_DRAIN_SECONDS": "-1"}, "--drain-seconds"),
        ({"TRAINYARD_DRAIN_SECONDS": "nan"}, "--drain-seconds"),
        ({"TRAINYARD_DEADLINE_SECONDS": "inf"}, "--deadline-seconds"),
        ({"TRAINYARD_LONGEST_CALL_SECONDS": "-1"}, "--longest-call-seconds"),
        ({"TRAINYARD_BATCHING": "off"}, "TRAINYARD_BATCHING"),
    ],
)
def test_a_wrong_setting_is_named(environment, named, capsys):
    with pytest.raises(SystemExit):
        settings_from([], environment)
    assert named in capsys.readouterr().err


def test_what_is_held_has_room_for_two_of_the_longest_bodies(capsys):
    ordinary = settings_from(["--model-dir", "."], {})
    larger = settings_from(["--model-dir", ".", "--max-body-bytes", "1000000000"], {})

    assert (ordinary.held_bytes, larger.held_bytes) == (256 << 20, 2_000_000_000)
    with pytest.raises(SystemExit):
        settings_from(["--model-dir", ".", "--max-held-bytes", "40000000"], {})
    assert "--max-held-bytes" in capsys.readouterr().err


async def test_limits_and_deadline_are_those_of_the_settings(saved):
    server = local(saved, max_body_bytes=1000, max_connections=2, deadline_seconds=7.0)
    await server.load()

    limits = server.shared.limits
    assert (limits.body_bytes, limits.connections, limits.held_bytes) == (1000, 2, 256 << 20)
    assert server.served.loaded.dataplane._deadline == 7.0
    server._close()
