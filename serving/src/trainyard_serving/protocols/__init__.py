"""Wire formats: bytes to batches, predictions to bytes. No sockets, no status codes."""

from typing import Any

import orjson

from trainyard_serving.errors import BadInput


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
