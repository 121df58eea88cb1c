"""Markers that say about a type what Kubernetes must know and pydantic cannot say.

They only describe; crd.py turns the described models into resource definitions. Markers go
into `Annotated[...]` or a model's `json_schema_extra`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from pydantic import GetJsonSchemaHandler
from pydantic_core import CoreSchema

RULES: Final = "x-kubernetes-validations"


@dataclass(frozen=True, slots=True)
class Rule:
    """A CEL rule on the value it annotates; the message says what is wrong and how to mend it."""

    rule: str
    message: str
    field_path: str = ""

    def as_schema(self) -> dict[str, str]:
        """Return the rule as `x-kubernetes-validations` has it."""
        schema = {"rule": self.rule, "message": self.message}
        if self.field_path:
            schema["fieldPath"] = self.field_path
        return schema

    def __get_pydantic_json_schema__(
        self, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        schema = handler(core_schema)
        schema.setdefault(RULES, []).append(self.as_schema())
        return schema


@dataclass(frozen=True, slots=True)
class Extra:
    """Schema fields to add as they are, such as bounds and list types."""

    fields: tuple[tuple[str, bool | int | str | tuple[str, ...]], ...]

    def __get_pydantic_json_schema__(
        self, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        schema = handler(core_schema)
        schema.update(
            {
                name: list(value) if isinstance(value, tuple) else value
                for name, value in self.fields
            }
        )
        return schema


def map_list(*keys: str, max_items: int) -> Extra:
    """Mark a list whose items are told apart by keys, so that appliers own single items."""
    return Extra(
        (
            ("x-kubernetes-list-type", "map"),
            ("x-kubernetes-list-map-keys", keys),
            ("maxItems", max_items),
        )
    )


def bounded(*, most: int) -> Extra:
    """Bound the number of entries of a map."""
    return Extra((("maxProperties", most),))


def rules(*of_object: Rule) -> Callable[[dict[str, Any]], None]:
    """Return a `json_schema_extra` that adds rules to a model's schema."""

    def add(schema: dict[str, Any]) -> None:
        schema.setdefault(RULES, []).extend(rule.as_schema() for rule in of_object)

    return add


OPAQUE: Final = Extra((("x-kubernetes-preserve-unknown-fields", True),))
"""An object whose fields are not ours to describe."""
INT_OR_STRING: Final = Extra((("x-kubernetes-int-or-string", True),))


def exactly_one(*fields: str) -> str:
    """Return the CEL expression that exactly one of the fields is set."""
    present = ", ".join(f"has(self.{field})" for field in fields)
    return f"[{present}].filter(each, each).size() == 1"


class _Scalar:
    """Mark a value that is a string, number or boolean.

    No structural schema can say so, and CEL does not see a value without a type. But value
    checks apply to maps and lists only, and what they ask for is text that the API server
    repeats: "spec.parameters.x.<text>: Required value", "supported values: <text>".
    """

    def __get_pydantic_json_schema__(
        self, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        anything = {"x-kubernetes-preserve-unknown-fields": True}
        return anything | {
            "required": ["a value is one string, number or boolean, not a map"],
            "minItems": 1,
            "items": anything | {"enum": ["one string, number or boolean, not a list"]},
            "maxLength": 4096,
        }


SCALAR: Final = _Scalar()
"""A string, number or boolean."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column of `kubectl get`; those of priority 1 show with `-o wide` only."""

    name: str
    path: str
    type: str = "string"
    priority: int = 0
    description: str = ""


@dataclass(frozen=True, slots=True)
class Definition:
    """What a CustomResourceDefinition says about a kind besides its schema."""

    plural: str
    singular: str
    short: str
    columns: tuple[Column, ...]
    max_name: int = 50
    rules: tuple[Rule, ...] = ()
    scale: bool = False
