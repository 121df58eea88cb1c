"""The table of a kind as kubectl prints it: the CRD's own columns, from plain objects. Pure."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from trainyard_api.meta import Resource

_STEP = re.compile(r"\.([A-Za-z]\w*)|\[\?\(@\.(\w+)=='([^']*)'\)\]")


def titles(kind: type[Resource], *, namespaced: bool = False) -> list[str]:
    """Return the titles: the name, then those that kubectl shows without -o wide."""
    where = ["NAMESPACE"] if namespaced else []
    return [*where, "NAME", *(column.name.upper() for column in _shown(kind))]


def row(
    kind: type[Resource], item: dict[str, Any], *, now: datetime, namespaced: bool = False
) -> list[str]:
    """Return the cells of one resource; an absent value is `-`."""
    metadata = item["metadata"]
    where = [metadata.get("namespace", "")] if namespaced else []
    cells = [_cell(item, column, now) for column in _shown(kind)]
    return [*where, metadata["name"], *cells]


def value_at(item: Any, path: str) -> Any:
    """Follow a CRD's JSON path: fields, and list elements chosen by one field; None if absent."""
    for field, key, wanted in _STEP.findall(path):
        if field:
            item = item.get(field) if isinstance(item, dict) else None
        else:
            item = next((each for each in item or [] if each.get(key) == wanted), None)
    return item


def age(since: str, now: datetime) -> str:
    """Write how long ago *since* (RFC 3339) was, in one unit or two: 45s, 3m5s, 7h, 12d."""
    return short_duration((now - datetime.fromisoformat(since)).total_seconds())


def short_duration(seconds: float) -> str:
    """Write a duration as kubectl does."""
    count = max(0, int(seconds))
    if count < 120:
        return f"{count}s"
    if count < 600:
        return f"{count // 60}m{count % 60}s" if count % 60 else f"{count // 60}m"
    if count < 3 * 3600:
        return f"{count // 60}m"
    if count < 48 * 3600:
        return f"{count // 3600}h"
    return f"{count // 86400}d"


def _shown(kind: type[Resource]) -> Iterator[Any]:
    return (column for column in kind.definition.columns if not column.priority)


def _cell(item: dict[str, Any], column: Any, now: datetime) -> str:
    value = value_at(item, column.path)
    if value is None or value == "":
        return "-"
    return age(value, now) if column.type == "date" else str(value)


def utc_now() -> datetime:
    """Return this moment."""
    return datetime.now(UTC)
