"""Data frames from decoded JSON, enforced by the signature's columns.

Columns go by name, in the signature's order, or by position where it names none; extra ones are
ignored. An optional column that is left out is a column of nulls. Protocols decide which of the
three forms (columns, rows, records) a request has; tensors are in `tensor.py`.
"""

from collections.abc import Iterable, Mapping
from itertools import chain
from typing import Any, Final

import numpy as np

from trainyard_serving.batch import Batch, Label
from trainyard_serving.errors import BadInput
from trainyard_serving.kinds import guessed, typed
from trainyard_serving.signature import Column, Signature

MAX_COLUMNS: Final = 10_000
"""Where no signature says how many there are."""
MAX_ABSENT: Final = 1 << 22
"""Cells of a table that a request may leave out, or as many as it has: each takes memory."""
_MISSING: Final = object()


def from_columns(
    columns: Mapping[Any, list[Any]], signature: Signature, rows: int | None = None
) -> Batch:
    """Return the batch of named columns; without a signature the types are guessed.

    Args:
        rows: How many there are, where `columns` may be none of them.

    Raises:
        BadInput: A column is missing, of another length, or holds a value of another type.
    """
    _same_length(columns)
    rows = len(next(iter(columns.values()), ())) if rows is None else rows
    if not signature.columns:
        bounded(columns)
        arrays = {n: typed(v, guessed(v), field=str(n)) for n, v in columns.items()}
        return _filled_batch(arrays, rows)
    _dense(rows, len(signature.columns), rows * len(columns))
    arrays = {}
    for column in signature.columns:
        values = columns.get(column.name)
        if values is None and column.required:
            raise _missing(column, signature)
        if values is None:  # of one null, so that no list of them is ever made
            arrays[column.label] = np.repeat(typed([None], column.kind, field=column.name), rows)
        else:
            arrays[column.label] = typed(values, column.kind, field=column.name)
    return _filled_batch(arrays, rows)


def _dense(rows: int, columns: int, given: int) -> None:
    """Raise BadInput, before anything is built, where nearly nothing of a large table is given."""
    absent = rows * columns - given
    if absent > max(MAX_ABSENT, given):
        raise BadInput(
            f"{rows} rows of {columns} columns have {absent} values that the request leaves out,"
            f" more than {MAX_ABSENT} and more than it has: send fewer rows at a time"
        )


def _filled_batch(arrays: dict[Any, Any], rows: int) -> Batch:
    if not rows:
        raise BadInput("the input has no rows")
    return Batch(arrays, rows)


def bounded(names: Iterable[Any]) -> None:
    """Raise BadInput for more columns than a request may name by itself."""
    count = sum(1 for _ in names)
    if count > MAX_COLUMNS:
        raise BadInput(f"has {count} columns, more than {MAX_COLUMNS}", field="columns")


def _some(rows: list[Any]) -> None:
    if not rows:
        raise BadInput("the input has no rows")


def _missing(column: Column, signature: Signature) -> BadInput:
    if not signature.named:
        count = len(signature.columns)
        text = f"the model's {count} columns have no names: send each row as an array of values"
        return BadInput(text, field=column.name)
    names = ", ".join(f"{c.name} ({c.kind.name})" for c in signature.columns if c.required)
    return BadInput(f"the column is missing; the model needs {names:.2000}", field=column.name)


def _same_length(columns: Mapping[Any, list[Any]]) -> None:
    if len(set(map(len, columns.values()))) > 1:
        first = next(iter(columns))
        other = next(n for n, v in columns.items() if len(v) != len(columns[first]))
        raise BadInput(
            f"has {len(columns[other])} values where {str(first)!r} has {len(columns[first])}",
            field=str(other),
        )


def from_rows(rows: list[Any], names: list[Label] | None, signature: Signature) -> Batch:
    """Return the batch of rows, each an array of values in the order of `names`.

    Without names the signature's order holds, and also where its columns have none.
    """
    _some(rows)
    known: list[Label] = [c.name for c in signature.columns]
    if names is None or (known and not signature.named):
        names = known or list(range(_width(rows)))
    elif known:
        names = list(map(str, names))
    for index, row in enumerate(rows):
        if type(row) is not list:
            raise BadInput("expected an array of values", row=index)
        if len(row) != len(names):
            raise BadInput(f"has {len(row)} values for {len(names)} columns", row=index)
    return from_columns(
        dict(zip(names, map(list, zip(*rows, strict=True)), strict=False)), signature
    )


def _width(rows: list[Any]) -> int:
    return len(rows[0]) if rows and type(rows[0]) is list else 0


def from_records(records: list[Any], signature: Signature) -> Batch:
    """Return the batch of objects, one for each row."""
    _some(records)
    _objects(records)
    if signature.columns and not signature.named:
        return from_rows(positional(records), None, signature)
    names: list[str] = [c.name for c in signature.columns] or list(
        dict.fromkeys(k for r in records for k in r)
    )
    if not names:
        raise BadInput("is {}", row=0)
    if not signature.columns:
        bounded(names)
    _dense(len(records), len(names), sum(map(len, records)))
    required = {c.name for c in signature.columns if c.required}
    present = set(chain.from_iterable(records)) if len(required) < len(names) else required
    columns = {
        n: _column(records, n, signature, required=n in required)
        for n in names
        if n in required or n in present
    }
    return from_columns(columns, signature, len(records))


def _objects(records: list[Any]) -> None:
    for index, record in enumerate(records):
        if type(record) is not dict:
            raise BadInput("expected an object with a value for each column", row=index)


def _column(records: list[Any], name: str, signature: Signature, *, required: bool) -> list[Any]:
    values = [record.get(name, _MISSING) for record in records]
    if _MISSING not in values:
        return values
    if required and all(value is _MISSING for value in values):
        raise _missing(next(c for c in signature.columns if c.name == name), signature)
    if required:
        raise BadInput("the column is missing", field=name, row=values.index(_MISSING))
    return [None if value is _MISSING else value for value in values]


def positional(records: list[Any]) -> list[list[Any]]:
    """Return the values of objects in the order of the first one's names, for what has no names.

    Raises:
        BadInput: They are no objects, or their names differ.
    """
    _objects(records)
    names = list(records[0])
    other = next((i for i, record in enumerate(records) if record.keys() != set(names)), None)
    if other is not None:
        raise BadInput("has other names than the row before it", row=other)
    return [[record[name] for name in names] for record in records]
