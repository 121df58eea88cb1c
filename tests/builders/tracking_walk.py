"""The routes of the service, and requests to MLflow's that are right but for one thing.

The fields of a route are those of its protobuf message, which MLflow's server knows; routes that
have none get names that such routes read. The same calls each time, in the same order.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from google.protobuf.descriptor import Descriptor, FieldDescriptor

Path = tuple[str | int, ...]
ODD: tuple[Any, ...] = (
    None,
    "",
    " ",
    "a/b",
    "日本\0é",
    "\ud800",
    "x" * 255,
    True,
    -1,
    1 << 63,
    1 << 70,
    1e308,
    "NaN",
    [],
    [None],
    {},
    {"a": {"b": [1]}},
)
_NUMBERS = {
    FieldDescriptor.CPPTYPE_INT32: 1,
    FieldDescriptor.CPPTYPE_INT64: 1,
    FieldDescriptor.CPPTYPE_UINT32: 1,
    FieldDescriptor.CPPTYPE_UINT64: 1,
    FieldDescriptor.CPPTYPE_DOUBLE: 1.0,
    FieldDescriptor.CPPTYPE_FLOAT: 1.0,
    FieldDescriptor.CPPTYPE_BOOL: True,
}
_DEEPEST = 4
_PAGES = ("/", "/static-files/<path:path>")
_WELL_KNOWN = {
    "Value": 1,
    "Timestamp": "2026-11-27T00:00:00Z",
    "Duration": "1s",
    "FieldMask": "rationale",
}


@dataclass(frozen=True)
class Sent:
    """One request, and what is odd about it."""

    method: str
    template: str
    path: str
    query: tuple[tuple[str, str], ...] = ()
    body: str | None = None
    odd: str = "nothing"

    def by(self, client, headers):
        """Send it as the one whom the headers name; return the answer."""
        return client.request(
            self.method,
            self.path,
            params=list(self.query) or None,
            content=self.body,
            headers={**headers, "Content-Type": "application/json"},
        )


@dataclass
class Walk:
    """Makes the requests.

    Attributes:
        known: By the name of a field, what is there and can be asked for.
    """

    known: dict[str, Any]
    odd: tuple[Any, ...] = ODD
    messages: dict[tuple[str, str], Descriptor] = field(default_factory=dict)

    def __post_init__(self) -> None:
        from mlflow.server.handlers import (  # noqa: PLC0415  # reads its environment
            MlflowArtifactsService,
            MlflowService,
            ModelRegistryService,
            get_service_endpoints,
        )

        for service in (MlflowService, ModelRegistryService, MlflowArtifactsService):
            for path, kind, methods in get_service_endpoints(service, lambda one: one):
                for method in methods:
                    self.messages[method, path] = kind.DESCRIPTOR

    def requests(self, method: str, path: str) -> Iterator[Sent]:
        """Give the requests to one route: one for each odd thing, and a right one last."""
        message = self.messages.get((method, path))
        right = self._message(message, 0) if message else dict(self.known)
        changes = self._changes(right) if message else self._whole_changes(right)
        for changed, odd in changes:
            yield self._sent(method, path, changed, odd)
        for name in right:
            less = {key: value for key, value in right.items() if key != name}
            yield self._sent(method, path, less, f"no {name}")
        yield from self._off_fields(method, path, right)
        # The last, as it may delete what it names.
        yield self._sent(method, path, right, "nothing")

    def _changes(self, right: Any) -> Iterator[tuple[Any, str]]:
        for odd in self.odd:
            for place in list(_places(right)):
                yield _changed(right, place, odd), f"{_dotted(place)} = {odd!r:.40}"

    def _whole_changes(self, right: Any) -> Iterator[tuple[Any, str]]:
        for odd in self.odd:
            yield dict.fromkeys(right, odd), f"everything = {odd!r:.40}"

    def _off_fields(self, method: str, path: str, right: Any) -> Iterator[Sent]:
        for text in ("日本", "%00", "-1", "x" * 255, "9" * 30):
            if filled(path, self.known) != filled(path, {}, text):
                yield self._sent(method, path, right, f"{text:.20} in the path", text)
        if method not in {"GET", "HEAD"}:
            for raw in ("", "[]", "7", "null", "no JSON", '"text"'):
                yield Sent(method, path, filled(path, self.known), (), raw, f"body {raw}")

    def _sent(self, method: str, path: str, fields: Any, odd: str, text: str = "") -> Sent:
        where = filled(path, {} if text else self.known, text)
        if method in {"GET", "HEAD"}:
            return Sent(method, path, where, tuple(_query(fields)), None, odd)
        return Sent(method, path, where, (), json.dumps(fields), odd)

    def _message(self, message: Descriptor, depth: int) -> Any:
        if message.full_name.startswith("google.protobuf."):
            return _WELL_KNOWN.get(message.name, {})
        if depth >= _DEEPEST:
            return {}
        taken: set[str] = set()
        made = {}
        for one in message.fields:
            oneof = one.containing_oneof.name if one.containing_oneof else ""
            if oneof in taken and oneof:
                continue
            taken.add(oneof)
            value = self._value(one, depth)
            if value is not None:
                made[one.name] = value
        return made

    def _value(self, one: FieldDescriptor, depth: int) -> Any:
        value = self.known.get(one.name)
        fits = dict if one.message_type else str if one.cpp_type == one.CPPTYPE_STRING else int
        if one.is_repeated and isinstance(value, list):
            return value
        if isinstance(value, fits):
            return [value] if one.is_repeated else value
        if one.message_type is not None and one.message_type.GetOptions().map_entry:
            return {"k": "v"}
        value = self._single(one, depth)
        return [value] if one.is_repeated else value

    def _single(self, one: FieldDescriptor, depth: int) -> Any:
        if one.message_type is not None:
            return self._message(one.message_type, depth + 1)
        if one.enum_type is not None:
            names = [value.name for value in one.enum_type.values]
            return names[-1] if "UNSPECIFIED" in names[0] else names[0]
        return _NUMBERS.get(one.cpp_type, one.name)


def routes(world: Any) -> Iterator[tuple[str, str]]:
    """Give all routes of MLflow's, of both its frameworks."""
    from mlflow.server import app as flask_app  # noqa: PLC0415  # reads its environment

    for included in world.service.mlflow.router.routes:
        for route in getattr(included, "effective_route_contexts", list)():
            path = getattr(route, "path", None) or route.starlette_route.path
            yield from ((method, path) for method in route.methods)
    for rule in flask_app.url_map.iter_rules():
        yield from ((method, rule.rule) for method in rule.methods - {"OPTIONS"})


def once(world: Any) -> list[tuple[str, str]]:
    """Give them without pages and the UI's spelling of the same, those that delete at the end."""
    every = set(routes(world))
    both = {(m, p) for m, p in every if p.startswith("/ajax-api/")} & {
        (m, p.replace("/api/", "/ajax-api/", 1)) for m, p in every
    }
    wanted = [(m, p) for m, p in every - both if m not in {"HEAD", "OPTIONS"} and p not in _PAGES]
    return sorted(wanted, key=lambda one: ("delete" in f"{one}".lower(), one))


def private_routes(world: Any) -> Iterator[tuple[str, str]]:
    """Give all routes of ours."""
    from trainyard_tracking.api.app import _routes  # noqa: PLC0415  # after the environment

    methods = ("GET", "HEAD", "PUT", "POST", "PATCH")
    for route in _routes():
        # An endpoint that is a class answers the methods that it defines.
        defined = {m for m in methods if hasattr(route.endpoint, m.lower())}
        yield from ((method, route.path) for method in route.methods or defined)


def filled(template: str, known: dict[str, Any], otherwise: str = "7") -> str:
    """Fill the placeholders of a route."""

    def value(found: re.Match[str]) -> str:
        name = found[1].split(":")[-1]
        return quote(str(known.get(name, otherwise)), safe="")

    return re.sub(r"<([^>]*)>", value, re.sub(r"\{(\w+)[^}]*\}", r"<\1>", template))


def _places(found: Any, at: Path = ()) -> Iterator[Path]:
    items = found.items() if isinstance(found, dict) else enumerate(found)
    for key, value in items:
        yield (*at, key)
        if isinstance(value, dict | list):
            yield from _places(value, (*at, key))


def _changed(found: Any, place: Path, value: Any) -> Any:
    if not place:
        return value
    copied = found.copy()
    copied[place[0]] = _changed(found[place[0]], place[1:], value)
    return copied


def _dotted(place: Path) -> str:
    return ".".join(str(one) for one in place)


def _query(fields: Any) -> Iterator[tuple[str, str]]:
    for name, value in fields.items() if isinstance(fields, dict) else ():
        for one in value if isinstance(value, list) else [value]:
            text = one if isinstance(one, str) else json.dumps(one)
            yield name, text.encode(errors="replace").decode()
