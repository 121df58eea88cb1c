"""What models return: cut into rows, named, and made fit for JSON.

Duck-typed on purpose: pandas and SciPy are only imported by models that use them.
"""

import base64
from typing import Any

import numpy as np
import orjson

from trainyard_serving.batch import Array
from trainyard_serving.errors import BadOutput

_OPTIONS = orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NON_STR_KEYS


def is_frame(result: Any) -> bool:
    """Say whether it is a pandas DataFrame."""
    return hasattr(result, "iloc") and hasattr(result, "columns")


def named_arrays(result: Any, names: list[str]) -> dict[str, Array]:
    """Return a result as named arrays; `names` are the signature's, used where they fit."""
    if is_frame(result):
        return {str(name): _array(result[name]) for name in result.columns}
    if isinstance(result, dict):
        return {str(key): _array(value) for key, value in result.items()}
    array = _array(result)
    if len(names) > 1 and array.ndim == 2 and array.shape[1] == len(names):
        return {name: array[:, i] for i, name in enumerate(names)}
    return {names[0] if len(names) == 1 else "predict": array}


def _array(value: Any) -> Array:
    dense = value.toarray() if hasattr(value, "toarray") else value
    try:
        array = np.asarray(dense)
    except ValueError:  # ragged
        array = np.empty(len(dense), dtype=object)
        array[:] = dense
    return array if array.shape else array.reshape(1)


def jsonable(result: Any) -> Any:
    """Return a result as MLflow writes predictions: data frames become records."""
    if is_frame(result):
        return result.to_dict(orient="records")
    if hasattr(result, "to_frame"):
        return result.to_frame().to_dict(orient="records")
    if hasattr(result, "toarray"):
        return native(result.toarray())
    if isinstance(result, np.ndarray):
        return native(result)
    if isinstance(result, dict):
        return {key: jsonable(value) for key, value in result.items()}
    return [jsonable(each) for each in result] if isinstance(result, list | tuple) else result


def native(array: Array) -> Any:
    """Return an array as one that orjson writes itself, else as lists."""
    if array.dtype.kind in "fiub" and array.dtype.itemsize <= 8 and array.ndim:
        array = array.astype(array.dtype.newbyteorder("="), copy=False)
        return np.ascontiguousarray(array)
    return np.datetime_as_string(array).tolist() if array.dtype.kind == "M" else array.tolist()


def encoded(document: Any) -> bytes:
    """Return a document as JSON; NaN and infinities are null, bytes are base64.

    Raises:
        BadOutput: It holds a value that JSON has no form for.
    """
    try:
        return orjson.dumps(document, default=_plain, option=_OPTIONS)
    except (TypeError, ValueError) as exc:
        raise BadOutput(f"the model returned a value that JSON can't hold: {exc}") from exc


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    if isinstance(value, bytes | bytearray):
        return base64.b64encode(value).decode("ascii")
    if isinstance(value, set | frozenset):
        return list(value)
    if type(value).__name__ in {"NAType", "NaTType"}:
        return None
    if hasattr(value, "isoformat"):
        return value.isoformat()
    raise TypeError(f"type {type(value).__name__}")
