"""From a kind's model to its CustomResourceDefinition. Pure: a class in, an object out."""

from typing import Any

from trainyard_api.contract import CATEGORY, GROUP, NAME_PATTERN, VERSION
from trainyard_api.meta import Resource
from trainyard_api.schema import RULES, Column, Rule
from trainyard_api.structural import prose, structural, without_defaults

Object = dict[str, Any]


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
            "status": without_defaults(structural(properties["status"], defs)),
        },
    }
    required = [field for field in emitted.get("required", ()) if field == "spec"]
    if required:
        root["required"] = required
    root[RULES] = [rule.as_schema() for rule in (*_name_rules(kind), *kind.definition.rules)]
    return root


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
