"""Data frames from decoded JSON, enforced by the signature's columns.

Columns go by name, in the signature's order; extra ones are ignored. Protocols decide which
of the three forms (columns, rows, records) a request has; tensors are in `tensor.py`.
"""

from collections.abc import Iterable
from typing import Any, Final

from trainyard_serving.batch import Batch
from trainyard_serving.errors import BadInput
from trainyard_serving.kinds import guessed, typed
from trainyard_serving.signature import Column, Signature

MAX_COLUMNS: Final = 10_000
"""Where no signature says how many there are."""
_MISSING: Final = object()


def from_columns(columns: dict[str, list[Any]], signature: Signature) -> Batch:
    """Return the batch of named columns; without a signature the types are guessed.

    Raises:
        BadInput: A column is missing, of another length, or holds a value of another type.
    """
    if not signature.columns and len(columns) > MAX_COLUMNS:
        raise BadInput(f"has {len(columns)} columns, more than {MAX_COLUMNS}", field="columns")
    _same_length(columns)
    wanted = signature.columns or tuple(Column(n, guessed(v)) for n, v in columns.items())
    arrays = {}
    for column in wanted:
        values = columns.get(column.name)
        if values is not None:
            arrays[column.name] = typed(values, column.kind, field=column.name)
        elif column.required:
            raise _missing(column, wanted)
    rows = len(next(iter(arrays.values()))) if arrays else 0
    if not rows:
        raise BadInput("the input has no rows")
    return Batch(arrays, rows)


def _some(rows: list[Any]) -> None:
    if not rows:
        raise BadInput("the input has no rows")


def _missing(column: Column, wanted: Iterable[Column]) -> BadInput:
    names = ", ".join(f"{c.name} ({c.kind.name})" for c in wanted if c.required)
    return BadInput(f"the column is missing; the model needs {names:.2000}", field=column.name)


def _same_length(columns: dict[str, list[Any]]) -> None:
    if len(set(map(len, columns.values()))) > 1:
        first = next(iter(columns))
        other = next(n for n, v in columns.items() if len(v) != len(columns[first]))
        raise BadInput(
            f"has {len(columns[other])} values where {first!r} has {len(columns[first])}",
            field=other,
        )


def from_rows(rows: list[Any], names: list[str] | None, signature: Signature) -> Batch:
    """Return the batch of rows, each an array of values in the order of `names`.

    Without names the signature's order holds.
    """
    _some(rows)
    known = [c.name for c in signature.columns]
    names = names or known or [str(i) for i in range(_width(rows))]
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
    for index, record in enumerate(records):
        if type(record) is not dict:
            raise BadInput("expected an object with a value for each column", row=index)
    names = [c.name for c in signature.columns] or list(
        dict.fromkeys(k for r in records for k in r)
    )
    if len(names) > MAX_COLUMNS and not signature.columns:
        raise BadInput(f"has {len(names)} columns, more than {MAX_COLUMNS}", field="columns")
    optional = {c.name for c in signature.columns if not c.required}
    columns = {}
    for name in names:
        values = [record.get(name, _MISSING) for record in records]
        if all(value is _MISSING for value in values):
            continue
        columns[name] = _filled(values, name, optional=name in optional or not signature.columns)
    if not columns:
        raise (
            _missing(signature.columns[0], signature.columns) if names else BadInput("is {}", row=0)
        )
    return from_columns(columns, signature)


def _filled(values: list[Any], name: str, *, optional: bool) -> list[Any]:
    if _MISSING not in values:
        return values
    if not optional:
        raise BadInput("the column is missing", field=name, row=values.index(_MISSING))
    return [None if value is _MISSING else value for value in values]
