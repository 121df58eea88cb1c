"""Wire formats: bytes to batches, predictions to bytes. No sockets, no status codes."""

from typing import Any, Final

import orjson

from trainyard_serving.errors import BadInput
from trainyard_serving.signature import Signature


def cells(body: bytes, signature: Signature) -> int:
    """Return how many cells a body may become at most, with those that it leaves out."""
    rows = 1 + body.count(b",") + body.count(b"\n")
    if signature.columns:
        return rows * (1 + sum(not column.required for column in signature.columns))
    return rows * max(1, body.count(b"{") and body.count(b":") // 2)


LARGE_BYTES: Final = 512 << 20
FEWER: Final = "its values would take too much memory, send fewer rows at a time"
_VALUE_BYTES: Final = 32  # an object, its place in a list, and its place in an array
_LIST_BYTES: Final = 64
_DICT_BYTES: Final = 200


def most_bytes(body: bytes) -> int:
    """Return how much memory the values of a body may take: sixteen times its own length."""
    return max(LARGE_BYTES, 16 * len(body))


def _affordable(body: bytes) -> None:
    """Raise BadInput for a large body of next to nothing but brackets and digits.

    Counted are all that stand in it, those in texts too, which takes less than reading it.
    """
    if len(body) <= LARGE_BYTES // _DICT_BYTES:
        return
    counts = ((b",", _VALUE_BYTES), (b"[", _LIST_BYTES), (b"{", _DICT_BYTES))
    if sum(body.count(sign) * size for sign, size in counts) > most_bytes(body):
        raise BadInput(f"the body has too many values for its length: {FEWER}")


def decoded(body: bytes) -> Any:
    """Return a JSON body decoded.

    Raises:
        BadInput: It is not JSON; NaN and Infinity are not JSON, missing values are null. Or its
            values would take many times its own memory.
    """
    _affordable(body)
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as exc:
        hint = "; write null for a missing number" if b"NaN" in body or b"Infinity" in body else ""
        raise BadInput(f"the body is not JSON: {exc}{hint}") from None
