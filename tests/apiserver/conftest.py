"""A real API server with Trainyard's CRDs, once for all tests of this folder."""

import uuid
from collections.abc import Iterator
from pathlib import Path

import kube_api
import kube_apiserver
import pytest
import yaml
from kube_api import Api
from kube_apiserver import Server

CRDS = Path(__file__).parents[2] / "crds"


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A running API server, empty but for the CRDs."""
    with kube_apiserver.running(tmp_path_factory.mktemp("apiserver")) as running:
        with kube_api.connected(running) as api:
            definitions = [
                yaml.safe_load(p.read_text("utf-8")) for p in sorted(CRDS.glob("*.yaml"))
            ]
            kube_api.establish(api, *definitions)
        yield running


@pytest.fixture(scope="session")
def admin(server: Server) -> Iterator[Api]:
    """The API server as its administrator sees it."""
    with kube_api.connected(server) as api:
        yield api


@pytest.fixture
def api(admin: Api) -> Api:
    """The API server as its administrator sees it, in a namespace of this test alone."""
    namespace = f"t-{uuid.uuid4().hex[:8]}"
    admin.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})
    return admin.within(namespace)
