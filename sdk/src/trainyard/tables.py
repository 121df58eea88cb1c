"""A table that is read anywhere: plain text when printed, HTML in a notebook. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from html import escape

_GAP = 2
_NO = frozenset({"", "-"})
_READABLE = 14
"""Characters of a cell that is still read when it goes on in the next line."""


def clipped(text: str, longest: int) -> str:
    """Shorten *text* so that it shows that it was."""
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


@dataclass(frozen=True, slots=True)
class Table:
    """Titles, rows of as many cells, and a line below that explains it.

    Attributes:
        strong: cells to stress, as (row, column).
    """

    titles: Sequence[str]
    rows: Sequence[Sequence[str]]
    remark: str = ""
    strong: frozenset[tuple[int, int]] = field(default=frozenset())

    def __str__(self) -> str:
        below = [self.remark] if self.remark else []
        return "\n".join([*self.lines(), *below])

    __repr__ = __str__

    def lines(self) -> list[str]:
        """Return it as lines of plain text with aligned columns."""
        lines = [self.titles, *self.rows]
        widths = [max(len(str(line[at])) for line in lines) for at in range(len(self.titles))]
        return [
            "  ".join(str(c).ljust(w) for c, w in zip(line, widths, strict=True)).rstrip()
            for line in lines
        ]

    def fits(self, width: int) -> bool:
        """Tell whether a terminal of *width* shows it so that a column can be read."""
        lines = [self.titles, *self.rows]
        longest = [max(len(str(line[at])) for line in lines) for at in range(len(self.titles))]
        needed = [
            max(len(title), min(column, _READABLE))
            for title, column in zip(self.titles, longest, strict=True)
        ]
        return sum(needed) + _GAP * (len(needed) - 1) <= width

    def records(self) -> Iterator[tuple[str, list[tuple[str, str]]]]:
        """Yield each row as what its first cell says, and its other cells that say something."""
        for row in self.rows:
            first, *rest = map(str, row)
            told = zip(self.titles[1:], rest, strict=True)
            yield f"{self.titles[0]} {first}".strip(), [each for each in told if each[1] not in _NO]

    def _repr_html_(self) -> str:
        head = "".join(f"<th>{escape(title)}</th>" for title in self.titles)
        body = "".join(f"<tr>{self._cells(at)}</tr>" for at in range(len(self.rows)))
        below = f"<p>{escape(self.remark)}</p>" if self.remark else ""
        return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{below}"

    def _cells(self, at: int) -> str:
        def cell(column: int, text: str) -> str:
            shown = escape(text)
            strong = (at, column) in self.strong
            return f"<td><b>{shown}</b></td>" if strong else f"<td>{shown}</td>"

        return "".join(cell(column, str(text)) for column, text in enumerate(self.rows[at]))
