"""From a kind's model to its CustomResourceDefinition. Pure: a class in, an object out.

pydantic emits JSON Schema; Kubernetes wants structural OpenAPI 3.0. `structural` is the
difference between the two, and refuses what has no structural form rather than guess.
"""

import inspect
from typing import Any, Final

from trainyard_api.contract import CATEGORY, GROUP, NAME_PATTERN, VERSION
from trainyard_api.meta import Resource
from trainyard_api.schema import RULES, Column, Rule

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


def custom_resource_definition(kind: type[Resource]) -> Object:
    """Return the CustomResourceDefinition of a kind."""
    definition = kind.definition
    name = kind.__name__
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{definition.plural}.{GROUP}"},
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {
                "kind": name,
                "listKind": f"{name}List",
                "plural": definition.plural,
                "singular": definition.singular,
                "shortNames": [definition.short],
                "categories": [CATEGORY],
            },
            "versions": [
                {
                    "name": VERSION,
                    "served": True,
                    "storage": True,
                    "schema": {"openAPIV3Schema": root_schema(kind)},
                    "subresources": _subresources(scale=definition.scale),
                    "additionalPrinterColumns": [_column(each) for each in definition.columns],
                }
            ],
        },
    }


def root_schema(kind: type[Resource]) -> Object:
    """Return the structural schema of a kind, with the rules on its name."""
    emitted = kind.model_json_schema(by_alias=True)
    defs = emitted.pop("$defs", {})
    properties = emitted["properties"]
    root: Object = {
        "type": "object",
        "description": prose(kind.__doc__),
        "properties": {
            # The API server describes these three, and allows nothing else here.
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": {"type": "object"},
            "spec": structural(properties["spec"], defs),
            "status": _without_defaults(structural(properties["status"], defs)),
        },
    }
    required = [field for field in emitted.get("required", ()) if field == "spec"]
    if required:
        root["required"] = required
    root[RULES] = [rule.as_schema() for rule in (*_name_rules(kind), *kind.definition.rules)]
    return root


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


def _without_defaults(node: Object) -> Object:
    """Return a schema without defaults: in a status they would be claims that nobody made."""
    return {
        key: _without_defaults(value) if isinstance(value, dict) else value
        for key, value in node.items()
        if key != "default"
    }


def _name_rules(kind: type[Resource]) -> tuple[Rule, ...]:
    most = kind.definition.max_name
    return (
        Rule(
            f"size(self.metadata.name) <= {most}",
            f"the name is longer than {most} characters, which leaves no room for the names of"
            " what is made from it: shorten metadata.name",
        ),
        Rule(
            f"self.metadata.name.matches('{NAME_PATTERN}')",
            "metadata.name starts with a lower-case letter, goes on with lower-case letters,"
            " digits and dashes, and does not end with a dash: rename it",
        ),
    )


def _subresources(*, scale: bool) -> Object:
    if not scale:
        return {"status": {}}
    return {
        "status": {},
        "scale": {
            "specReplicasPath": ".spec.replicas",
            "statusReplicasPath": ".status.replicas",
            "labelSelectorPath": ".status.selector",
        },
    }


def _column(column: Column) -> Object:
    out: Object = {"name": column.name, "type": column.type, "jsonPath": column.path}
    return out | ({"priority": column.priority} if column.priority else {})


def prose(text: str | None) -> str:
    """Return a docstring as running text: a line for each paragraph."""
    paragraphs = inspect.cleandoc(text or "").split("\n\n")
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)
