"""The termination message: how a container of the agent tells the operator what came of it.

One JSON object, at most 4 KiB, because that is what the kubelet keeps of it.
"""

import json
import os
from pathlib import Path
from typing import Any

LIMIT = 4096
PATH_VARIABLE = "TRAINYARD_TERMINATION_LOG"
DEFAULT_PATH = "/dev/termination-log"


def report(message: dict[str, Any]) -> None:
    """Write the message where the kubelet reads it; outside a pod, do nothing."""
    path = Path(os.environ.get(PATH_VARIABLE, DEFAULT_PATH))
    if not path.exists():
        return
    path.write_bytes(encode(message))


def encode(message: dict[str, Any]) -> bytes:
    """Encode the message in 4 KiB, giving up details rather than validity.

    A signature that does not fit is replaced by where it can be read, then requirements
    are cut, then texts. `truncated` lists what was given up.
    """
    small = dict(message)
    for shorten in (_signature_link, _fewer_requirements, _shorter_text):
        encoded = _dump(small)
        if len(encoded) <= LIMIT:
            return encoded
        small = shorten(small)
    return _dump(small)


def _dump(message: dict[str, Any]) -> bytes:
    return json.dumps(message, sort_keys=True, separators=(",", ":")).encode()


def _given_up(message: dict[str, Any], key: str) -> dict[str, Any]:
    return {**message, "truncated": [*message.get("truncated", []), key]}


def _signature_link(message: dict[str, Any]) -> dict[str, Any]:
    if "signature" not in message or "digest" not in message:
        return message
    return _given_up({**message, "signature": {"manifest": message["digest"]}}, "signature")


def _fewer_requirements(message: dict[str, Any]) -> dict[str, Any]:
    lines = message.get("requirements")
    if not lines:
        return message
    kept: list[str] = []
    used = len(_dump({**message, "requirements": []})) + len(',"truncated":["requirements"]')
    for line in lines:
        used += len(json.dumps(line)) + 1
        if used > LIMIT:
            break
        kept.append(line)
    return _given_up({**message, "requirements": kept}, "requirements")


def _shorter_text(message: dict[str, Any]) -> dict[str, Any]:
    # Escapes take up to twelve bytes a character.
    return {k: v[:300] if isinstance(v, str) else v for k, v in message.items()}
