"""What a container of ours said of its end: one JSON object in its termination message. Pure."""

import json
from collections.abc import Mapping
from typing import Any


def reported(ended: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what a `terminated` state reports; nothing if its message is a program's words."""
    try:
        told = json.loads(str(ended.get("message") or ""))
    except ValueError:
        return {}
    return told if isinstance(told, dict) else {}
