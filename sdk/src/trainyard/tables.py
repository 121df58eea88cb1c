"""A table that is read anywhere: plain text when printed, HTML in a notebook. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape


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
