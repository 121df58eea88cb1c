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


def named_arrays(result: Any, names: list[str], *, rows: int) -> dict[str, Array]:
    """Return a result as named arrays; `names` are the signature's, used where they fit.

    Args:
        rows: How many the request has.
    """
    if is_frame(result):
        return {str(name): _array(result[name]) for name in result.columns}
    if isinstance(result, dict):
        return {str(key): _array(value) for key, value in result.items()}
    if _are_outputs(result, names, rows=rows):
        named = _output_names(names, len(result))
        return {name: _array(value) for name, value in zip(named, result, strict=True)}
    array = _array(result)
    if len(names) > 1 and array.ndim == 2 and array.shape[1] == len(names):
        return {name: array[:, i] for i, name in enumerate(names)}
    return {names[0] if len(names) == 1 else "predict": array}


def _are_outputs(result: Any, names: list[str], *, rows: int) -> bool:
    """Say whether it is an array for each output, and not one for each row.

    Where a list has as many arrays as there are rows, and each as many values, it could be either:
    then it is outputs only if the signature has as many. A tuple is never rows.
    """
    if not isinstance(result, list | tuple) or not result:
        return False
    if not all(getattr(each, "shape", ())[:1] == (rows,) for each in result):
        return False
    return isinstance(result, tuple) or len(result) != rows or len(result) == len(names) > 1


def _output_names(names: list[str], count: int) -> list[str]:
    if len(names) == len(set(names)) == count:
        return names
    return ["predict"] if count == 1 else [f"predict_{i}" for i in range(count)]


def _array(value: Any) -> Array:
    dense = value.toarray() if hasattr(value, "toarray") else value
    if isinstance(dense, np.ma.MaskedArray):
        return _unmasked(dense)
    try:
        array = np.asarray(dense)
    except ValueError:  # ragged
        return np.fromiter(dense, dtype=object, count=len(dense))
    if array.dtype.kind in "USO" and not isinstance(dense, np.ndarray | str | bytes):
        return _as_listed(dense, array)
    return array if array.shape else array.reshape(1)


def _as_listed(values: Any, array: Array) -> Array:
    """Undo numpy's own reading of a list: it writes the 1 of ("a", 1) as a text."""
    if isinstance(values, list | tuple) and array.dtype.kind in "US":
        objects = np.array(values, dtype=object)
        if len(set(map(type, objects.flat))) > 1:
            return np.fromiter(values, dtype=object, count=len(values))
    return array if array.shape else array.reshape(1)


def _unmasked(array: Any) -> Array:
    """Return a masked array with null where a value is hidden."""
    objects = np.asarray(array.data).astype(object)
    objects[np.ma.getmaskarray(array)] = None
    return objects if objects.shape else objects.reshape(1)


def jsonable(result: Any) -> Any:
    """Return a result as MLflow writes predictions: data frames become records."""
    if is_frame(result):
        return result.to_dict(orient="records")
    if hasattr(result, "to_frame"):
        return result.to_frame().to_dict(orient="records")
    if hasattr(result, "toarray"):
        return native(result.toarray())
    if isinstance(result, np.ndarray | np.generic):
        return native(np.asanyarray(result))
    if isinstance(result, dict):
        return {key: jsonable(value) for key, value in result.items()}
    return [jsonable(each) for each in result] if isinstance(result, list | tuple) else result


def native(array: Array) -> Any:
    """Return an array as one that orjson writes itself, else as lists; hidden values are null."""
    if isinstance(array, np.ma.MaskedArray):
        return _unmasked(array).tolist() if array.ndim else array.tolist()
    if array.dtype.kind in "fiub" and array.dtype.itemsize <= 8 and array.ndim:
        array = array.astype(array.dtype.newbyteorder("="), copy=False)
        return np.ascontiguousarray(array)
    if array.dtype.kind == "M":
        moments = np.asarray(np.datetime_as_string(array)).astype(object)
        moments[np.isnat(array)] = None
        return moments.tolist()
    # Durations are nanoseconds, as in pandas; numpy's own objects are no JSON.
    return (array.astype("timedelta64[ns]") if array.dtype.kind == "m" else array).tolist()


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
        return native(np.asarray(value))
    if isinstance(value, bytes | bytearray):
        return base64.b64encode(value).decode("ascii")
    if isinstance(value, set | frozenset):
        return list(value)
    if type(value).__name__ in {"NAType", "NaTType"}:
        return None
    if hasattr(value, "isoformat"):
        return value.isoformat()
    if hasattr(value, "model_dump"):  # pydantic's
        return value.model_dump()
    raise TypeError(f"type {type(value).__name__}")
