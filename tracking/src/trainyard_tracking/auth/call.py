"""One request as the rules see it: what was asked, and what to change before MLflow sees it.

Pure: reading the wire and writing it again is in wire.py.
"""

import json
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlencode

from trainyard_tracking.errors import Refused

Body = dict[str, Any]


@dataclass(slots=True)
class Call:
    """A request to a known route.

    Attributes:
        arguments: What the placeholders of the route's template stand for, in order.
        query: Decoded query parameters; a rule may change them.
        body: The JSON object of the request, if the rule asked for it; a rule may change it.
        headers: Headers to set in place of the caller's.
        is_in_namespace: Whether it is about what is in the namespace, not about the service.
        narrowed: Whether a search may find only what is of the Run that asks.
    """

    method: str
    path: str
    namespace: str
    arguments: tuple[str, ...] = ()
    query: list[tuple[str, str]] = field(default_factory=list)
    body: Body | None = None
    headers: dict[str, str] = field(default_factory=dict)
    raw: bytes = b""
    is_in_namespace: bool = True
    narrowed: bool = False

    def values(self, *names: str) -> list[str]:
        """Collect what the named fields hold, in query and body, without empty ones."""
        found = [value for key, value in self.query if key in names]
        for name in names:
            value = (self.body or {}).get(name)
            found += value if isinstance(value, list) else [value] if value else []
        return [str(value) for value in found if value]

    def force(self, name: str, value: Any) -> None:
        """Set a field wherever this method's handler will read it from."""
        if self.body is not None:
            self.body[name] = value
            return
        self.query = [(key, old) for key, old in self.query if key != name]
        self.query += [(name, one) for one in (value if isinstance(value, list) else [value])]

    @property
    def query_string(self) -> bytes:
        return urlencode(self.query).encode()


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer that a rule gives in MLflow's place."""

    content: Body


def read_query(raw: bytes) -> list[tuple[str, str]]:
    """Decode a query string; blank values count."""
    return parse_qsl(raw.decode("latin-1"), keep_blank_values=True)


def read_body(raw: bytes) -> Body:
    """Decode a JSON object, its field names as MLflow's messages spell them.

    MLflow takes `runId` for `run_id`; a rule that looks for one must not miss the other.

    Raises:
        Refused: the body is not one JSON object, or says the same field twice.
    """
    if not raw.strip():
        return {}
    try:
        found = json.loads(raw)
    except ValueError as exc:
        raise Refused(f"The body is not JSON: {exc}") from exc
    except RecursionError as exc:
        raise Refused("The body is JSON nested too deep") from exc
    if not isinstance(found, dict):
        raise Refused("The body must be a JSON object")
    return with_snake_keys(found)


def with_snake_keys(body: Body) -> Body:
    """Spell the keys of one object as `run_id`, not `runId`.

    Raises:
        Refused: both spellings are there.
    """
    spelled = {snake(key): value for key, value in body.items()}
    if len(spelled) != len(body):
        raise Refused("The body names a field in two spellings; keep one")
    return spelled


def snake(name: str) -> str:
    """Turn `experimentId` into `experiment_id`."""
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)
