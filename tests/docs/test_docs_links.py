"""What a page points at is there: other pages, their headings, files, targets of make."""

import itertools
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from pages import PAGES, ROOT, anchors, code, links, spans

FOLDERS = {path.name for path in ROOT.iterdir() if path.is_dir() and path.name[0] not in "._"}
MAKEFILE = (ROOT / "Makefile").read_text("utf-8")
TARGETS = set(re.findall(r"^([a-z][a-z0-9-]*):.*## ", MAKEFILE, re.MULTILINE))
KINDS = ("experiment", "run", "model", "model_version", "deployment")


@pytest.mark.parametrize("page", PAGES)
def test_every_link_leads_somewhere(page: str) -> None:
    assert [target for target in links(page) if not leads_somewhere(page, target)] == []


def leads_somewhere(page: str, target: str) -> bool:
    path, _, anchor = target.partition("#")
    file = (ROOT / page).parent / path if path else ROOT / page
    if not file.exists():
        return False
    name = file.resolve().relative_to(ROOT).as_posix()
    return not anchor or (name in PAGES and anchor in anchors(name))


@pytest.mark.parametrize("page", PAGES)
def test_every_path_of_the_repository_that_a_page_names_is_there(page: str) -> None:
    assert [path for path in paths(page) if not is_there(path)] == []


def paths(page: str) -> Iterator[str]:
    """Yield the spans that are paths from the repository's root."""
    for span in spans(page):
        first, slash, _ = span.partition("/")
        if slash and first in FOLDERS and not re.search(r"[\s:]", span):
            yield span


def is_there(path: str) -> bool:
    return all(any(ROOT.glob(pattern)) for pattern in patterns(path))


def patterns(path: str) -> Iterator[str]:
    """Yield what the shell would make of {a,b}, … for a part's package, and <kind>."""
    choices = [part.split(",") for part in re.split(r"[{}]", path)[1::2]]
    fixed = re.split(r"\{[^}]*\}", path)
    for chosen in itertools.product(*choices):
        parts = itertools.zip_longest(fixed, chosen, fillvalue="")
        name = "".join(itertools.chain(*parts)).replace("/…", "/src/*").rstrip("/")
        yield from (name.replace("<kind>", kind) for kind in (KINDS if "<kind>" in name else [""]))


def test_the_architectures_table_names_what_is_there() -> None:
    named = [path for path in paths("docs/architecture.md") if "…" in path]

    assert len(named) > 20
    assert not is_there("serving/…/nothing.py")
    assert not is_there("operator/…/policies/{gates,nothing}.py")


@pytest.mark.parametrize("page", PAGES)
def test_every_target_of_make_that_a_page_names_is_one(page: str) -> None:
    text = "\n".join(code(page))
    named = set(re.findall(r"(?:^|[\s$])make ([a-z][a-z0-9-]*)", text, re.MULTILINE))

    assert named <= TARGETS


def test_make_runs_files_that_are_there() -> None:
    scripts = set(re.findall(r"[\w/]+\.py\b", MAKEFILE))

    assert "bench/load/run.py" in scripts
    assert sorted(name for name in scripts if not Path(ROOT, name).is_file()) == []


def test_every_target_of_make_is_in_its_help() -> None:
    phony = re.search(r"^\.PHONY: (.*?[^\\])$", MAKEFILE, re.MULTILINE | re.DOTALL)

    assert phony
    assert set(phony[1].replace("\\", "").split()) == TARGETS


def test_the_changelog_has_a_place_for_what_is_not_released() -> None:
    headings = re.findall(r"^## (.+)$", PAGES["CHANGELOG.md"], re.MULTILINE)

    assert headings[0] == "Unreleased"
