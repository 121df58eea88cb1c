"""Inference parameters, enforced by the signature."""

from datetime import date
from typing import Any, Final

from trainyard_serving.errors import BadInput
from trainyard_serving.kinds import DATETIME, NUMBER, Kind, parsed_moment, typed
from trainyard_serving.signature import Param, Signature

_DATE_CHARACTERS: Final = 10  # 2026-11-24


def checked(raw: Any, signature: Signature) -> dict[str, Any]:
    """Return the parameters for a predict call; the model's own defaults fill the rest.

    Raises:
        BadInput: Not an object, unknown to the model, or of another type.
    """
    if raw is None:
        return {}
    if not isinstance(raw, dict):
        raise BadInput("expected an object of parameters", field="params")
    known = {p.name: p for p in signature.params}
    unknown = next((name for name in raw if name not in known), None)
    if unknown is not None:
        names = ", ".join(known) or "none"
        raise BadInput(f"is not a parameter of this model; it has: {names}", field=unknown)
    return {name: _value(value, known[name]) for name, value in raw.items()}


def _value(value: Any, param: Param) -> Any:
    if param.listed and not isinstance(value, list):
        raise BadInput(f"expected an array of {param.kind.name}", field=param.name)
    if value is None and param.default is None:
        return None
    try:
        values = _native(value if param.listed else [value], param.kind, field=param.name)
    except BadInput as exc:
        # Its place is an item of the parameter, and no row of the input.
        where = f"item {exc.row}: " if param.listed else ""
        raise BadInput(f"{where}{exc.args[0]}", field=param.name) from None
    return values if param.listed else values[0]


def _native(values: list[Any], kind: Kind, *, field: str) -> list[Any]:
    """Return checked values as Python's own, which is what models get from MLflow."""
    checked_values = typed(values, kind, field=field)
    if kind.family == DATETIME:
        return [_moment(text) for text in values]
    # A missing number is None in Python, where a column would have NaN.
    if kind.family == NUMBER:  # a float of Python's has 64 bits, also where the model says float
        return [None if value is None else float(value) for value in values]
    found = zip(values, checked_values.tolist(), strict=True)
    return [None if given is None else value for given, value in found]


def _moment(text: str | None) -> date | None:
    """Return a datetime, or a date where the text has no time of day."""
    if text is None:
        return None
    moment = parsed_moment(text)
    return moment.date() if len(text) <= _DATE_CHARACTERS else moment
