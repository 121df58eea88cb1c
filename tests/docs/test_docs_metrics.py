"""docs/reference/metrics.md has every metric with its type and labels, and no other."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from pages import ROOT, rows, sections, words

SECTIONS = sections("docs/reference/metrics.md")
PARTS = {"Operator": "operator", "Tracking": "tracking", "Model server": "serving"}
TYPES = {"Counter": "counter", "Gauge": "gauge", "Histogram": "histogram"} | {
    # The model server's own makers.
    "_gauge": "gauge",
    "_histogram": "histogram",
}

# Name, type, labels.
Metric = tuple[str, str, tuple[str, ...]]


def declared(part: str) -> Iterator[Metric]:
    """Yield the metrics that a part's code makes, by the names that a scrape shows.

    Read, not imported: the tracking service brings MLflow's server along.
    """
    for file in sorted(Path(ROOT, part, "src").rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.Call):
                yield from _metric(node)


def _metric(call: ast.Call) -> Iterator[Metric]:
    made = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    first = call.args[0] if call.args else None
    if made in TYPES and isinstance(first, ast.Constant):
        kind, name = TYPES[made], str(first.value)
        shown = f"{name.removesuffix('_total')}_total" if kind == "counter" else name
        lists = [each for each in call.args[2:] if isinstance(each, ast.List)]
        yield shown, kind, tuple(ast.literal_eval(lists[0])) if lists else ()


def documented(section: str) -> set[Metric]:
    table = rows(SECTIONS[section])
    return {(words(name)[0], kind, tuple(words(labels))) for name, kind, labels, _ in table}


@pytest.mark.parametrize("section", PARTS)
def test_the_page_says_what_the_part_counts(section: str) -> None:
    made = set(declared(PARTS[section]))

    assert made
    assert documented(section) == made
