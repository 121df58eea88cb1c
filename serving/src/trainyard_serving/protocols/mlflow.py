"""MLflow's scoring protocol: the bodies of /invocations (mlflow.org, "Deploy MLflow Model").

Differs from MLflow's own server where that is lenient: a number is never made from a string,
and NaN in a prediction is null, because NaN is not JSON.
"""

import csv
import io
from collections.abc import Callable
from itertools import zip_longest
from typing import Any, Final

from trainyard_serving import outputs, params, table, tensor
from trainyard_serving.batch import Batch
from trainyard_serving.errors import BadInput, UnsupportedMedia
from trainyard_serving.kinds import BOOLEAN, INTEGER, NUMBER, Kind
from trainyard_serving.protocols import decoded
from trainyard_serving.signature import Signature

_LONGEST_INTEGER: Final = 20  # a sign and the digits of 64 bits
FORMATS: Final = ("dataframe_split", "dataframe_records", "instances", "inputs")


def read(body: bytes, content_type: str, signature: Signature) -> Batch:
    """Return the batch in a request body.

    Raises:
        BadInput: It does not fit the signature.
        UnsupportedMedia: It is neither JSON nor CSV in UTF-8.
    """
    media, _, rest = content_type.partition(";")
    charset = rest.strip().lower().removeprefix("charset=").strip('"')
    if rest and charset not in {"utf-8", "utf8"}:
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
    batch = _FORMATS[present[0]](document[present[0]], signature)
    extra = params.checked(document.get("params"), signature)
    return Batch(batch.arrays, batch.rows, batch.tabular, extra) if extra else batch


def _split(value: Any, signature: Signature) -> Batch:
    if type(value) is not dict or type(value.get("data")) is not list:
        raise BadInput("expected {columns: [...], data: [[...], ...]}", field="dataframe_split")
    if signature.tensors:
        return _rows(value["data"], signature, "dataframe_split")
    names = value.get("columns")
    if names is None:
        return table.from_rows(value["data"], None, signature)
    if type(names) is not list or not all(isinstance(n, str | int) for n in names):
        raise BadInput("expected an array of column names", field="columns")
    if len(set(map(str, names))) < len(names):
        raise BadInput("has a name twice", field="columns")
    return table.from_rows(value["data"], list(map(str, names)), signature)


def _records(value: Any, signature: Signature) -> Batch:
    if type(value) is not list:
        raise BadInput("expected an array of objects", field="dataframe_records")
    if signature.tensors:
        return _rows(value, signature, "dataframe_records")
    return table.from_records(value, signature)


def _instances(value: Any, signature: Signature) -> Batch:
    return _rows(value, signature, "instances")


def _rows(value: Any, signature: Signature, field: str) -> Batch:
    """Read rows, of objects, of arrays, or of plain values; errors name `field`, as sent."""
    if type(value) is not list:
        raise BadInput("expected an array with an item for each row", field=field)
    if value and type(value[0]) is dict:
        return _rows_of_objects(value, signature, field)
    if not signature.columns:
        return tensor.batch_of({_only_tensor(signature): value}, signature, field=field)
    if value and type(value[0]) is not list and len(signature.columns) == 1:
        return table.from_columns({signature.columns[0].name: value}, signature)
    return table.from_rows(value, None, signature)


def _only_tensor(signature: Signature) -> str:
    if len(signature.tensors) > 1:
        names = ", ".join(t.name for t in signature.tensors)
        raise BadInput(f"the model takes the named tensors {names:.2000}: send an object")
    return signature.tensors[0].name if signature.tensors else ""


def _rows_of_objects(value: list[Any], signature: Signature, field: str) -> Batch:
    if not signature.tensors:
        return table.from_records(value, signature)
    named: dict[str, list[Any]] = {}
    for wanted in signature.tensors:
        for index, item in enumerate(value):
            if type(item) is not dict or wanted.name not in item:
                raise BadInput("the tensor is missing", field=wanted.name, row=index)
        named[wanted.name] = [item[wanted.name] for item in value]
    return tensor.batch_of(named, signature, field=field)


def _inputs(value: Any, signature: Signature) -> Batch:
    """Read columns or tensors by name; an array is read as rows."""
    if type(value) is not dict:
        return _rows(value if type(value) is list else [value], signature, "inputs")
    if signature.tensors or (not signature.columns and _nested(value)):
        return tensor.batch_of(value, signature, field="inputs")
    lists = {k: v if type(v) is list else [v] for k, v in value.items()}
    return table.from_columns(lists, signature)


def _nested(value: dict[str, Any]) -> bool:
    return any(type(v) is list and v and type(v[0]) is list for v in value.values())


def _csv(body: bytes, signature: Signature) -> Batch:
    try:
        rows = list(csv.reader(io.StringIO(body.decode("utf-8-sig"), newline=""), strict=True))
    except (UnicodeDecodeError, csv.Error) as exc:
        raise BadInput(f"the body is not CSV in UTF-8: {exc}") from None
    rows = [row for row in rows if row]
    if len(rows) < 2:
        raise BadInput("the CSV needs a line of column names and at least one row")
    names, data = rows[0], rows[1:]
    if len(set(names)) < len(names):
        raise BadInput("has a name twice", field="columns")
    for index, row in enumerate(data):
        if len(row) != len(names):
            raise BadInput(f"has {len(row)} values for {len(names)} columns", row=index)
    kinds = {c.name: c.kind for c in signature.columns}
    columns = dict(zip(names, zip_longest(*data), strict=True))
    named = {n: [_cell(text, kinds.get(n)) for text in v] for n, v in columns.items()}
    if signature.tensors:
        values = [list(row) for row in zip(*named.values(), strict=True)]
        return _rows(values, signature, "csv")
    return table.from_columns(named, signature)


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
