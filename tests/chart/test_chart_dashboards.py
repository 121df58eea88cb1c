"""Dashboards are sound by themselves; the cluster tests run their queries on Prometheus."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from builders.chart import dashboards, named, queries, rendered

EACH = pytest.mark.parametrize("path", dashboards(), ids=lambda path: path.stem)
METRIC = re.compile(r"\b[a-z][a-z0-9_]+(?=[{\[])")
ROOT = Path(__file__).parents[2]
SOURCES = sorted(ROOT.glob("*/src/*/metrics.py"))
# Read from the sources: both ends count requests to the tracking service, under one name.
NAME = re.compile(r'"([a-z]+_[a-z_]+)"')


def load(path: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return loaded


def panels(path: Path) -> list[dict[str, Any]]:
    return [panel for panel in load(path)["panels"] if panel["type"] != "row"]


@EACH
def test_rows_are_operator_runs_and_serving(path: Path) -> None:
    rows = [panel["title"] for panel in load(path)["panels"] if panel["type"] == "row"]

    assert rows == ["Operator", "Runs", "Serving"]


@EACH
def test_every_panel_asks_the_chosen_data_source(path: Path) -> None:
    for panel in panels(path):
        for source in [panel["datasource"], *(t["datasource"] for t in panel["targets"])]:
            assert source == {"type": "prometheus", "uid": "${datasource}"}, panel["title"]


@EACH
def test_every_panel_has_title_description_and_unit(path: Path) -> None:
    for panel in panels(path):
        assert panel["title"]
        assert panel["description"]
        assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]


@EACH
def test_no_two_panels_overlap(path: Path) -> None:
    taken: set[tuple[int, int]] = set()
    for panel in load(path)["panels"]:
        at = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(at["x"], at["x"] + at["w"])
            for y in range(at["y"], at["y"] + at["h"])
        }
        assert not cells & taken, panel["title"]
        assert at["x"] + at["w"] <= 24
        taken |= cells


@EACH
def test_every_rate_fits_the_scrape_interval(path: Path) -> None:
    for panel in panels(path):
        for target in panel["targets"]:
            assert not re.search(r"rate\([^[]*\[(?!\$__rate_interval)", target["expr"]), panel[
                "title"
            ]


@EACH
def test_no_variable_is_left_after_substitution(path: Path) -> None:
    assert queries(path)
    for title, expression in queries(path):
        assert "$" not in expression, title


def exported() -> set[str]:
    """Return every name of a sample that operator, tracking service or model server may export."""
    names = {name for path in SOURCES for name in re.findall(NAME, path.read_text("utf-8"))}
    suffixes = ("", "_total", "_bucket", "_sum", "_count")
    ours = {name + suffix for name in names for suffix in suffixes}
    return ours | {"process_resident_memory_bytes", "process_cpu_seconds_total"}


@EACH
def test_every_metric_is_one_that_is_exported(path: Path) -> None:
    known = exported()
    for title, expression in queries(path):
        assert METRIC.findall(expression), title
        assert set(METRIC.findall(expression)) <= known, title


def test_the_config_map_is_found_by_grafana_s_sidecar() -> None:
    found = named(rendered(), "ConfigMap", "trainyard-dashboards")

    assert found["metadata"]["labels"]["grafana_dashboard"] == "1"
    assert {name: json.loads(text) for name, text in found["data"].items()} == {
        path.name: load(path) for path in dashboards()
    }
