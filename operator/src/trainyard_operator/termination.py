"""What a container of ours said of its end: one JSON object in its termination message. Pure."""

import json
from collections.abc import Mapping
from typing import Any


def reported(ended: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what a `terminated` state reports; nothing if its message is a program's words."""
    try:
        told = _written(json.loads(str(ended.get("message") or "")))
    except (ValueError, RecursionError):  # no JSON, or nested without end
        return {}
    return told if isinstance(told, dict) else {}


def _written(told: Any) -> Any:
    """Return it with text that can be written on: JSON may name halves of characters.

    Names of files that are no UTF-8 have them, and a status with one could never be written.
    """
    if isinstance(told, str):
        return told.encode(errors="replace").decode()
    if isinstance(told, list):
        return [_written(each) for each in told]
    if isinstance(told, dict):
        return {_written(key): _written(value) for key, value in told.items()}
    return told
