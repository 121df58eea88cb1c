"""The first example, as `make quickstart` runs it, and what it leaves behind."""

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
import yaml
from builders.chart import dashboards, queries
from on_cluster.runs import SYSTEM, Kubectl, command

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def quickstart(environment: dict[str, str]) -> Iterator[str]:
    kube = Kubectl(environment, "default")
    kube("delete", "runs,models,modeldeployments,experiments", "--all", "--wait", "--timeout=90s")
    words = (sys.executable, "-m", "trainyard_cluster", "quickstart")
    yield command(environment, *words, cwd=ROOT, timeout=900)
    kube("delete", "service", "digits-local", "--ignore-not-found")


@pytest.fixture
def default(environment: dict[str, str]) -> Kubectl:
    return Kubectl(environment, "default")


def test_the_gate_refuses_the_weak_model_and_says_why(quickstart: str) -> None:
    refusal = "production of digits refuses version"
    line = next(line for line in quickstart.splitlines() if refusal in line)

    assert "BelowThreshold: val_accuracy is 0.71" in line
    assert line.endswith("must be at least 0.9")


def test_the_prediction_is_right(quickstart: str) -> None:
    assert "The prediction: 1   (it is a 1)" in quickstart


def test_no_request_fails_and_prometheus_has_counted_them(quickstart: str) -> None:
    assert "500 requests over 8 connections, 0 failed" in quickstart
    assert "Counted by Prometheus: 501," in quickstart


def test_production_holds_the_good_version(quickstart: str, default: Kubectl) -> None:
    good = default.get("run", "digits-deep")["status"]["modelVersion"]
    version = default.get("modelversion", good)["spec"]["version"]

    assert default.get("model", "digits")["status"]["aliases"]["production"] == version
    assert default.get("mdep", "digits")["status"]["stable"]["version"] == version


def test_the_server_has_the_packages_that_models_are_checked_against(
    quickstart: str, default: Kubectl
) -> None:
    values = yaml.safe_load((ROOT / "charts" / "trainyard" / "values.yaml").read_text())
    promised = values["runtimes"]["sklearn"]["packages"]
    # The interpreter's minor release counts as a package, too.
    script = (
        "import importlib.metadata as m, json, sys;"
        "python = '.'.join(map(str, sys.version_info[:2]));"
        "print(json.dumps({n: python if n == 'python' else m.version(n) for n in sys.argv[1:]}))"
    )
    pod = default.list("pods", "trainyard.dev/deployment=digits")[0]["metadata"]["name"]

    found = default("exec", pod, "--", "python", "-c", script, *promised)

    assert json.loads(found) == promised


@pytest.mark.parametrize(
    ("title", "query"), [row for path in dashboards() for row in queries(path)]
)
def test_every_panel_of_the_dashboard_shows_something(
    quickstart: str, default: Kubectl, title: str, query: str
) -> None:
    blank = json.dumps([[0] * 64])
    service = f"/api/v1/namespaces/{SYSTEM}/services/http:trainyard-prometheus:9090/proxy"
    deadline = time.monotonic() + 60  # a rate needs two scrapes
    while True:
        path = f"{service}/api/v1/query?query={quote(query, safe='')}"
        answer = json.loads(default("get", "--raw", path))
        assert answer["status"] == "success", answer
        if answer["data"]["result"]:
            return
        assert time.monotonic() < deadline, f"{title} is empty: {query}"
        default.trainyard("predict", "digits", "--data", blank)  # the quickstart's may be long ago
        time.sleep(1)
