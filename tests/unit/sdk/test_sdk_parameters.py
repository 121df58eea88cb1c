"""Parameters: what `-p name=value` means, and how it reaches the program."""

import json

import pytest
from trainyard.errors import InvalidInput
from trainyard.parameters import (
    Parameter,
    as_arguments,
    as_text,
    faithful,
    parse_pairs,
    parse_parameters,
    parse_value,
)
from trainyard_operator.runs.source import text_of


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


class Float64(float):
    """As numpy's."""

    def item(self) -> float:
        return float(self)


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (7, 7),
        (True, True),
        ("1.10", "1.10"),
        (0.5, 0.5),
        (1.0, "1.0"),
        (1e5, "100000.0"),
        (1e-05, "1e-05"),
        (12345678901234567890, "12345678901234567890"),
        (float("nan"), "nan"),
        (float("inf"), "inf"),
        (Float64(2.0), "2.0"),
    ],
)
def test_values_from_python_reach_the_program_as_python_prints_them(
    given: Parameter, kept: Parameter
) -> None:
    found = faithful({"x": given})["x"]

    assert (found, type(found)) == (kept, type(kept))


def test_a_value_that_is_no_parameter_is_refused_by_name() -> None:
    with pytest.raises(InvalidInput, match="'layers' is a list"):
        faithful({"layers": [1, 2]})  # type: ignore[dict-item]  # which is the point


@pytest.mark.parametrize(
    ("value", "words"),
    [
        pytest.param("a\0b", "'x' has a NUL in it", id="nul"),
        pytest.param("caf\udce9", "'x' is not in UTF-8", id="bytes of a shell in latin-1"),
        pytest.param("é" * 65_536, "'x' has 131072 bytes", id="longer than an argument"),
    ],
)
def test_a_value_that_no_program_could_get_is_refused_by_name(value: str, words: str) -> None:
    with pytest.raises(InvalidInput, match=words):
        faithful({"x": value})


def test_the_longest_value_that_an_argument_takes_passes() -> None:
    longest = "x" * (128 * 1024 - len("TRAINYARD_PARAM_X=") - 1)

    assert faithful({"x": longest}) == {"x": longest}
    with pytest.raises(InvalidInput, match="128 KiB"):
        faithful({"x": longest + "x"})


@pytest.mark.parametrize("value", ["a" * 131_000, "$" * 65_500, "ä" * 65_500])
def test_parameters_have_a_bound_together_as_a_pod_has_each_twice(value: str) -> None:
    most = dict.fromkeys(("a", "b", "c", "d"), value)

    assert faithful(most) == most
    with pytest.raises(InvalidInput, match=r"512 KiB; the longest is 'a'") as caught:
        faithful({**most, "e": value})
    assert "artifact" in caught.value.fix


AS_TYPED = ("20260731", "1699999999999", "12345678901234567890", "01234", "0.00002", "1.10", "1.0")


@pytest.mark.parametrize("text", [*AS_TYPED, "true", "1e5", "", 'a = b, "c" $HOME', "-0", "1e400"])
def test_what_is_typed_is_what_the_program_gets_here_and_in_a_pod(text: str) -> None:
    stored = json.loads(json.dumps(faithful({"x": parse_value(text)})["x"]))

    assert text_of(stored) == as_text(parse_value(text)) == text
