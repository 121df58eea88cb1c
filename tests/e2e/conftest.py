"""The local cluster with the chart installed, and a namespace a module."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from on_cluster.records import Mlflow
from on_cluster.runs import Kubectl, command, namespace
from trainyard.client import Client
from trainyard_cluster.paths import kubeconfig
from trainyard_cluster.tools import kubectl

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def environment() -> dict[str, str]:
    """Return what a user's shell would have: kubectl, trainyard and the kubeconfig."""
    path = f"{Path(sys.executable).parent}:{Path(kubectl()).parent}:{os.environ['PATH']}"
    return os.environ | {"KUBECONFIG": str(kubeconfig()), "PATH": path, "NO_COLOR": "1"}


@pytest.fixture(scope="session")
def installed(environment: dict[str, str]) -> None:
    """Install or upgrade the chart, as `make install` does."""
    command(environment, sys.executable, "-m", "trainyard_cluster", "install", cwd=ROOT)


@pytest.fixture(scope="module")
def kube(
    request: pytest.FixtureRequest, environment: dict[str, str], installed: None
) -> Iterator[Kubectl]:
    """Give a namespace of its own to the module, and take it away at the end."""
    name = "e2e-" + request.module.__name__.rpartition("test_")[2].replace("_", "-")
    with namespace(environment, name) as kube:
        yield kube


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Show the figures that tests recorded: they are part of what the tests prove."""
    for report in terminalreporter.getreports("passed"):
        for name, value in report.user_properties:
            terminalreporter.line(f"{report.nodeid}: {name}: {value}")


@pytest.fixture(scope="module")
def mlflow(kube: Kubectl) -> Iterator[Mlflow]:
    """Give MLflow's own API, as it shows the module's namespace."""
    with Client(kubeconfig=str(kubeconfig()), namespace=kube.namespace) as client:
        yield Mlflow(client)
