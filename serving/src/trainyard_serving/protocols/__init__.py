"""Wire formats: bytes to batches, predictions to bytes. No sockets, no status codes."""

from typing import Any

import orjson

from trainyard_serving.errors import BadInput
from trainyard_serving.signature import Signature


def cells(body: bytes, signature: Signature) -> int:
    """Return how many cells a body may become at most, with those that it leaves out."""
    rows = 1 + body.count(b",") + body.count(b"\n")
    if signature.columns:
        return rows * (1 + sum(not column.required for column in signature.columns))
    return rows * max(1, body.count(b"{") and body.count(b":") // 2)


def decoded(body: bytes) -> Any:
    """Return a JSON body decoded.

    Raises:
        BadInput: It is not JSON; NaN and Infinity are not JSON, missing values are null.
    """
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as exc:
        hint = "; write null for a missing number" if b"NaN" in body or b"Infinity" in body else ""
        raise BadInput(f"the body is not JSON: {exc}{hint}") from None
