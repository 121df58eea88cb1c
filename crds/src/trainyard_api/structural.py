"""From the JSON Schema that pydantic emits to the structural OpenAPI 3.0 that Kubernetes wants.

Pure. It refuses what has no structural form rather than guess.
"""

import inspect
from typing import Any, Final

from trainyard_api.schema import RULES

Object = dict[str, Any]

_INT_OR_STRING: Final = "x-kubernetes-int-or-string"
_OPAQUE: Final = "x-kubernetes-preserve-unknown-fields"
_LIST_TYPE: Final = "x-kubernetes-list-type"
_VALIDATIONS: Final = (
    "format",
    "enum",
    "pattern",
    "minimum",
    "maximum",
    "minLength",
    "maxLength",
    "minItems",
    "maxItems",
    "maxProperties",
    "required",
)
_EXTENSIONS: Final = (
    _INT_OR_STRING,
    _OPAQUE,
    _LIST_TYPE,
    "x-kubernetes-list-map-keys",
    RULES,
)
_KNOWN: Final = {
    *_VALIDATIONS,
    *_EXTENSIONS,
    "additionalProperties",
    "const",
    "default",
    "description",
    "items",
    "properties",
    "title",
    "type",
}


def structural(schema: Object, defs: Object) -> Object:
    """Return the structural form of one node of pydantic's schema.

    Raises:
        ValueError: The node has no structural form, such as a union of several types.
    """
    node = _resolved(schema, defs)
    unknown = set(node) - _KNOWN
    if unknown:
        raise ValueError(f"no structural form for {sorted(unknown)} in {node}")
    out: Object = {}
    if "description" in node:
        out["description"] = prose(node["description"])
    if not node.get(_INT_OR_STRING) and "type" in node:
        out["type"] = node["type"]
    if _has_default(node):
        out["default"] = _without_absent(node["default"])
    out |= {key: node[key] for key in (*_VALIDATIONS, *_EXTENSIONS) if key in node}
    if "const" in node:
        out["enum"] = [node["const"]]
    if out.get("type") == "integer":
        out.setdefault("format", "int64")
    return out | _children(node, defs)


def _children(node: Object, defs: Object) -> Object:
    out: Object = {}
    if "properties" in node:
        out["properties"] = {
            name: structural(child, defs) for name, child in node["properties"].items()
        }
    if isinstance(node.get("additionalProperties"), dict):
        out["additionalProperties"] = structural(node["additionalProperties"], defs)
    if "items" in node:
        out["items"] = structural(node["items"], defs)
        if node.get("type") == "array":
            out[_LIST_TYPE] = node.get(_LIST_TYPE, "atomic")
    return out


def _resolved(schema: Object, defs: Object) -> Object:
    """Put the referred definition in place, and let `T | None` be T: optional means absent."""
    node = dict(schema)
    if "anyOf" in node:
        variants = [each for each in node.pop("anyOf") if each != {"type": "null"}]
        if len(variants) != 1:
            raise ValueError(f"no structural form for a union: {schema}")
        node = _merged(_resolved(variants[0], defs), node)
    if "$ref" in node:
        target = defs[node.pop("$ref").rpartition("/")[2]]
        node = _merged(_resolved(target, defs), node)
    return node


def _merged(inner: Object, outer: Object) -> Object:
    """Return a type with what its use adds: the use's words win, both rules count."""
    of_both = [*inner.get(RULES, ()), *outer.get(RULES, ())]
    return inner | outer | ({RULES: of_both} if of_both else {})


def _has_default(node: Object) -> bool:
    # An absent list or map is as good as an empty one, and needs no owner in an apply.
    if node.get("default") in (None, []):
        return False
    return node["default"] != {} or "properties" in node


def _without_absent(default: Any) -> Any:
    if not isinstance(default, dict):
        return default
    return {k: _without_absent(v) for k, v in default.items() if v is not None and v != []}


def without_defaults(node: Object) -> Object:
    """Return a schema without defaults: in a status they would be claims that nobody made."""
    return {
        key: without_defaults(value) if isinstance(value, dict) else value
        for key, value in node.items()
        if key != "default"
    }


def prose(text: str | None) -> str:
    """Return a docstring as running text: a line for each paragraph."""
    paragraphs = inspect.cleandoc(text or "").split("\n\n")
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)
