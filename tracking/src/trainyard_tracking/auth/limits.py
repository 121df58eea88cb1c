"""How much a caller may ask in one request: what MLflow parses by itself is bounded here. Pure.

MLflow's filters go through a parser that is written in Python and grows faster than the text; its
RLIKE is a regular expression, which on SQLite runs in this process and lets no other thread work.
LIKE costs SQLite what text and pattern are long, multiplied, and can't be interrupted meanwhile.
"""

import json
import re
from collections.abc import Iterable
from typing import Any

from trainyard_tracking.auth.call import Call, snake
from trainyard_tracking.errors import Refused

_FILTER = 4096
_PATTERNS = 256
"""Bytes of all that one filter has after LIKE and ILIKE; deadlines.py bounds each in SQLite."""
_LONGEST = {"query": 16_384, "page_token": 16_384}
_METADATA = 64 << 10
"""Bytes of an assessment's metadata: each search for what a run assessed reads all of them."""
_ORDERS = 20
_ORDER = 512
_DEEPEST = 60
"""Nested lists and objects; the messages of MLflow have ten."""
_VALUES = 50_000
"""Of all lists and objects; MLflow makes messages of them in Python, and log-batch has 6,000."""
_SIGNS = 700_000
"""Commas and brackets in a body, those in texts too: a list of lists takes 20 times its bytes."""
_QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"")
_LIKE = re.compile(r"\bi?like\s*('[^']*'?|\"[^\"]*\"?)|'[^']*'|\"[^\"]*\"|`[^`]*`", re.IGNORECASE)
# One of the two numbers by which JSON may write one letter: alone it is none.
_HALF = re.compile(rb"\\u[dD][89a-fA-F]|\xed[\xa0-\xbf]")
_RLIKE = re.compile(r"\brlike\b", re.IGNORECASE)


def check_query(call: Call) -> None:
    """Bound what a request asks in its query.

    Raises:
        Refused: a field is too long; names it.
    """
    _check(call.query)
    orders = [value for name, value in call.query if snake(name) == "order_by"]
    _check_orders(orders)


def check_body(found: Any) -> None:
    """Bound what a request asks in its JSON.

    Raises:
        Refused: a field is too long, or the JSON nested too deep, or has too many values.
    """
    _check_shape(found)
    if not isinstance(found, dict):
        return
    _check(found.items())
    for one in _assessments(found):
        _check_assessment(one)
    for name, value in found.items():
        if snake(str(name)) == "order_by":
            _check_orders(value if isinstance(value, list) else [value])


def parsed(raw: bytes) -> Any:
    """Decode JSON of whoever sent it; None if it is none, which MLflow tells better.

    Raises:
        Refused: it is nested too deep, has too many values, or half of a letter, which no database
            takes.
    """
    if sum(map(raw.count, (b",", b"[", b"{"))) > _SIGNS:
        raise _too_many()
    try:
        found = json.loads(raw) if raw.strip() else None
        # Clients of long ago send JSON in JSON, and MLflow takes it.
        found = json.loads(found) if isinstance(found, str) else found
        if _HALF.search(raw):
            _check_letters(found)
    except ValueError:
        return None
    except RecursionError:
        raise _too_deep() from None
    return found


def _check_letters(found: Any) -> None:
    fields = found.items() if isinstance(found, dict) else [("The body", found)]
    for name, value in fields:
        try:
            json.dumps([name, value], ensure_ascii=False).encode()
        except UnicodeEncodeError as exc:
            half = f"\\u{ord(exc.object[exc.start]):04x}"
            raise Refused(
                f"{name!a} has {half}, half of a letter: send Unicode text, without what"
                " could not be decoded"
            ) from None


def _check(fields: Iterable[tuple[str, Any]]) -> None:
    for given, value in fields:
        name = snake(str(given))
        most = _FILTER if "filter" in name else _LONGEST.get(name)
        if most is None:
            continue
        for text in value if isinstance(value, list) else [value]:
            _check_text(name, str(text), most)


def _check_text(name: str, text: str, most: int) -> None:
    if len(text) > most:
        raise Refused(f"{name} has {len(text)} characters; {most} are the most: ask for less")
    if most == _FILTER and _RLIKE.search(_QUOTED.sub("''", text)):
        raise Refused(f"{name}: RLIKE is off on this service; use LIKE, with % for any text")
    if most == _FILTER:
        _check_patterns(name, text)


def _check_patterns(name: str, text: str) -> None:
    patterns = "".join(found[1][1:-1] for found in _LIKE.finditer(text) if found[1])
    if (size := len(patterns.encode(errors="surrogatepass"))) > _PATTERNS:
        raise Refused(
            f"{name}: what LIKE and ILIKE compare with has {size} bytes; {_PATTERNS} are the most:"
            " compare with a part of the text, with % for the rest"
        )


def _check_orders(orders: list[Any]) -> None:
    if len(orders) > _ORDERS:
        raise Refused(f"order_by has {len(orders)} entries; {_ORDERS} are the most")
    if any(len(str(one)) > _ORDER for one in orders):
        raise Refused(f"An entry of order_by may have {_ORDER} characters")


def _assessments(found: dict[str, Any]) -> Iterable[Any]:
    """Give what a request assesses: alone, or with the trace that it makes."""
    info = _inner(_inner(found, "trace"), "trace_info")
    said = _field(info, "assessments")
    return [found.get("assessment"), *(said if isinstance(said, list) else ())]


def _inner(found: dict[str, Any], name: str) -> dict[str, Any]:
    value = _field(found, name)
    return value if isinstance(value, dict) else {}


def _field(found: dict[str, Any], name: str) -> Any:
    return next((value for given, value in found.items() if snake(str(given)) == name), None)


def _check_assessment(found: Any) -> None:
    metadata = found.get("metadata") if isinstance(found, dict) else None
    if (size := len(json.dumps(metadata))) > _METADATA:
        raise Refused(
            f"assessment.metadata has {size} bytes as JSON; {_METADATA} are the most: log what is"
            " larger as an artifact"
        )


def _check_shape(found: Any) -> None:
    level = [found] if isinstance(found, dict | list) else []
    values = 0
    for _ in range(_DEEPEST):
        values += sum(map(len, level))
        if values > _VALUES:
            raise _too_many()
        level = [
            inner
            for one in level
            for inner in (one.values() if isinstance(one, dict) else one)
            if isinstance(inner, dict | list)
        ]
        if not level:
            return
    raise _too_deep()


def _too_many() -> Refused:
    return Refused(f"The JSON has more than {_VALUES} values: send fewer at once")


def _too_deep() -> Refused:
    return Refused(f"The JSON is nested too deep; {_DEEPEST} levels are the most")
