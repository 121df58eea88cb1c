"""Every piece of YAML in docs and examples is one that Trainyard takes."""

import copy
from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest
import yaml
from builders.chart import CHART
from pages import PAGES, ROOT, blocks
from pydantic import ValidationError
from trainyard_api.contract import API_VERSION, GROUP
from trainyard_api.kinds import KINDS

Object = dict[str, Any]


def documents() -> Iterator[tuple[str, Object]]:
    """Yield every YAML document in the docs and in the examples, and where it is."""
    for page in PAGES:
        for block in blocks(page):
            if block.language == "yaml":
                text = block.text.replace("sha256:…", f"sha256:{'0' * 64}")
                yield from ((block.where, each) for each in yaml.safe_load_all(text))
    for file in sorted((ROOT / "examples").rglob("*.yaml")):
        where = file.relative_to(ROOT).as_posix()
        yield from ((where, each) for each in yaml.safe_load_all(file.read_text("utf-8")))


DOCUMENTS = [*documents()]
OURS = [(where, each) for where, each in DOCUMENTS if GROUP in str(each.get("apiVersion"))]
# What has no kind is Helm's values, or Kustomize's configuration.
KINDLESS = [(where, each) for where, each in DOCUMENTS if "kind" not in each]
VALUES = [(where, each) for where, each in KINDLESS if "nameReference" not in each]


def named(case: Any) -> str | None:
    return case if isinstance(case, str) else None


@pytest.mark.parametrize(("where", "document"), OURS, ids=named)
def test_a_resource_is_one_that_the_api_takes(where: str, document: Object) -> None:
    assert document["apiVersion"] == API_VERSION
    assert taken(document) == document


def taken(document: Object) -> Object:
    """Return what the API makes of a resource: it drops fields that do not exist."""
    parsed = KINDS[document["kind"]].model_validate(document)
    return parsed.model_dump(mode="json", by_alias=True, exclude_unset=True)


def test_a_field_that_does_not_exist_is_noticed() -> None:
    _, document = next(case for case in OURS if case[0].startswith("README.md"))
    broken = copy.deepcopy(document)
    broken["spec"]["colour"] = "blue"

    assert taken(broken) != broken


def test_a_value_that_breaks_a_rule_is_noticed() -> None:
    _, document = next(case for case in OURS if case[1]["kind"] == "Deployment")

    with pytest.raises(ValidationError, match="replicas"):
        taken(document | {"spec": {**document["spec"], "replicas": -1}})


def test_the_readme_shows_a_run_a_model_and_a_deployment() -> None:
    shown = [each["kind"] for where, each in OURS if where.startswith("README.md")]

    assert shown == ["Run", "Model", "Deployment"]


@pytest.mark.parametrize(("where", "values"), VALUES, ids=named)
def test_values_are_ones_that_the_chart_takes(where: str, values: Object) -> None:
    schema = yaml.safe_load((CHART / "values.schema.json").read_text("utf-8"))
    defaults = yaml.safe_load((CHART / "values.yaml").read_text("utf-8"))

    jsonschema.validate(over(defaults, values), schema)


def over(below: Object, above: Object) -> Object:
    """Lay values over others, as Helm does: maps are merged, null removes."""
    merged = {**below, **above}
    for name, value in above.items():
        if isinstance(value, dict) and isinstance(below.get(name), dict):
            merged[name] = over(below[name], value)
    return {name: value for name, value in merged.items() if value is not None or name in below}


def test_a_value_that_does_not_exist_is_noticed() -> None:
    assert len(VALUES) > 3
    with pytest.raises(jsonschema.ValidationError, match="colour"):
        test_values_are_ones_that_the_chart_takes("", {"operator": {"colour": "blue"}})
