"""The chart, rendered: what chart, API-server and cluster tests share.

Offline: never talks to a cluster. Dashboards are here too, because the cluster tests run their
queries.
"""

import json
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from trainyard_cluster.tools import helm

Object = dict[str, Any]
CHART = Path(__file__).parents[2] / "charts" / "trainyard"
NAMESPACE = "trainyard-system"
SUBSTITUTES = {
    "$__rate_interval": "1m",
    "$__interval": "15s",
    "$__range": "1h",
    "$namespace": ".*",
    "$deployment": ".*",
}


def helm_run(*words: str | Path) -> subprocess.CompletedProcess[str]:
    """Run helm, and return how it ended."""
    return subprocess.run(
        [str(helm()), *map(str, words)], text=True, capture_output=True, check=False
    )


@cache
def rendered(values: Path | None = None, *settings: str) -> tuple[Object, ...]:
    """Return the objects that `helm template` gives with a values file and `--set` settings."""
    words = ["template", "trainyard", str(CHART), "--namespace", NAMESPACE]
    words += ["--values", str(values)] if values else []
    words += [word for setting in settings for word in ("--set", setting)]
    done = helm_run(*words)
    assert done.returncode == 0, done.stderr
    return tuple(document for document in yaml.safe_load_all(done.stdout) if document)


def of_kind(objects: tuple[Object, ...], *kinds: str) -> list[Object]:
    """Return the objects of these kinds."""
    return [item for item in objects if item["kind"] in kinds]


def named(objects: tuple[Object, ...], kind: str, name: str) -> Object:
    """Return the one object of that kind and name."""
    found = [item for item in of_kind(objects, kind) if item["metadata"]["name"] == name]
    assert len(found) == 1, f"{len(found)} of {kind} {name}"
    return found[0]


def pods(objects: tuple[Object, ...]) -> Iterator[tuple[str, Object]]:
    """Yield name and template (metadata and spec) of everything that makes a pod."""
    for item in of_kind(objects, "Deployment", "Pod"):
        is_pod = item["kind"] == "Pod"
        yield item["metadata"]["name"], item if is_pod else item["spec"]["template"]


def containers(objects: tuple[Object, ...]) -> Iterator[tuple[str, Object]]:
    """Yield every container of every pod, with the pod's name before its own."""
    for name, pod in pods(objects):
        spec = pod["spec"]
        for container in [*spec.get("initContainers", []), *spec["containers"]]:
            yield f"{name}/{container['name']}", container


def dashboards() -> list[Path]:
    """Return the chart's dashboards."""
    return sorted((CHART / "dashboards").glob("*.json"))


def queries(path: Path) -> list[tuple[str, str]]:
    """Return panel title and PromQL of every query of a dashboard, its variables substituted."""
    dashboard = json.loads(path.read_text("utf-8"))
    return [
        (panel["title"], substituted(target["expr"]))
        for panel in dashboard["panels"]
        for target in panel.get("targets", [])
    ]


def substituted(expression: str) -> str:
    """Return the expression with what Grafana would put in place of its variables."""
    for variable, value in SUBSTITUTES.items():
        expression = expression.replace(variable, value)
    return expression
