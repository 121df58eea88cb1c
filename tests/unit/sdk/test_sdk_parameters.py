"""Parameters: what `-p name=value` means, and how it reaches the program."""

import pytest
from trainyard.errors import InvalidInput
from trainyard.parameters import (
    Parameter,
    as_arguments,
    parse_pairs,
    parse_parameters,
    parse_value,
)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("12", 12),
        ("-3", -3),
        ("0", 0),
        ("0.5", 0.5),
        (".5", ".5"),
        ("1e-3", "1e-3"),
        ("2.", "2."),
        ("12345678901234567890", "12345678901234567890"),
        ("1699999999999", 1699999999999),
        ("1.10", "1.10"),
        ("1.0", "1.0"),
        ("1e5", "1e5"),
        ("0.00002", "0.00002"),
        ("-0", "-0"),
        ("true", True),
        ("false", False),
        ("True", "True"),
        ("007", "007"),
        ("+1", "+1"),
        ("nan", "nan"),
        ("inf", "inf"),
        ("1e999", "1e999"),
        ("1_000", "1_000"),
        ("", ""),
        ("a=b", "a=b"),
        ('"7"', "7"),
        ('"', '"'),
        ("rbf", "rbf"),
    ],
)
def test_a_value_has_the_type_that_it_looks_like(text: str, value: Parameter) -> None:
    found = parse_value(text)

    assert found == value
    assert type(found) is type(value)


def test_parameters_keep_their_order() -> None:
    assert list(parse_parameters(["z=1", "a=2"]).items()) == [("z", 1), ("a", 2)]


@pytest.mark.parametrize(
    "pair",
    [
        pytest.param("depth", id="no value"),
        pytest.param("=3", id="no name"),
        pytest.param("max depth=3", id="a blank in the name"),
        pytest.param("--depth=3", id="dashes before the name"),
    ],
)
def test_an_impossible_parameter_is_refused(pair: str) -> None:
    with pytest.raises(InvalidInput):
        parse_parameters([pair])


def test_a_parameter_given_twice_is_refused() -> None:
    with pytest.raises(InvalidInput, match="twice"):
        parse_parameters(["a=1", "a=2"])


def test_arguments_are_written_as_in_a_pod() -> None:
    found = as_arguments({"depth": 12, "rate": 0.001, "fast": True, "kernel": "rbf"})

    assert found == ["--depth=12", "--rate=0.001", "--fast=true", "--kernel=rbf"]


def test_environment_pairs_stay_text() -> None:
    assert parse_pairs(["A=1", "B=x=y"], option="--env") == {"A": "1", "B": "x=y"}


def test_an_environment_pair_without_value_names_the_option() -> None:
    with pytest.raises(InvalidInput, match="--env"):
        parse_pairs(["A"], option="--env")
