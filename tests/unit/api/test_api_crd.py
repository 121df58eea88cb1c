"""From models to structural schemas."""

import ast
import inspect
from collections.abc import Iterator
from types import ModuleType
from typing import Annotated, Any, Literal

import pytest
from pydantic import Field
from trainyard_api import contract, serving
from trainyard_api.crd import custom_resource_definition, root_schema
from trainyard_api.kinds import KINDS
from trainyard_api.meta import ApiModel
from trainyard_api.run import RunSpec
from trainyard_api.schema import RULES, Extra, Rule, bounded, map_list, rules
from trainyard_api.structural import prose, structural

Schema = dict[str, Any]
MUTABLE = {"suspend", "cancel", "ttlSecondsAfterFinished"}


class Inner(ApiModel):
    """An inner object."""

    model_config = {"json_schema_extra": rules(Rule("self.a > 0", "a is positive"))}

    a: int = Field(1, ge=0)
    """A number."""


class Outer(ApiModel):
    """An outer object."""

    one: Annotated[Inner, Rule("self.a < 9", "a is small")]
    maybe: Inner | None = None
    """An inner one, perhaps."""
    default: Inner = Inner()
    only: Literal["x"] = "x"
    either: Literal["x", "y"] | None = None
    many: Annotated[list[Inner], map_list("a", max_items=3)] = []
    plain: list[str] = []
    names: Annotated[dict[str, str], bounded(most=2)] = {}


def properties(model: type[ApiModel]) -> Schema:
    """Return the structural properties of a model."""
    schema = model.model_json_schema(by_alias=True)
    found: Schema = structural(schema, schema.pop("$defs", {}))["properties"]
    return found


def test_a_reference_is_put_in_place_with_the_rules_of_both() -> None:
    one = properties(Outer)["one"]

    assert one["type"] == "object"
    assert one["description"] == "An inner object."
    assert [rule["message"] for rule in one[RULES]] == ["a is positive", "a is small"]


def test_an_optional_object_is_one_that_may_be_absent() -> None:
    maybe = properties(Outer)["maybe"]

    assert maybe["description"] == "An inner one, perhaps."
    assert not {"anyOf", "nullable", "default"} & set(maybe)


def test_defaults_of_objects_are_written_out() -> None:
    assert properties(Outer)["default"]["default"] == {"a": 1}


def test_empty_lists_and_maps_are_no_defaults() -> None:
    found = properties(Outer)

    assert "default" not in found["plain"]
    assert "default" not in found["names"]


def test_literals_are_enums() -> None:
    found = properties(Outer)

    assert found["only"]["enum"] == ["x"]
    assert found["either"] == {"type": "string", "enum": ["x", "y"]}


def test_lists_say_how_they_merge() -> None:
    found = properties(Outer)

    assert found["plain"]["x-kubernetes-list-type"] == "atomic"
    assert found["many"]["x-kubernetes-list-type"] == "map"
    assert found["many"]["x-kubernetes-list-map-keys"] == ["a"]
    assert found["many"]["maxItems"] == 3


def test_integers_have_64_bits() -> None:
    assert properties(Inner)["a"]["format"] == "int64"


def test_a_union_is_refused() -> None:
    class Union(ApiModel):
        value: int | str

    with pytest.raises(ValueError, match="no structural form for a union"):
        properties(Union)


def test_a_keyword_that_kubernetes_does_not_have_is_refused() -> None:
    class Positive(ApiModel):
        value: int = Field(gt=0)

    with pytest.raises(ValueError, match=r"no structural form for .*exclusiveMinimum"):
        properties(Positive)


def test_a_marker_adds_what_it_holds() -> None:
    class Marked(ApiModel):
        value: Annotated[str, Extra((("x-kubernetes-int-or-string", True),))]

    assert properties(Marked)["value"] == {"x-kubernetes-int-or-string": True}


def test_a_docstring_is_running_text() -> None:
    assert prose("One\n    line.\n\n    Two.\n    ") == "One line.\n\nTwo."


def test_every_field_of_a_run_is_immutable_or_on_the_list() -> None:
    spec = root_schema(KINDS["Run"])["properties"]["spec"]
    fixed = {
        rule["fieldPath"].removeprefix(".") for rule in spec[RULES] if "oldSelf" in rule["rule"]
    }
    fields = {field.alias for field in RunSpec.model_fields.values()}

    assert fixed - {"cancel"} == fields - MUTABLE


@pytest.mark.parametrize("kind", KINDS)
class TestEveryKind:
    """What holds for all definitions."""

    def test_it_is_namespaced_with_a_status(self, kind: str) -> None:
        spec = custom_resource_definition(KINDS[kind])["spec"]

        assert spec["scope"] == "Namespaced"
        assert spec["names"]["categories"] == ["trainyard"]
        assert "status" in spec["versions"][0]["subresources"]

    def test_its_status_demands_nothing_and_assumes_nothing(self, kind: str) -> None:
        status = root_schema(KINDS[kind])["properties"]["status"]

        assert "required" not in status
        assert [path for path, node in nodes(status, "status") if "default" in node] == []

    def test_whatever_a_rule_reads_is_bounded(self, kind: str) -> None:
        spec = root_schema(KINDS[kind])["properties"]["spec"]

        assert [path for path, node in nodes(spec, "spec") if not is_bounded(node)] == []

    def test_every_message_fits_a_terminal(self, kind: str) -> None:
        root = root_schema(KINDS[kind])
        said = [rule["message"] for _, node in nodes(root, kind) for rule in node.get(RULES, ())]

        assert [message for message in said if len(message) > 200 or "\n" in message] == []


def nodes(node: Schema, path: str) -> Iterator[tuple[str, Schema]]:
    """Yield every schema in a schema."""
    yield path, node
    for name, field in node.get("properties", {}).items():
        yield from nodes(field, f"{path}.{name}")
    for key in ("items", "additionalProperties"):
        if isinstance(node.get(key), dict):
            yield from nodes(node[key], f"{path}[]")


def is_bounded(node: Schema) -> bool:
    """Tell whether a string, list or map has an upper bound."""
    if node.get("type") == "string":
        return bool({"maxLength", "enum"} & set(node))
    if node.get("type") == "array":
        return "maxItems" in node
    return "additionalProperties" not in node or "maxProperties" in node


@pytest.mark.parametrize("module", [contract, serving], ids=lambda module: module.__name__)
def test_what_the_agent_imports_needs_the_standard_library_only(module: ModuleType) -> None:
    tree = ast.parse(inspect.getsource(module))
    imported = [
        name
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in ([node.module] if isinstance(node, ast.ImportFrom) else node.names)
    ]

    assert imported == ["typing"]
