"""README and schema say what values.yaml says."""

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import pytest
from builders.chart import CHART


@pytest.fixture(scope="module")
def generate() -> ModuleType:
    spec = importlib.util.spec_from_file_location("chart_generate", CHART.parent / "generate.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_generated_files_are_up_to_date(generate: ModuleType) -> None:
    drifted = [
        path.name
        for path, text in generate.generated_files().items()
        if path.read_text("utf-8") != text
    ]

    assert not drifted, "run: python charts/generate.py"


def test_a_value_without_a_comment_is_refused_by_name(generate: ModuleType) -> None:
    with pytest.raises(ValueError, match=r"a\.c has no comment"):
        generate.read_values("# A.\na:\n  # B.\n  b: 1\n  c: 2\n")


def test_a_comment_far_above_describes_nothing(generate: ModuleType) -> None:
    with pytest.raises(ValueError, match="a has no comment"):
        generate.read_values("# A header.\n\na: 1\n")


def test_an_annotation_adds_to_the_type_of_the_default(generate: ModuleType) -> None:
    values = generate.read_values("# How many.\n# @schema {minimum: 0}\nmany: 1\n")

    found = generate.schema(values)["properties"]["many"]

    assert found == {"description": "How many.", "type": "integer", "minimum": 0}


def test_no_object_of_ours_takes_unknown_keys() -> None:
    schema = json.loads(Path(CHART, "values.schema.json").read_text("utf-8"))

    assert not schema["additionalProperties"]
    for name, part in schema["properties"].items():
        if "properties" in part:
            assert part["additionalProperties"] is False, name
