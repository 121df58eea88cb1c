"""Read `-p name=value` and write parameters as arguments. Pure: no files, no cluster."""

import json
import math
import re
from collections.abc import Iterable, Mapping

from trainyard_api import contract

from trainyard.errors import InvalidInput

Parameter = str | int | float | bool

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
# A leading zero (007) or plus sign would be lost in a number: such values stay text.
_INTEGER = re.compile(r"-?(0|[1-9][0-9]*)")
_FLOAT = re.compile(r"-?(0|[1-9][0-9]*)?(\.[0-9]+|[0-9]\.|(\.[0-9]+)?[eE][-+]?[0-9]+)")
# Beyond it JSON numbers lose digits in readers that know doubles alone.
_EXACT = 2**53
# What Linux takes of one argument or variable, its NUL included.
_LONGEST = 128 << 10
# Of all together. A pod has each twice, as an argument and as a variable, and a cluster keeps
# 1.5 MiB of one object; a third of that is for all else.
_LONGEST_TOGETHER = 512 << 10
_WORDS = {"true": True, "false": False}


def parse_parameters(pairs: Iterable[str]) -> dict[str, Parameter]:
    """Turn `name=value` pairs into typed parameters, in the order given.

    Numbers and true/false get their type, all else is text; JSON quotes force
    text: `-p 'fold="7"'`. What a number would print in another way (1.10, 1e5,
    an id of twenty digits) stays text, so that all arrives as it was typed.

    Raises:
        InvalidInput: no `=`, a name that is no identifier, or a name given twice.
    """
    parameters: dict[str, Parameter] = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not equals:
            raise InvalidInput(
                f"Parameter {pair!r} has no value", fix=f"Write it as -p {pair or 'name'}=VALUE"
            )
        if not _NAME.fullmatch(name):
            raise InvalidInput(
                f"Parameter name {name!r} is not possible",
                fix="Begin with a letter or _, go on with letters, digits, _ . or -",
            )
        if name in parameters:
            raise InvalidInput(f"Parameter {name!r} is given twice", fix="Leave one of them out")
        parameters[name] = parse_value(text)
    return parameters


def parse_value(text: str) -> Parameter:
    """Give *text* the type that it looks like."""
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.fullmatch(text) and abs(int(text)) <= _EXACT and text != "-0":
        return int(text)
    if _FLOAT.fullmatch(text) and math.isfinite(float(text)) and _prints_the_same(text):
        return float(text)
    if len(text) > 1 and text[0] == text[-1] == '"':
        return _unquoted(text)
    return text


def _prints_the_same(text: str) -> bool:
    """Tell whether a fraction comes out as it was typed, whoever stores it as a JSON number."""
    number = float(text)
    return str(number) == text and not number.is_integer() and "e" not in text


def parse_pairs(pairs: Iterable[str], *, option: str) -> dict[str, str]:
    """Turn `NAME=text` pairs of *option* into a mapping; a later one wins.

    Raises:
        InvalidInput: a pair has no `=`.
    """
    found: dict[str, str] = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not equals or not name:
            raise InvalidInput(f"{option} {pair!r} is incomplete", fix=f"Write {option} NAME=VALUE")
        found[name] = text
    return found


def faithful(parameters: Mapping[str, Parameter]) -> dict[str, Parameter]:
    """Return parameters as a Run stores them so that the program gets what Python would print.

    A number that a cluster would write in another way (1.0, 1e-05, an integer of twenty
    digits, infinity) becomes text; numbers of numpy become Python's.

    Raises:
        InvalidInput: a value is no text, number or boolean, or no program could get it, or all
            of them.
    """
    found = {name: _faithful(name, value) for name, value in parameters.items()}
    for name, value in found.items():
        _refuse_undeliverable(name, as_text(value))
    refuse_too_much(found)
    return found


def refuse_too_much(parameters: Mapping[str, Parameter]) -> None:
    """Raise if a Run could not be made of all these parameters together.

    Raises:
        InvalidInput: They are longer than 512 KiB.
    """
    # Kubernetes wants $ doubled.
    sizes = {
        name: len(f"{name}={as_text(value).replace('$', '$$')}".encode())
        for name, value in parameters.items()
    }
    if sum(sizes.values()) > _LONGEST_TOGETHER:
        longest = max(sizes, key=lambda name: sizes[name])
        raise InvalidInput(
            f"The parameters have {sum(sizes.values())} bytes together, and a Run takes"
            f" {_LONGEST_TOGETHER >> 10} KiB; the longest is {longest!r} with {sizes[longest]}",
            fix="Write what is long into a file of the folder or an artifact, and read that in the"
            " program",
        )


def _refuse_undeliverable(name: str, text: str) -> None:
    try:
        length = len(f"{contract.PARAMETER_ENV_PREFIX}{name}={text}\0".encode())
    except UnicodeEncodeError:
        raise InvalidInput(
            f"Parameter {name!r} is not in UTF-8", fix="Pass such bytes in a file"
        ) from None
    if "\0" in text:
        raise InvalidInput(f"Parameter {name!r} has a NUL in it", fix="Pass such bytes in a file")
    if length > _LONGEST:
        raise InvalidInput(
            f"Parameter {name!r} has {len(text.encode())} bytes, and an argument ends at"
            f" {_LONGEST >> 10} KiB",
            fix="Write it into a file of the folder, and read that in the program",
        )


def _faithful(name: str, given: object) -> Parameter:
    value = given.item() if hasattr(given, "item") else given
    if isinstance(value, bool | str):
        return value
    if isinstance(value, int):
        return value if abs(value) <= _EXACT else str(value)
    if isinstance(value, float):
        stays = math.isfinite(value) and _prints_the_same(str(value))
        return value if stays else str(value)
    raise InvalidInput(
        f"Parameter {name!r} is a {type(given).__name__}, not a text, a number or a boolean",
        fix="Write it as text, such as json.dumps(...), and read that in the program",
    )


def as_arguments(parameters: Mapping[str, Parameter]) -> list[str]:
    """Write parameters as the operator does in a pod: `--name=value`."""
    return [f"--{name}={as_text(value)}" for name, value in parameters.items()]


def as_text(value: Parameter) -> str:
    """Write one value as the pod sees it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _unquoted(text: str) -> str:
    try:
        value = json.loads(text)
    except json.JSONDecodeError:
        return text
    return value if isinstance(value, str) else text
