"""Read Markdown as its readers see it: blocks of code, spans of code, tables, links, anchors."""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_SPAN = re.compile(r"(?<!`)`([^`]+)`(?!`)")
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^(#+) (.+)$", re.MULTILINE)
_CELL = re.compile(r"(?<!\\)\|")


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block of code and where it begins."""

    where: str
    language: str
    text: str


def pages() -> dict[str, str]:
    """Return the text of every page of the repository by its path."""
    found = {}
    for folder, below, files in os.walk(ROOT):
        below[:] = [name for name in below if not name.startswith((".", "__"))]
        paths = [Path(folder, name) for name in files if name.endswith(".md")]
        found |= {path.relative_to(ROOT).as_posix(): path.read_text("utf-8") for path in paths}
    return dict(sorted(found.items()))


PAGES = pages()


def blocks(page: str) -> Iterator[Block]:
    """Yield the fenced blocks of a page."""
    text = PAGES[page]
    for match in _FENCE.finditer(text):
        line = text.count("\n", 0, match.start()) + 1
        yield Block(f"{page}:{line}", match[1], match[2])


def prose(text: str) -> str:
    """Return the text without its fenced blocks."""
    return _FENCE.sub("", text)


def spans(page: str) -> list[str]:
    """Return the code in the prose of a page, with a line's end as a space."""
    return [" ".join(span.split()) for span in _SPAN.findall(prose(PAGES[page]))]


def code(page: str) -> list[str]:
    """Return all code of a page: spans, and lines of blocks."""
    lines = [line for block in blocks(page) for line in block.text.splitlines()]
    return [*spans(page), *lines]


def links(page: str) -> list[str]:
    """Return the targets of a page's links that stay in the repository."""
    found = _LINK.findall(_SPAN.sub("", prose(PAGES[page])))
    return [target for target in found if "://" not in target and not target.startswith("mailto:")]


def anchors(page: str) -> set[str]:
    """Return what a link may name after #, as GitHub makes it of headings."""
    slugs: dict[str, int] = {}
    found = set()
    for _, title in _HEADING.findall(prose(PAGES[page])):
        slug = re.sub(r"[^\w\- ]", "", title.strip().lower()).replace(" ", "-")
        count = slugs.get(slug, 0)
        slugs[slug] = count + 1
        found.add(f"{slug}-{count}" if count else slug)
    return found


def sections(page: str, *, level: int = 2) -> dict[str, str]:
    """Return the text below each heading of a level, by the heading."""
    parts = re.split(rf"^{'#' * level} (.+)$", PAGES[page], flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def rows(text: str) -> list[list[str]]:
    """Return the cells of every row of the tables in a text, without titles and rulers."""
    table: list[list[str]] = []
    for line in text.splitlines():
        if not line.startswith("|"):
            continue
        cells = [cell.strip() for cell in _CELL.split(line.strip().strip("|"))]
        if set("".join(cells)) <= set("-: "):
            table.pop()  # what stood above a ruler were the titles
            continue
        table.append(cells)
    return table


def words(cell: str) -> list[str]:
    """Return the code in a cell of a table."""
    return _SPAN.findall(cell)
