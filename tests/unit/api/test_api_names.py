"""Names of MLflow as names of resources."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from trainyard_api import names


@pytest.mark.parametrize("name", ["digits", "a", "a-1", "a" * 50])
def test_a_legal_name_is_itself(name: str) -> None:
    assert names.is_resource_name(name)
    assert names.resource_name(name) == name


@pytest.mark.parametrize(
    ("name", "slug"),
    [
        ("Iris (v2)", "iris-v2-"),
        ("digits_forest", "digits-forest-"),
        ("2024 model", "model-"),
        ("a" * 51, "a" * 41 + "-"),
        ("Größe", "gr-e-"),
        ("模型", "m-"),
        ("digits-", "digits-"),
        ("digits\n", "digits-"),
    ],
)
def test_any_other_becomes_a_slug_and_a_hash(name: str, slug: str) -> None:
    resource = names.resource_name(name)

    assert resource.startswith(slug)
    assert len(resource) == len(slug) + 8
    assert names.is_resource_name(resource)


@given(st.text(min_size=1))
def test_every_name_has_a_legal_resource(name: str) -> None:
    assert names.is_resource_name(names.resource_name(name))


@given(st.text(min_size=1), st.text(min_size=1))
def test_two_names_never_meet(one: str, other: str) -> None:
    same = names.resource_name(one) == names.resource_name(other)

    assert same == (one == other)


def test_a_model_is_called_in_mlflow_as_its_spec_says() -> None:
    assert names.mlflow_name("iris-v2-0e8a70d9", "Iris (v2)") == "Iris (v2)"
    assert names.mlflow_name("digits", None) == "digits"


def test_a_version_is_named_after_its_model() -> None:
    assert names.model_version_name("digits", 12) == "digits-12"
