"""The API reference, as Markdown, from the same schemas as the CRDs. Pure.

It says what a schema says; what a user should do with it is in the guides.
"""

import json
from collections.abc import Iterable, Iterator
from enum import StrEnum
from typing import Any

from trainyard_api import conditions
from trainyard_api.contract import API_VERSION
from trainyard_api.crd import root_schema
from trainyard_api.kinds import KINDS
from trainyard_api.meta import Resource
from trainyard_api.schema import RULES

Object = dict[str, Any]

_INTRODUCTION = f"""# API reference

Five kinds in `{API_VERSION}`, all namespaced, category `trainyard`
(`kubectl get trainyard`). `kubectl explain KIND.spec` says the same in a terminal.
"""
_Serving = conditions.ServingReason
_AVAILABLE = (_Serving.AVAILABLE, _Serving.STARTING, _Serving.SCALED_TO_ZERO, _Serving.NOT_READY)
_PROGRESSING = [each for each in _Serving if each is _Serving.STARTING or each not in _AVAILABLE]
REASONS: dict[str, tuple[tuple[str, tuple[Iterable[StrEnum], ...]], ...]] = {
    "Experiment": (("Ready", (conditions.ExperimentReason,)),),
    "Run": (
        ("Finished", (conditions.WaitingReason, conditions.FinalReason, conditions.TroubleReason)),
        ("Succeeded", (conditions.FinalReason,)),
        ("Recorded", (conditions.RecordedReason, conditions.TroubleReason)),
        ("CleanedUp", (conditions.CleanedUpReason, conditions.TroubleReason)),
        ("Registered", (conditions.RegisteredReason, conditions.TroubleReason)),
    ),
    "Model": (
        ("Ready", (conditions.ModelReason, conditions.TroubleReason)),
        ("Audited", (conditions.AuditedReason, conditions.TroubleReason)),
    ),
    "ModelVersion": (
        ("Published", (conditions.PublishedReason, conditions.TroubleReason)),
        ("Servable", (conditions.ServableReason,)),
    ),
    "Deployment": (
        ("Available", (_AVAILABLE,)),
        ("Progressing", (_PROGRESSING, conditions.TroubleReason)),
        ("Servable", (conditions.ServableReason,)),
    ),
}
"""Kind → its conditions, each with the reasons that it can have."""


def reference() -> str:
    """Return the whole reference."""
    return "\n".join([_INTRODUCTION, *(_kind(kind) for kind in KINDS.values())])


def _kind(kind: type[Resource]) -> str:
    schema = root_schema(kind)
    name = kind.__name__
    definition = kind.definition
    parts = [
        f"## {name}\n",
        schema["description"],
        f"\n`kubectl get {definition.plural}`, short `{definition.short}`.\n",
        *_table(f"{name}.spec", schema["properties"]["spec"], "spec"),
        *_table(f"{name}.status", schema["properties"]["status"], "status"),
        f"### Conditions of {name}\n",
        *_conditions(name),
        f"\n### Rules of {name}\n",
        *_rules(schema),
        "",
    ]
    return "\n".join(parts)


def _table(title: str, schema: Object, path: str) -> Iterator[str]:
    yield f"### {title}\n"
    yield "| Field | Type | Default | Meaning |\n|---|---|---|---|"
    for field, node, required in fields(schema, path):
        default = _cell(node.get("default"))
        yield (
            f"| `{field}` | {type_name(node)} | {'*required*' if required else default} |"
            f" {_escaped(node.get('description', ''))} |"
        )
    yield ""


def fields(schema: Object, path: str) -> Iterator[tuple[str, Object, bool]]:
    """Yield every field below a node: its path, its schema, and whether it is required."""
    required = schema.get("required", ())
    for name, node in schema.get("properties", {}).items():
        here = f"{path}.{name}"
        yield here, node, name in required
        yield from fields(node, here)
        if "properties" in node.get("items", {}):
            yield from fields(node["items"], f"{here}[]")


def type_name(node: Object) -> str:
    """Return a type as people say it, such as *list of string*."""
    if "enum" in node:
        return " \\| ".join(f"`{value}`" for value in node["enum"])
    if node.get("x-kubernetes-int-or-string"):
        return "integer or string"
    if "items" in node and node.get("type") == "array":
        return f"list of {type_name(node['items'])}"
    if "additionalProperties" in node:
        return f"map of {type_name(node['additionalProperties'])}"
    if node.get("format") == "date-time":
        return "time"
    return str(node.get("type", "string, number or boolean"))


def _conditions(name: str) -> Iterator[str]:
    yield "| Condition | Reasons |\n|---|---|"
    for condition, groups in REASONS[name]:
        reasons = dict.fromkeys(str(reason) for group in groups for reason in group)
        yield f"| `{condition}` | {', '.join(f'`{reason}`' for reason in reasons)} |"


def _rules(schema: Object) -> Iterator[str]:
    yield "The API server refuses what breaks one of these, with the same words.\n"
    for message in dict.fromkeys(messages(schema)):
        yield f"- {_escaped(message)}"


def messages(schema: Object) -> Iterator[str]:
    """Yield the message of every rule in a schema."""
    for rule in schema.get(RULES, ()):
        yield rule["message"]
    for child in (*schema.get("properties", {}).values(), *_below(schema)):
        yield from messages(child)


def _below(schema: Object) -> Iterator[Object]:
    for key in ("items", "additionalProperties"):
        if isinstance(schema.get(key), dict):
            yield schema[key]


def _cell(default: Any) -> str:
    return "" if default is None else f"`{json.dumps(default)}`"


def _escaped(text: str) -> str:
    return text.replace("\n\n", " ").replace("|", "\\|").replace("<", "&lt;")
