"""Inference parameters, enforced by the signature."""

from typing import Any

from trainyard_serving.errors import BadInput
from trainyard_serving.kinds import typed
from trainyard_serving.signature import Param, Signature


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
    if param.listed:
        if not isinstance(value, list):
            raise BadInput(f"expected an array of {param.kind.name}", field=param.name)
        return typed(value, param.kind, field=param.name).tolist()
    if value is None and param.default is None:
        return None
    return typed([value], param.kind, field=param.name)[0]
