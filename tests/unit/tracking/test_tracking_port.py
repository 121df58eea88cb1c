"""Where the service listens: at every address of its pod, of whichever family."""

import json
import socket
from dataclasses import replace

import httpx
import pytest
from builders.addresses import EACH_FAMILY
from builders.tracking_port import PLAIN, on_loop, served
from trainyard_tracking.__main__ import configured, opened
from trainyard_tracking.errors import BadSettings

ANY = replace(PLAIN, port=0)


async def app(scope, _receive, send):
    seen = json.dumps(scope["client"]).encode()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": seen})


def url(scheme: str, host: str, port: int) -> str:
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"


@EACH_FAMILY
def test_it_answers_at_addresses_of_both_families_and_knows_each_as_it_is_written(host):
    with served(configured(app, ANY), opened(ANY)) as made:
        seen = httpx.get(url("http", host, made.address[1])).json()

    assert seen[0] == host


@EACH_FAMILY
@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_so_it_does_by_tls(host, loop, tmp_path):
    config, trusted = on_loop(loop, app, tmp_path)
    trusted.check_hostname = False  # the certificate names 127.0.0.1
    with served(config, opened(ANY)) as made:
        seen = httpx.get(url("https", host, made.address[1]), verify=trusted).json()

    assert seen[0] == host


def test_a_port_that_is_taken_is_named_with_its_setting():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(BadSettings, match=f"TRAINYARD_PORT is {port}.* in use"):
            opened(replace(PLAIN, port=port))
