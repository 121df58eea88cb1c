"""MLflow's scoring protocol: the bodies of /invocations (mlflow.org, "Deploy MLflow Model").

Differs from MLflow's own server where that is lenient: a number is never made from a string,
and NaN in a prediction is null, because NaN is not JSON.
"""

import csv
import io
from collections.abc import Callable
from typing import Any, Final

from trainyard_serving import outputs, params, table, tensor
from trainyard_serving.batch import Batch, Label
from trainyard_serving.errors import BadInput, UnsupportedMedia
from trainyard_serving.kinds import BOOLEAN, INTEGER, NUMBER, Kind
from trainyard_serving.protocols import FEWER, decoded, most_bytes
from trainyard_serving.signature import Column, Signature

_LONGEST_INTEGER: Final = 20  # a sign and the digits of 64 bits
_CELL_BYTES: Final = 64  # an object, its place in a list, and its place in an array
FORMATS: Final = ("dataframe_split", "dataframe_records", "instances", "inputs")


def read(body: bytes, content_type: str, signature: Signature) -> Batch:
    """Return the batch in a request body.

    Raises:
        BadInput: It does not fit the signature.
        UnsupportedMedia: It is neither JSON nor CSV in UTF-8.
    """
    media, *rest = content_type.split(";")
    pairs = (each.strip().lower().partition("=") for each in rest)
    charsets = {value.strip().strip('"') for name, _, value in pairs if name.strip() == "charset"}
    if charsets - {"utf-8", "utf8"}:
        raise UnsupportedMedia(f"the content type {content_type!r:.100} is not in UTF-8")
    reader = _READERS.get(media.strip().lower())
    if reader is None:
        raise UnsupportedMedia(
            f"the content type {content_type!r:.100} is not one of application/json, text/csv"
        )
    return reader(body, signature)


def write(prediction: Any) -> bytes:
    """Return the response body of a prediction."""
    return outputs.encoded({"predictions": outputs.jsonable(prediction)})


def _json(body: bytes, signature: Signature) -> Batch:
    document = decoded(body)
    if type(document) is not dict:
        raise BadInput(f"expected an object with one of {', '.join(FORMATS)}")
    present = [name for name in FORMATS if name in document]
    if len(present) != 1:
        found = ", ".join(present or map(str, list(document)[:10])) or "nothing"
        raise BadInput(f"expected exactly one of {', '.join(FORMATS)}, found {found:.200}")
    form, value = present[0], document[present[0]]
    batch = _hinted(form, value) if signature.hinted else _FORMATS[form](value, signature)
    extra = params.checked(document.get("params"), signature)
    return Batch(batch.arrays, batch.rows, batch.tabular, extra) if extra else batch


def _hinted(form: str, value: Any) -> Batch:
    """Read rows of any form, which the model's own type hint checks."""
    if form == "dataframe_split" or type(value) is not list:
        raise BadInput(
            "the model checks rows by its type hint: send {inputs: [...]}, an item for each row",
            field=form,
        )
    return tensor.of_items(value)


def _split(value: Any, signature: Signature) -> Batch:
    if type(value) is not dict or type(value.get("data")) is not list:
        raise BadInput("expected {columns: [...], data: [[...], ...]}", field="dataframe_split")
    names = value.get("columns")
    if names is not None:
        if type(names) is not list or not all(type(n) in {str, int} for n in names):
            raise BadInput("expected an array of column names", field="columns")
        if len(set(map(str, names))) < len(names):
            raise BadInput("has a name twice", field="columns")
    if signature.tensors:
        return _rows_of_tensors(value["data"], names, signature, "dataframe_split")
    return table.from_rows(value["data"], names, signature)


def _rows_of_tensors(
    rows: list[Any], names: list[Label] | None, signature: Signature, field: str
) -> Batch:
    """Read a frame's rows as tensors: by name where they have names, else as they stand."""
    for index, row in enumerate(rows):
        if type(row) is not list or (names is not None and len(row) != len(names)):
            raise BadInput("expected an array with a value for each column", row=index)
    if names is not None and signature.tensors[0].name:
        records = [dict(zip(map(str, names), row, strict=True)) for row in rows]
        return _rows_of_objects(records, signature, field)
    rank = len(signature.tensors[0].shape)
    return _rows([_cell_or_row(row, rank) for row in rows], signature, field)


def _cell_or_row(row: list[Any], rank: int) -> Any:
    """Return the only value of a row where the tensor has no dimension for columns."""
    alone = len(row) == 1 and (rank == 1 or type(row[0]) is list)
    return row[0] if alone else row


def _records(value: Any, signature: Signature) -> Batch:
    if type(value) is not list:
        raise BadInput("expected an array of objects", field="dataframe_records")
    if signature.tensors:
        return _rows_of_objects(value, signature, "dataframe_records")
    return table.from_records(value, signature)


def _instances(value: Any, signature: Signature) -> Batch:
    return _rows(value, signature, "instances")


def _rows(value: Any, signature: Signature, field: str) -> Batch:
    """Read rows, of objects, of arrays, or of plain values; errors name `field`, as sent."""
    if type(value) is not list:
        raise BadInput("expected an array with an item for each row", field=field)
    if value and len(signature.columns) == 1 and _is_cell(value[0], signature.columns[0]):
        return table.from_columns({signature.columns[0].name: value}, signature)
    if value and type(value[0]) is dict:
        return _rows_of_objects(value, signature, field)
    if not signature.columns:
        return tensor.batch_of({_only_tensor(signature): value}, signature, field=field)
    return table.from_rows(value, None, signature)


def _is_cell(value: Any, column: Column) -> bool:
    """Say whether it is a value of the only column, and not a row around one."""
    if type(value) is dict:
        return column.kind.name in {"object", "map"} and column.name not in value
    return _depth(value) == column.kind.depth


def _depth(value: Any) -> int:
    depth = 0
    while type(value) is list:
        depth, value = depth + 1, value[0] if value else None
    return depth


def _only_tensor(signature: Signature) -> str:
    if len(signature.tensors) > 1:
        names = ", ".join(t.name for t in signature.tensors)
        raise BadInput(f"the model takes the named tensors {names:.2000}: send an object")
    return signature.tensors[0].name if signature.tensors else ""


def _rows_of_objects(value: list[Any], signature: Signature, field: str) -> Batch:
    if not signature.tensors:
        # Without a signature MLflow makes arrays of instances, and a frame of records.
        bare = field == "instances" and not signature.columns
        return _arrays(value) if bare else table.from_records(value, signature)
    if signature.tensors[0].name == "":
        rows = table.positional(value) if value else value
        return _rows_of_tensors(rows, None, signature, field)
    named: dict[str, list[Any]] = {}
    for wanted in signature.tensors:
        for index, item in enumerate(value):
            if type(item) is not dict or wanted.name not in item:
                raise BadInput("the tensor is missing", field=wanted.name, row=index)
        named[wanted.name] = [item[wanted.name] for item in value]
    return tensor.batch_of(named, signature, field=field)


def _arrays(records: list[Any]) -> Batch:
    columns = zip(*table.positional(records), strict=True)
    named = dict(zip(records[0], map(list, columns), strict=True))
    table.bounded(named)
    return tensor.batch_of(named, Signature(), field="instances")


def _inputs(value: Any, signature: Signature) -> Batch:
    """Read columns or tensors by name; an array is read as rows."""
    if type(value) is not dict:
        return _rows(value if type(value) is list else [value], signature, "inputs")
    if not signature.columns:
        table.bounded(value)
        return tensor.batch_of(value, signature, field="inputs")
    if _is_row(value, signature):
        return table.from_records([value], signature)
    lists = {k: v if type(v) is list else [v] for k, v in value.items()}
    return table.from_columns(lists, signature)


def _is_row(value: dict[str, Any], signature: Signature) -> bool:
    """Say whether an object is one row: an array in it may be a value, or a column of values."""
    cells = [(value[c.name], c) for c in signature.columns if c.name in value]
    return any(c.kind.depth or type(v) is dict for v, c in cells) and all(
        type(v) is dict or _depth(v) <= c.kind.depth for v, c in cells
    )


def _csv(body: bytes, signature: Signature) -> Batch:
    try:
        columns = _csv_columns(body, signature)
    except (UnicodeDecodeError, csv.Error) as exc:
        raise BadInput(f"the body is not CSV in UTF-8: {exc}") from None
    if not any(columns.values()):
        raise BadInput("the CSV needs a line of column names and at least one row")
    names = list(columns)
    if signature.hinted or signature.tensors:
        rows = zip(*columns.values(), strict=True)
        if signature.hinted:
            return tensor.of_items([dict(zip(names, row, strict=True)) for row in rows])
        return _rows_of_tensors(list(map(list, rows)), list(names), signature, "csv")
    if not signature.columns or signature.named:
        return table.from_columns(columns, signature)
    known = [c.name for c in signature.columns]
    if len(names) != len(known):
        raise BadInput(f"has {len(names)} values for {len(known)} columns", row=0)
    return table.from_columns(dict(zip(known, columns.values(), strict=True)), signature)


def _csv_columns(body: bytes, signature: Signature) -> dict[str, list[Any]]:
    """Return the cells by column, each made of its text at once: rows of texts take far more.

    A row at a time, so that other threads have their turn however many there are.
    """
    lines = io.TextIOWrapper(io.BytesIO(body), "utf-8-sig", newline="")
    rows = (row for row in csv.reader(lines, strict=True) if row)
    names = next(rows, [])
    columns: dict[str, list[Any]] = {name: [] for name in names}
    if len(columns) < len(names):
        raise BadInput("has a name twice", field="columns")
    kinds = _csv_kinds(names, signature)
    cells = [(column.append, kinds.get(name)) for name, column in columns.items()]
    most = most_bytes(body) // _CELL_BYTES // max(len(names), 1)
    for index, row in enumerate(rows):
        if len(row) != len(names):
            raise BadInput(f"has {len(row)} values for {len(names)} columns", row=index)
        if index >= most:
            raise BadInput(f"the body has more than {index} rows: {FEWER}")
        for (append, kind), text in zip(cells, row, strict=True):
            append(_cell(text, kind))
    return columns


def _csv_kinds(names: list[str], signature: Signature) -> dict[str, Kind]:
    """Return the kinds of the columns of a file, by its own names."""
    if not signature.named:
        return {n: c.kind for n, c in zip(names, signature.columns, strict=False)}
    return {c.name: c.kind for c in signature.columns}


def _cell(text: str, kind: Kind | None) -> Any:
    """Return a CSV cell as the JSON value it stands for; what doesn't fit stays a string."""
    if kind is not None and kind.family == BOOLEAN:
        return {"true": True, "false": False}.get(text.strip().lower(), text)
    if kind is not None and kind.family not in {NUMBER, INTEGER}:
        return text or None
    return _number(text.strip())


def _number(text: str) -> Any:
    if not text or text.lower() == "nan":
        return None
    if "_" in text or not text.isascii():  # numbers to Python, not to anybody else
        return text
    for parse in (int, float) if len(text) <= _LONGEST_INTEGER else (float,):
        try:
            return parse(text)
        except ValueError:
            continue
    return text


_FORMATS: Final[dict[str, Callable[[Any, Signature], Batch]]] = {
    "dataframe_split": _split,
    "dataframe_records": _records,
    "instances": _instances,
    "inputs": _inputs,
}
_READERS: Final[dict[str, Callable[[bytes, Signature], Batch]]] = {
    "application/json": _json,
    "": _json,
    "text/csv": _csv,
}
