"""The types a value can have, and checked conversion of JSON values into arrays of them.

Knows MLflow's column types, numpy's and the inference protocol's names for the same things.
Nothing here knows where in a request the values came from, but for the field's name.
"""

import base64
import binascii
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final

import numpy as np

from trainyard_serving.batch import Array
from trainyard_serving.errors import BadInput

Family = str
NUMBER: Final = "number"
INTEGER: Final = "integer"
BOOLEAN: Final = "boolean"
STRING: Final = "string"
BINARY: Final = "binary"
DATETIME: Final = "datetime"
ANY: Final = "any"


@dataclass(frozen=True, slots=True)
class Kind:
    """One type of value: the name users know, the array it becomes, how it is checked.

    Integers and booleans that are `nullable` become arrays of objects, since no dtype of theirs
    has a missing value. `depth` is how many arrays are around the values of an array column.
    """

    name: str
    dtype: "np.dtype[Any]"
    family: Family
    nullable: bool = True
    depth: int = 0

    def optional(self) -> "Kind":
        """Return the kind that takes null as well."""
        return replace(self, nullable=True)


def _kind(name: str, dtype: str, family: Family) -> Kind:
    return Kind(name, np.dtype(dtype), family, family not in {INTEGER, BOOLEAN})


ANYTHING: Final = _kind("any", "object", ANY)
TEXT: Final = _kind("string", "object", STRING)
FLAG: Final = _kind("boolean", "bool", BOOLEAN)
DOUBLE: Final = _kind("double", "float64", NUMBER)
LONG: Final = _kind("long", "int64", INTEGER)
_UNSIGNED: Final = _kind("uint64", "uint64", INTEGER)

MLFLOW_KINDS: Final = {
    "boolean": FLAG,
    "integer": _kind("integer", "int32", INTEGER),
    "long": LONG,
    "float": _kind("float", "float32", NUMBER),
    "double": DOUBLE,
    "string": TEXT,
    "binary": _kind("binary", "object", BINARY),
    "datetime": _kind("datetime", "datetime64[ns]", DATETIME),
}


def kind_of_dtype(name: str) -> Kind:
    """Return the kind of a numpy dtype's name, as tensor signatures write it."""
    dtype = np.dtype(name)
    families = {"f": NUMBER, "i": INTEGER, "u": INTEGER, "b": BOOLEAN, "U": STRING, "M": DATETIME}
    family = families.get(dtype.kind, ANY)
    if family == DATETIME:
        return Kind(name, np.dtype("datetime64[ns]"), family)
    if family in {STRING, ANY}:
        # A tensor of text has no missing value: numpy would write "None" for it.
        return Kind(name, np.dtype("object"), family, nullable=family == ANY)
    return _kind(name, name, family)


def typed(values: list[Any], kind: Kind, *, field: str, stride: int = 1) -> Array:
    """Return `values` as one flat array of `kind`.

    Args:
        values: Decoded JSON values; null is missing where the kind has a value for that.
        kind: What they must be. Numbers are never made from strings or booleans.
        field: What the caller calls them; for messages.
        stride: How many values make a row; for messages.

    Raises:
        BadInput: With the field and the first row that does not fit.
    """
    try:
        return _CONVERT[kind.family](values, kind)
    except _Misfit as misfit:
        raise BadInput(misfit.message, field=field, row=misfit.index // stride) from None


class _Misfit(Exception):  # noqa: N818  # never leaves this module
    def __init__(self, index: int, message: str) -> None:
        super().__init__(message)
        self.index = index
        self.message = message


def _refuse(values: list[Any], allowed: set[type], kind: Kind) -> None:
    """Raise for the first value of a type that is not allowed."""
    if not set(map(type, values)) <= allowed:
        index = next(i for i, value in enumerate(values) if type(value) not in allowed)
        raise _Misfit(index, _expected(kind, values[index]))


def _expected(kind: Kind, value: Any) -> str:
    if value is None:
        return (
            f"null is not possible in a required value of type {kind.name}: it may be missing only"
            " where the model's signature says optional"
        )
    return f"expected {kind.name}, got {_described(value)}"


def _described(value: Any) -> str:
    names = {str: "string", bool: "boolean", list: "array", dict: "object", float: "number"}
    text = "" if isinstance(value, list | dict) else f" {value!r:.40}"
    return f"{names.get(type(value), type(value).__name__)}{text}"


def _numbers(values: list[Any], kind: Kind) -> Array:
    _refuse(values, {int, float, type(None)}, kind)
    try:
        array = np.array(values, dtype=np.float64)
    except OverflowError:
        limit = int(np.finfo(np.float64).max)
        index = next(i for i, v in enumerate(values) if type(v) is int and abs(v) > limit)
        raise _Misfit(index, f"the number does not fit in {kind.name}") from None
    if kind.dtype.itemsize < 8:
        _in_range(array, kind, float(np.finfo(kind.dtype).max))
    return array.astype(kind.dtype, copy=False)


def _in_range(array: Array, kind: Kind, limit: float) -> None:
    beyond = np.abs(array) > limit
    if beyond.any():
        index = int(beyond.argmax())
        raise _Misfit(index, f"{array[index]:g} does not fit in {kind.name}")


def _integers(values: list[Any], kind: Kind) -> Array:
    _refuse(values, {int, float} | _null(kind), kind)
    limits = np.iinfo(kind.dtype)
    whole = [_whole(i, value, kind) for i, value in enumerate(values)]
    known = [value for value in whole if value is not None]
    if known and (min(known) < limits.min or max(known) > limits.max):
        index = next(
            i for i, v in enumerate(whole) if v is not None and not limits.min <= v <= limits.max
        )
        raise _Misfit(index, f"{values[index]} does not fit in {kind.name}")
    return _objects(whole, kind) if kind.nullable else np.array(whole, dtype=kind.dtype)


def _null(kind: Kind) -> set[type]:
    return {type(None)} if kind.nullable else set()


def _whole(index: int, value: float | None, kind: Kind) -> int | None:
    if value is None or type(value) is int:
        return value
    # JSON writers of languages without integers send 3 as 3.0.
    if float(value).is_integer():
        return int(value)
    raise _Misfit(index, _expected(kind, value))


def _booleans(values: list[Any], kind: Kind) -> Array:
    _refuse(values, {bool} | _null(kind), kind)
    return _objects(values, kind) if kind.nullable else np.array(values, dtype=np.bool_)


def _objects(values: list[Any], _kind: Kind) -> Array:
    # Not by assignment to a slice: cells that are arrays would become a dimension.
    return np.fromiter(values, dtype=object, count=len(values))


def _strings(values: list[Any], kind: Kind) -> Array:
    _refuse(values, {str} | _null(kind), kind)
    return _objects(values, kind)


def _binaries(values: list[Any], kind: Kind) -> Array:
    _refuse(values, {str, type(None)}, kind)
    return _objects([_decoded(i, value) for i, value in enumerate(values)], kind)


def _decoded(index: int, value: str | None) -> bytes | None:
    if value is None:
        return None
    try:
        # Encoders break lines, as Python's own encodebytes does.
        return base64.b64decode("".join(value.split()), validate=True)
    except (binascii.Error, ValueError):
        raise _Misfit(index, "expected binary as base64") from None


def _datetimes(values: list[Any], kind: Kind) -> Array:
    _refuse(values, {str, type(None)}, kind)
    moments = [_moment(i, value) for i, value in enumerate(values)]
    return np.array(moments, dtype="datetime64[ns]").astype(kind.dtype, copy=False)


def _moment(index: int, value: str | None) -> np.datetime64:
    """Parse ISO 8601; a time with an offset becomes the same moment in UTC."""
    if value is None:
        return np.datetime64("NaT")
    try:
        moment = parsed_moment(value)
    except (ValueError, OverflowError):
        raise _Misfit(index, f"expected datetime in ISO 8601, got {value!r:.40}") from None
    digits = (found := _FRACTION.search(value)) and found.group(1)
    if digits and len(digits.rstrip("0")) > _NANOSECOND_DIGITS:
        raise _Misfit(index, f"{value!r:.60} is finer than a nanosecond")
    if not 1678 <= moment.year <= 2261:
        raise _Misfit(index, f"{value!r} does not fit in a datetime of nanoseconds")
    # Python's datetime ends at microseconds.
    rest = int((digits or "")[6:_NANOSECOND_DIGITS].ljust(3, "0"))
    return np.datetime64(moment, "ns") + np.timedelta64(rest, "ns")


def parsed_moment(value: str) -> datetime:
    """Return ISO 8601 as a datetime without a zone, in UTC if it named one.

    Raises:
        ValueError, OverflowError: It is no such text, or before or after all time.
    """
    moment = datetime.fromisoformat(value)
    return moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment


_FRACTION: Final = re.compile(r":\d\d[.,](\d+)")
_NANOSECOND_DIGITS: Final = 9

_CONVERT: Final[dict[Family, Callable[[list[Any], Kind], Array]]] = {
    NUMBER: _numbers,
    INTEGER: _integers,
    BOOLEAN: _booleans,
    STRING: _strings,
    BINARY: _binaries,
    DATETIME: _datetimes,
    ANY: _objects,
}


def guessed(values: list[Any]) -> Kind:
    """Return the kind that holds all values, when no signature says which."""
    types = set(map(type, values)) - {type(None)}
    if types == {bool} and None not in values:
        return FLAG
    if types == {str}:
        return TEXT
    if types == {int} and None not in values:
        return _integer(min(values), max(values))
    return DOUBLE if types and types <= {int, float} else ANYTHING


def _integer(least: int, most: int) -> Kind:
    """Return the integers that hold both; as objects they stay exact where none of 64 bits do."""
    if least >= -(2**63) and most < 2**63:
        return LONG
    return _UNSIGNED if least >= 0 and most < 2**64 else ANYTHING
