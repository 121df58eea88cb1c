"""The Open Inference Protocol, version 2, over JSON (github.com/kserve/open-inference-protocol)."""

from dataclasses import dataclass, replace
from math import prod
from typing import Any, Final

from trainyard_serving import outputs, params, table, tensor
from trainyard_serving.batch import Array, Batch
from trainyard_serving.errors import BadInput
from trainyard_serving.kinds import TEXT, Kind, kind_of_dtype, typed
from trainyard_serving.protocols import decoded
from trainyard_serving.signature import Column, Signature, Tensor

_DTYPES: Final = {
    "BOOL": "bool",
    **{f"INT{bits}": f"int{bits}" for bits in (8, 16, 32, 64)},
    **{f"UINT{bits}": f"uint{bits}" for bits in (8, 16, 32, 64)},
    **{f"FP{bits}": f"float{bits}" for bits in (16, 32, 64)},
}
_OF_OTHER_SERVERS: Final = frozenset(
    {"binary_data_output", "content_type", "headers", "priority", "timeout"}
    | {"sequence_id", "sequence_start", "sequence_end", "triton_enable_empty_final_response"}
)
MAX_VALUES: Final = 1 << 31
_KINDS: Final = {name: kind_of_dtype(dtype) for name, dtype in _DTYPES.items()} | {"BYTES": TEXT}
_DATATYPES: Final = {dtype: name for name, dtype in _DTYPES.items()}


@dataclass(frozen=True, slots=True)
class Asked:
    """A request for inference: the rows, and what the response repeats or selects."""

    batch: Batch
    id: str | None
    outputs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Input:
    name: str
    shape: tuple[int, ...]
    kind: Kind
    values: list[Any]


def read(body: bytes, signature: Signature) -> Asked:
    """Return the request in a body.

    Raises:
        BadInput: It is no inference request, or does not fit the signature.
    """
    document = decoded(body)
    if type(document) is not dict:
        raise BadInput("expected an object with the array 'inputs'")
    raw = document.get("inputs")
    if type(raw) is not list or not raw:
        raise BadInput("expected a non-empty array of tensors", field="inputs")
    inputs = [_input(i, item) for i, item in enumerate(raw)]
    if len({i.name for i in inputs}) < len(inputs):
        raise BadInput("has two tensors of one name", field="inputs")
    request_id = document.get("id")
    if request_id is not None and type(request_id) is not str:
        raise BadInput("expected a string", field="id")
    batch = _batch(inputs, signature)
    extra = _params(document.get("parameters"), signature)
    batch = Batch(batch.arrays, batch.rows, batch.tabular, extra) if extra else batch
    return Asked(batch, request_id, _wanted(document.get("outputs")))


def _params(raw: Any, signature: Signature) -> dict[str, Any]:
    """Take the model's parameters, past those that clients add by themselves for other servers.

    The protocol would let unknown ones pass, and a slip of the keyboard with them.
    """
    if raw is not None and not isinstance(raw, dict):
        raise BadInput("expected an object", field="parameters")
    known = {p.name for p in signature.params}
    meant = {k: v for k, v in (raw or {}).items() if k in known or k not in _OF_OTHER_SERVERS}
    return params.checked(meant, signature)


def _wanted(raw: Any) -> tuple[str, ...]:
    if raw is None:
        return ()
    if type(raw) is not list:
        raise BadInput("expected an array of {name}", field="outputs")
    for item in raw:
        if type(item) is not dict or type(item.get("name")) is not str:
            raise BadInput("expected an array of {name}", field="outputs")
    return tuple(item["name"] for item in raw)


def _input(index: int, item: Any) -> _Input:
    if type(item) is not dict:
        raise BadInput("expected an object", field=f"inputs[{index}]")
    name, shape, datatype = item.get("name"), item.get("shape"), item.get("datatype")
    if type(name) is not str or not name:
        raise BadInput("expected a name", field=f"inputs[{index}].name")
    if type(datatype) is not str or datatype not in _KINDS:
        raise BadInput(f"datatype must be one of {', '.join(_KINDS)}", field=name)
    if type(shape) is not list or not all(type(n) is int and n >= 0 for n in shape):
        raise BadInput("shape must be an array of sizes", field=name)
    if len(shape) > tensor.MAX_DIMENSIONS:
        raise BadInput(f"shape has more than {tensor.MAX_DIMENSIONS} dimensions", field=name)
    if prod(n for n in shape if n) > MAX_VALUES:
        raise BadInput("shape is larger than any body", field=name)
    if "data" not in item:
        binary = "binary_data_size" in str(item.get("parameters"))
        hint = ": the binary extension is not read here" if binary else ""
        raise BadInput(f"data is missing{hint}", field=name)
    return _Input(name, tuple(shape), _KINDS[datatype], _values(item["data"], shape, name))


def _values(data: Any, shape: list[int], name: str) -> list[Any]:
    """Return the values in row-major order; nested arrays must agree with the shape."""
    if type(data) is not list:
        raise BadInput("data must be an array", field=name)
    found, values = tensor.flattened(data, field=name)
    count = prod(shape)
    if len(values) != count:
        raise BadInput(f"data has {len(values)} values, shape {shape} needs {count}", field=name)
    if len(found) > 1 and found != tuple(shape):
        raise BadInput(f"data has shape {list(found)}, not {shape}", field=name)
    return values


def _batch(inputs: list[_Input], signature: Signature) -> Batch:
    if signature.hinted:
        return _items(inputs)
    if signature.tensors:
        return _tensors(inputs, signature)
    if signature.columns:
        return _columns(inputs, signature)
    arrays = {i.name: _typed(i, i.kind) for i in inputs}
    if len(arrays) == 1:
        return tensor.of_arrays({"": next(iter(arrays.values()))}, row_wise=True)
    batch = tensor.of_arrays(arrays, row_wise=True)
    flat = all(len(i.shape) == 1 or i.shape[1:] == (1,) for i in inputs)
    return Batch({n: a.ravel() for n, a in arrays.items()}, batch.rows) if flat else batch


def _items(inputs: list[_Input]) -> Batch:
    """Read rows that the model checks: values of the only tensor, or objects of several."""
    arrays = {i.name: _typed(i, i.kind).tolist() for i in inputs if i.shape}
    if len(arrays) < len(inputs) or len(set(map(len, arrays.values()))) > 1:
        raise BadInput("the tensors must have as many rows as each other", field="inputs")
    if len(arrays) == 1:
        return tensor.of_items(next(iter(arrays.values())))
    rows = zip(*arrays.values(), strict=True)
    return tensor.of_items([dict(zip(arrays, row, strict=True)) for row in rows])


def _typed(item: _Input, kind: Kind) -> Array:
    """Return the values checked as what the request says they are, then as what they must be."""
    stride = max(prod(item.shape[1:]), 1)
    array = typed(item.values, item.kind, field=item.name, stride=stride)
    if item.kind.dtype != kind.dtype or item.kind.family != kind.family:
        array = typed(item.values, kind, field=item.name, stride=stride)
    return array.reshape(item.shape)


def _check(item: _Input) -> None:
    """Check a column's values as what the request says they are; null is the column's to judge."""
    stride = max(prod(item.shape[1:]), 1)
    typed(item.values, item.kind.optional(), field=item.name, stride=stride)


def _tensors(inputs: list[_Input], signature: Signature) -> Batch:
    """Match tensors by name; a single one fits whatever it is called."""
    named = {i.name: i for i in inputs}
    if len(inputs) == len(signature.tensors) == 1:
        named = {signature.tensors[0].name: inputs[0]}
    arrays = {}
    for wanted in signature.tensors:
        item = named.get(wanted.name)
        if item is None:
            names = ", ".join(t.name for t in signature.tensors)
            raise BadInput(
                f"the tensor is missing; the model needs {names:.2000}", field=wanted.name
            )
        tensor.check_shape(item.shape, wanted, field=item.name)
        arrays[wanted.name] = _typed(item, wanted.kind)
    return tensor.of_arrays(arrays, row_wise=signature.row_wise)


def _columns(inputs: list[_Input], signature: Signature) -> Batch:
    """Match columns by name; one matrix as wide as the signature is all columns in order."""
    names = [c.name for c in signature.columns]
    first = inputs[0]
    if len(inputs) == 1 and first.name not in names and len(first.shape) == 2:
        return _matrix(first, signature)
    if not signature.named and len(inputs) == len(names):
        inputs = [replace(i, name=n) for i, n in zip(inputs, names, strict=True)]
    columns = {}
    for item in (i for i in inputs if i.name in names):
        if len(item.shape) != 1 and item.shape[1:] != (1,):
            raise BadInput(f"has shape {list(item.shape)}, a column needs [rows]", field=item.name)
        _check(item)
        columns[item.name] = item.values
    return table.from_columns(columns, signature)


def _matrix(item: _Input, signature: Signature) -> Batch:
    width = len(signature.columns)
    if item.shape[1] != width:
        names = ", ".join(c.name for c in signature.columns)
        raise BadInput(
            f"has {item.shape[1]} columns, the model needs {names:.2000}", field=item.name
        )
    _check(item)
    return table.from_columns(
        {c.name: item.values[i::width] for i, c in enumerate(signature.columns)}, signature
    )


def write(asked: Asked, prediction: Any, *, model: str, version: str, names: list[str]) -> bytes:
    """Return the response body; `names` are the signature's outputs.

    Raises:
        BadInput: The request selects an output that the model does not have.
    """
    arrays = outputs.named_arrays(prediction, names, rows=asked.batch.rows)
    unknown = next((name for name in asked.outputs if name not in arrays), None)
    if unknown is not None:
        raise BadInput(f"is not an output; the model has {', '.join(arrays)}", field=unknown)
    document: dict[str, Any] = {"model_name": model, "model_version": version}
    if asked.id is not None:
        document["id"] = asked.id
    selected = asked.outputs or tuple(arrays)
    document["outputs"] = [_output(name, arrays[name]) for name in selected]
    return outputs.encoded(document)


def _output(name: str, array: Array) -> dict[str, Any]:
    datatype = _DATATYPES.get(array.dtype.name, "BYTES")
    flat = outputs.native(array.ravel())
    if datatype == "BYTES":
        datatype, flat = _objects(flat)
    return {"name": name, "shape": list(array.shape), "datatype": datatype, "data": flat}


def _objects(values: list[Any]) -> tuple[str, list[Any]]:
    """Name what Python objects are; what the protocol has no type for is JSON in a text."""
    values = [None if type(v).__name__ in {"NAType", "NaTType"} else v for v in values]
    types = {type(v) for v in values} - {type(None)}
    if types and types <= {int, float}:
        exact = types == {int} and min(v for v in values if v is not None) >= -(2**63)
        fits = exact and max(v for v in values if v is not None) < 2**63
        return "INT64" if fits else "FP64", values
    if types == {bool}:
        return "BOOL", values
    if types == {str}:
        return "BYTES", values
    return "BYTES", [_text(value) for value in values]


def _text(value: Any) -> str | None:
    if value is None or type(value) is str:
        return value
    document = outputs.encoded(outputs.jsonable(value))
    # Times and bytes are texts in JSON already; other things stay JSON.
    read = decoded(document)
    return read if type(read) is str or read is None else document.decode()


def described(signature: Signature) -> dict[str, Any]:
    """Return the inputs and outputs of the model's metadata."""
    return {
        "inputs": [*map(_tensor, signature.columns), *map(_tensor, signature.tensors)],
        "outputs": [_tensor(each, default="predict") for each in signature.outputs],
    }


def _tensor(each: Column | Tensor, *, default: str = "input") -> dict[str, Any]:
    shape = list(each.shape) if isinstance(each, Tensor) else [-1]
    unnamed = default == "predict" and each.name == "0"
    return {
        "name": default if unnamed or not each.name else each.name,
        "datatype": _DATATYPES.get(each.kind.dtype.name, "BYTES"),
        "shape": shape,
    }


def output_names(signature: Signature) -> list[str]:
    """Return the names that predictions get in responses."""
    return [str(_tensor(each, default="predict")["name"]) for each in signature.outputs]
