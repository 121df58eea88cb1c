"""The operator and the tracking service by TLS, and what it gives to what it makes."""

import asyncio
import dataclasses
import ssl
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from builders import given
from builders.authority import Authority
from builders.stage import SETTINGS
from trainyard_api import contract, serving
from trainyard_operator import process
from trainyard_operator.deployments import children
from trainyard_operator.deployments.rollout import Target
from trainyard_operator.engine import connections
from trainyard_operator.engine.access import Access
from trainyard_operator.engine.errors import Unavailable
from trainyard_operator.engine.plan import Object
from trainyard_operator.runs.job import run_job
from trainyard_operator.settings import Settings
from trainyard_operator.tokens import run_secret
from trainyard_operator.tracking import TrackingClient
from trainyard_operator.versions.job import publishing_job, publishing_secret

CA = "-----BEGIN CERTIFICATE-----"
TLS = dataclasses.replace(SETTINGS, tracking_url="https://tracking:5000", tracking_ca=CA)
RENEWED = dataclasses.replace(TLS, tracking_ca=f"{CA}2")
DIGEST = "sha256:" + "a" * 64


class Service:
    """Answers all that is asked; counts who connected."""

    def __init__(self) -> None:
        self.url = ""
        self.peers: set[Any] = set()

    async def answer(self, request: web.Request) -> web.Response:
        assert request.transport is not None
        self.peers.add(request.transport.get_extra_info("peername"))
        return web.json_response({"runID": "r"})


@pytest.fixture
async def service(tmp_path: Path) -> AsyncIterator[Service]:
    made = Service()
    pair = Authority(tmp_path).issue()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair.certificate, pair.key)
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", made.answer)
    runner = web.AppRunner(app, shutdown_timeout=0)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
    made.url = f"https://127.0.0.1:{runner.addresses[0][1]}"
    yield made
    await runner.cleanup()


async def ask(service: Service, ca: str, *, times: int = 1) -> None:
    access = Access("http://127.0.0.1:1")
    async with connections.connect(access, service.url, ca) as opened:
        told = {"token_file": Path("/none"), "ca_file": "/ca.crt" if ca else ""}
        client = TrackingClient(opened.tracking, url=service.url, **told)  # type: ignore[arg-type]
        for _ in range(times):
            await client.put_run("team", "r", {})


async def test_many_calls_are_one_handshake(service: Service, tmp_path: Path) -> None:
    await ask(service, (tmp_path / "authority.crt").read_text(), times=20)

    assert len(service.peers) == 1


async def test_a_service_of_another_authority_is_noted_for_the_doctor(
    service: Service, tmp_path: Path
) -> None:
    (tmp_path / "other").mkdir()
    Authority(tmp_path / "other").issue()
    other = (tmp_path / "other" / "authority.crt").read_text()

    async with connections.connect(Access("http://127.0.0.1:1"), service.url, other) as opened:
        client = TrackingClient(
            opened.tracking, url=service.url, token_file=Path("/none"), ca_file="/ca.crt"
        )
        looking = asyncio.create_task(client.look_for_ever())
        while not client.state:
            await asyncio.sleep(0.01)
        looking.cancel()

    assert client.state.startswith(f"does not answer at {service.url}")
    assert "/ca.crt" in client.state


async def test_a_service_of_another_authority_is_asked_nothing_and_the_setting_named(
    service: Service, tmp_path: Path
) -> None:
    with pytest.raises(Unavailable, match=r"TRAINYARD_CA_FILE, /ca\.crt"):
        await ask(service, Authority(tmp_path, "other").file.read_text())

    assert service.peers == set()


async def test_without_an_authority_it_is_said_what_to_set(service: Service) -> None:
    with pytest.raises(Unavailable, match="set TRAINYARD_CA_FILE"):
        await ask(service, "")


async def test_a_service_that_speaks_tls_to_a_plain_url_is_named(service: Service) -> None:
    service.url = service.url.replace("https:", "http:")

    with pytest.raises(Unavailable, match=r"does it speak https\? see tracking\.tls\.enabled"):
        await ask(service, "")


@pytest.fixture
def mounted(tmp_path: Path) -> Settings:
    file = Authority(tmp_path).file
    ca = file.read_text()
    return dataclasses.replace(TLS, tracking_ca=ca, tracking_ca_file=str(file))


async def test_it_ends_in_good_order_once_there_is_another_authority(
    mounted: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "RENEWED_EVERY", 0)
    file, stop = Path(mounted.tracking_ca_file), asyncio.Event()
    watching = asyncio.create_task(process.stop_when_renewed(mounted, stop))
    for passing in (mounted.tracking_ca, "half of on"):
        file.write_text(passing)
        for _ in range(5):
            await asyncio.sleep(0)
        assert not stop.is_set()

    file.write_bytes(Authority(tmp_path, "next").file.read_bytes())
    async with asyncio.timeout(5):
        await watching

    assert stop.is_set()


async def test_without_an_authority_there_is_nothing_to_wait_for() -> None:
    await process.stop_when_renewed(SETTINGS, asyncio.Event())


def run_pod(settings: Settings, **spec: Any) -> Object:
    made: Object = run_job(given.run(**spec), 1, settings=settings)["spec"]["template"]["spec"]
    return made


def variables(container: Object) -> dict[str, str]:
    return {each["name"]: each.get("value", "") for each in container["env"]}


def file_of(pod: Object, container: Object, path: str) -> tuple[str, str]:
    """Return the Secret and the key that a container sees as a file."""
    folder, _, name = path.rpartition("/")
    (mount,) = (m for m in container["volumeMounts"] if m["mountPath"] == folder)
    (volume,) = (v for v in pod["volumes"] if v["name"] == mount["name"])
    items = volume["secret"].get("items", [{"key": name, "path": name}])
    return volume["secret"]["secretName"], {i["path"]: i["key"] for i in items}[name]


def test_mlflow_in_a_run_checks_the_service_and_no_other_call_changes() -> None:
    pod = run_pod(TLS)
    main = pod["containers"][0]
    secret = run_secret(given.run(), settings=TLS)

    path = variables(main)["MLFLOW_TRACKING_SERVER_CERT_PATH"]
    assert file_of(pod, main, path) == (secret["metadata"]["name"], contract.CA_KEY)
    assert secret["stringData"][contract.CA_KEY] == CA
    assert not {"SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"} & set(variables(main))


def test_the_volume_of_the_authority_does_not_show_the_token() -> None:
    (volume,) = (v for v in run_pod(TLS)["volumes"] if v["name"] == "trainyard-ca")

    assert [item["key"] for item in volume["secret"]["items"]] == [contract.CA_KEY]


def test_a_run_may_say_by_what_it_checks_or_that_it_does_not() -> None:
    mine = [{"name": "MLFLOW_TRACKING_SERVER_CERT_PATH", "value": "/mine"}]
    none = [{"name": "MLFLOW_TRACKING_INSECURE_TLS", "value": "true"}]

    seen = variables(run_pod(TLS, env=mine)["containers"][0])
    unchecked = variables(run_pod(TLS, env=none)["containers"][0])

    assert seen["MLFLOW_TRACKING_SERVER_CERT_PATH"] == "/mine"
    assert "MLFLOW_TRACKING_SERVER_CERT_PATH" not in unchecked


@pytest.mark.parametrize(
    ("given_", "checks"),
    [
        ({"value": "false"}, True),
        ({"value": "0"}, True),
        ({"value": ""}, True),
        ({}, True),
        ({"value": "True"}, False),
        ({"value": "1"}, False),
        ({"value": "$(OTHER)"}, False),
        ({"valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}, False),
    ],
)
def test_only_a_run_that_does_not_want_it_checks_nothing(given_: Object, checks: bool) -> None:
    env = [{"name": "MLFLOW_TRACKING_INSECURE_TLS", **given_}]

    seen = variables(run_pod(TLS, env=env)["containers"][0])
    assert ("MLFLOW_TRACKING_SERVER_CERT_PATH" in seen) is checks


def test_the_folder_of_the_authority_is_no_user_s_to_mount_over() -> None:
    assert contract.CA_DIRECTORY in contract.RESERVED_PATHS


def test_the_container_that_fetches_code_checks_the_service() -> None:
    pod = run_pod(TLS, source={"archive": {"digest": DIGEST}})
    fetching = pod["initContainers"][0]

    told = variables(fetching)[contract.CA_FILE_ENV]
    assert file_of(pod, fetching, told)[1] == contract.CA_KEY


def test_publishing_checks_the_service_where_it_holds_a_token() -> None:
    version = given.model_version()
    secret = publishing_secret(version, token="t", settings=TLS)
    name = secret["metadata"]["name"]
    job = publishing_job(version, attempt=1, secret=name, allowed=(), settings=TLS)
    pod = job["spec"]["template"]["spec"]

    for container in (pod["initContainers"][0], pod["containers"][0]):
        told = variables(container)[contract.CA_FILE_ENV]
        assert file_of(pod, container, told) == (name, contract.CA_KEY)
    assert contract.CA_FILE_ENV not in variables(pod["initContainers"][1])
    assert secret["stringData"][contract.CA_KEY] == CA


def serving_child(settings: Settings) -> Object:
    runtime = settings.runtimes["sklearn"]
    target, resource = Target(1, DIGEST), given.model_deployment()
    return children.serving_deployment(resource, target, runtime=runtime, settings=settings)


def test_a_model_server_checks_the_service() -> None:
    pod = serving_child(TLS)["spec"]["template"]["spec"]
    server = pod["containers"][0]
    secret = children.serving_secret(given.model_deployment(), DIGEST, settings=TLS)

    told = variables(server)[contract.CA_FILE_ENV]
    assert told.rpartition("/")[0] == serving.TOKEN_DIRECTORY
    assert file_of(pod, server, told) == (secret["metadata"]["name"], contract.CA_KEY)


@pytest.mark.parametrize(
    "name",
    [
        lambda settings: run_secret(given.run(), settings=settings)["metadata"]["name"],
        lambda settings: children.serving_secret(
            given.model_deployment(), DIGEST, settings=settings
        )["metadata"]["name"],
    ],
    ids=["run", "deployment"],
)
def test_another_authority_is_another_secret_as_none_is_ever_written_again(
    name: Callable[[Settings], str],
) -> None:
    assert len({name(settings) for settings in (SETTINGS, TLS, RENEWED)}) == 3


def test_without_tls_nothing_of_it_is_anywhere() -> None:
    made = (
        run_pod(SETTINGS, source={"archive": {"digest": DIGEST}}),
        serving_child(SETTINGS),
        run_secret(given.run(), settings=SETTINGS),
    )

    for each in made:
        assert contract.CA_KEY not in str(each)
        assert contract.CA_FILE_ENV not in str(each)
        assert "CERT_PATH" not in str(each)
