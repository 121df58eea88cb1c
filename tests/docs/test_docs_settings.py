"""docs/reference/settings.md has every TRAINYARD_ variable with its default, and no other."""

import ast
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from builders import given
from builders.stage import KEY
from pages import ROOT, rows, sections, words
from trainyard_operator import settings as operator
from trainyard_operator.runs.environment import main_environment
from trainyard_serving import settings as serving
from trainyard_tracking import settings as tracking

PAGE = "docs/reference/settings.md"
SECTIONS = sections(PAGE)
NAME = re.compile(r"TRAINYARD_[A-Z_]+[A-Z]")
REQUIRED = "*required*"
TRACKING = {
    "TRAINYARD_OBJECT_STORE_ENDPOINT": "minio:9000",
    "TRAINYARD_VERIFY_CERT_FILE": "tls.crt",
}


class Asked(dict[str, str]):
    """An environment that remembers what it was asked for, and with which default."""

    def __init__(self, given: Mapping[str, str] = {}) -> None:
        super().__init__(given)
        self.defaults: dict[str, str] = {}

    def get(self, name: str, default: str = "") -> str:  # type: ignore[override]  # settings give texts
        self.defaults[name] = REQUIRED if name in TRACKING and self else str(default)
        return super().get(name, default)


def asked_by_the_operator() -> dict[str, str]:
    env = Asked()
    operator.from_environment(env)
    return env.defaults


def asked_by_tracking() -> dict[str, str]:
    env = Asked(TRACKING)
    tracking.read_settings(env)
    return env.defaults


def asked_by_the_model_server() -> dict[str, str]:
    env = Asked()
    serving.settings_from(["--model-dir", "."], env)
    return env.defaults


def documented(section: str) -> dict[str, str]:
    """Return the variables of a section's table with their defaults."""
    cells = {words(row[0])[0]: row[1] for row in rows(SECTIONS[section])}
    return {name: default.strip("`") for name, default in cells.items()}


@pytest.mark.parametrize(
    ("section", "asked"),
    [
        ("Operator", asked_by_the_operator),
        ("Tracking", asked_by_tracking),
        ("Model server", asked_by_the_model_server),
    ],
)
def test_a_part_asks_for_what_the_page_says(
    section: str, asked: Callable[[], dict[str, str]]
) -> None:
    said = documented(section)
    fixed = {name: default for name, default in said.items() if default != "*host name*"}

    assert set(said) == set(asked())
    assert fixed == {name: default for name, default in asked().items() if name in fixed}


def test_the_agent_asks_for_what_the_page_says() -> None:
    assert set(documented("Agent")) == set(texts("agent"))


def test_command_and_sdk_ask_for_what_the_page_says() -> None:
    ours = {name for name in documented("Command and SDK") if NAME.fullmatch(name)}

    assert ours == set(texts("sdk"))


def test_a_runs_pod_has_what_the_page_says() -> None:
    run = given.run(parameters={"max_depth": 12})
    settings = operator.Settings(signing_key=KEY, tracking_ca="PEM")
    names = {each["name"] for each in main_environment(run, 2, settings=settings)}
    table = SECTIONS["Your program, in the pod of a Run"]
    said = {name for row in rows(table) for name in words(row[0])}

    assert "TRAINYARD_PARAM_MAX_DEPTH" in names
    assert {name.replace("MAX_DEPTH", "*") for name in names} == said


def test_no_variable_is_read_elsewhere() -> None:
    everywhere = {
        name for part in ("operator", "tracking", "serving", "crds") for name in texts(part)
    }
    said = {
        name for section in SECTIONS.values() for row in rows(section) for name in words(row[0])
    }

    assert everywhere - said == set()


def texts(part: str) -> Iterator[str]:
    """Yield the variables that a part's code spells out: as a whole text, not in a sentence."""
    for file in sorted(Path(ROOT, part, "src").rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            value: Any = getattr(node, "value", None)
            if isinstance(node, ast.Constant) and isinstance(value, str) and NAME.fullmatch(value):
                yield value
