"""The first example, as `make quickstart` runs it, and what it leaves behind."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from gen_e2e import Kubectl, command

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def quickstart(environment: dict[str, str]) -> Iterator[str]:
    kube = Kubectl(environment, "default")
    kube("delete", "runs,models,modeldeployments,experiments", "--all", "--wait", "--timeout=90s")
    yield command(environment, sys.executable, "examples/quickstart.py", cwd=ROOT, timeout=900)
    kube("delete", "service", "digits-local", "--ignore-not-found")


@pytest.fixture
def default(environment: dict[str, str]) -> Kubectl:
    return Kubectl(environment, "default")


def test_the_gate_refuses_the_weak_model_and_says_why(quickstart: str) -> None:
    assert "val_accuracy" in quickstart
    assert "0.7156" in quickstart or "0.9" in quickstart


def test_the_prediction_is_right(quickstart: str) -> None:
    assert "The prediction: 1   (it is a 1)" in quickstart


def test_no_request_fails_and_prometheus_has_counted_them(quickstart: str) -> None:
    assert "500 requests over 8 connections, 0 failed" in quickstart
    counted = int(quickstart.partition("Counted by Prometheus: ")[2].split()[0])
    assert counted >= 500


def test_production_holds_the_good_version(quickstart: str, default: Kubectl) -> None:
    good = default.get("run", "digits-deep")["status"]["modelVersion"]
    version = default.get("modelversion", good)["spec"]["version"]

    assert default.get("model", "digits")["status"]["aliases"]["production"] == version
    assert default.get("mdep", "digits")["status"]["stable"]["version"] == version
