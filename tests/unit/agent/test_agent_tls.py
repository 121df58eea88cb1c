"""The agent by TLS: as the pods call it, against a server with a certificate."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from builders import threaded
from builders.agent_service import Server, Service
from builders.authority import Authority
from trainyard_agent import __main__ as agent
from trainyard_agent import termination

SOURCE = "/api/trainyard/v1/namespaces/team/modelversions/digits-1/source"
FETCH = ("fetch", "model", "--namespace", "team", "--version", "digits-1", "--patience", "0")


@pytest.fixture
def service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    service = Service()
    listed = [{"path": "MLmodel", "size": 11}]
    service.contents[SOURCE] = json.dumps({"uri": "u", "files": listed}).encode()
    service.contents[f"{SOURCE}/MLmodel"] = b"flavors: {}"
    server = Server(service)
    service.url = Authority(tmp_path).issue().serve(server)
    monkeypatch.setenv("TRAINYARD_TRACKING_URL", service.url)
    monkeypatch.setenv(termination.PATH_VARIABLE, str(tmp_path / "log"))
    (tmp_path / "log").touch()
    with threaded.running(server):
        yield service


@pytest.mark.usefixtures("service")
def test_it_fetches_from_a_service_of_its_authority(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRAINYARD_CA_FILE", str(tmp_path / "authority.crt"))

    assert agent.main([*FETCH, "--into", str(tmp_path / "model")]) == 0
    assert (tmp_path / "model/MLmodel").read_bytes() == b"flavors: {}"


def test_it_shows_no_token_to_a_service_of_another_authority_and_names_the_setting(
    service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRAINYARD_CA_FILE", str(Authority(tmp_path, "other").file))

    assert agent.main([*FETCH, "--into", str(tmp_path / "model")]) != 0
    assert "TRAINYARD_CA_FILE" in json.loads((tmp_path / "log").read_text())["message"]
    assert service.tokens == set()


@pytest.mark.usefixtures("service")
def test_an_authority_that_is_not_there_ends_it_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRAINYARD_CA_FILE", str(tmp_path / "none.crt"))

    assert agent.main([*FETCH, "--into", str(tmp_path / "model")]) != 0
    told = json.loads((tmp_path / "log").read_text())
    assert told["reason"] == "ConfigMissing"
    assert "TRAINYARD_CA_FILE" in told["message"]
