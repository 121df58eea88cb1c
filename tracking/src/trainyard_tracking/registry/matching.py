"""MLflow's search filters on the registry, with LIKE that costs what the text is long.

MLflow turns a pattern into a regular expression, and `%a%a%a%b` on a long tag then takes minutes,
in which no other thread of the process runs: one caller would stop the service for all.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mlflow.exceptions import MlflowException
from mlflow.utils.search_utils import SearchModelUtils, SearchModelVersionUtils

_CASES = {"LIKE": False, "ILIKE": True}


class Like:
    """A pattern of SQL's LIKE: `%` is any text, `_` any one character."""

    def __init__(self, pattern: str, *, ignore_case: bool = False) -> None:
        self._ignore_case = ignore_case
        pieces = (pattern.lower() if ignore_case else pattern).split("%")
        self._pieces = [_Piece.of(piece) for piece in pieces]

    def matches(self, text: str) -> bool:
        """Tell whether the whole text is of the pattern; takes one pass over it."""
        if self._ignore_case:
            text = text.lower()
        first, *middle = self._pieces
        if not first.is_at(text, 0):
            return False
        if not middle:
            return len(first.text) == len(text)
        at = len(first.text)
        # Each piece where it is found first: what comes later only has more room then.
        for piece in middle[:-1]:
            at = piece.end_in(text, at)
            if at < 0:
                return False
        start = len(text) - len(middle[-1].text)
        return start >= at and middle[-1].is_at(text, start)


@dataclass(frozen=True, slots=True)
class _Piece:
    """What stands between two `%`; `masks` has a bit for each place where a letter may stand."""

    text: str
    masks: dict[str, int]
    wild: int

    @classmethod
    def of(cls, text: str) -> "_Piece":
        wild = sum(1 << place for place, letter in enumerate(text) if letter == "_")
        masks: dict[str, int] = {}
        for place, letter in enumerate(text if wild else ""):
            masks[letter] = masks.get(letter, wild) | 1 << place
        return cls(text, masks, wild)

    def is_at(self, text: str, start: int) -> bool:
        if not self.wild:
            return text.startswith(self.text, start)
        found = text[start : start + len(self.text)]
        return len(found) == len(self.text) and all(
            want in {"_", have} for want, have in zip(self.text, found, strict=True)
        )

    def end_in(self, text: str, start: int) -> int:
        """Find where the first occurrence ends; -1 if there is none."""
        if not self.wild:
            found = text.find(self.text, start)
            return found if found < 0 else found + len(self.text)
        whole, begun = 1 << len(self.text) - 1, 0
        # One bit for each beginning of the piece that ends here: a step for each letter.
        for place in range(start, len(text)):
            begun = (begun << 1 | 1) & self.masks.get(text[place], self.wild)
            if begun & whole:
                return place + 1
        return -1


def matching_models(models: Sequence[Any], wanted: str | None) -> list[Any]:
    """Filter registered models as MLflow does.

    Raises:
        MlflowException: the filter can't be read; a client's fault, always.
    """
    return _filtered(_Models, models, wanted)


def matching_versions(versions: Sequence[Any], wanted: str | None) -> list[Any]:
    """Filter versions as MLflow does.

    Raises:
        MlflowException: the filter can't be read; a client's fault, always.
    """
    return _filtered(_Versions, versions, wanted)


def _filtered(kind: Any, shown: Sequence[Any], wanted: str | None) -> list[Any]:
    try:
        return list(kind.filter(shown, wanted))
    except MlflowException:
        raise
    # The parser raises whatever it runs into; with nested brackets, the end of the stack.
    except Exception as exc:
        raise MlflowException.invalid_parameter_value(
            f"The filter can't be read ({type(exc).__name__}): write it as KEY OPERATOR 'VALUE',"
            " joined by AND"
        ) from exc


def _with_pattern(clause: dict[str, Any]) -> dict[str, Any]:
    operator = str(clause["comparator"]).upper()
    if operator in _CASES:
        clause["pattern"] = Like(str(clause["value"]), ignore_case=_CASES[operator])
    return clause


class _Models(SearchModelUtils):  # type: ignore[misc]  # MLflow is untyped
    @classmethod
    def _get_comparison(cls, comparison: Any) -> Any:
        return _with_pattern(super()._get_comparison(comparison))

    @classmethod
    def _does_registered_model_match_clauses(cls, model: Any, sed: Any) -> Any:
        if "pattern" not in sed or not _is_of_text(cls, sed):
            return super()._does_registered_model_match_clauses(model, sed)
        is_tag = sed["type"] == cls._TAG_IDENTIFIER
        found = model._tags.get(sed["key"]) if is_tag else getattr(model, sed["key"])  # noqa: SLF001  # as MLflow
        return found is not None and sed["pattern"].matches(str(found))


class _Versions(SearchModelVersionUtils):  # type: ignore[misc]  # MLflow is untyped
    @classmethod
    def _get_comparison(cls, comparison: Any) -> Any:
        return _with_pattern(super()._get_comparison(comparison))

    @classmethod
    def _does_model_version_match_clauses(cls, mv: Any, sed: Any) -> Any:
        if "pattern" not in sed or not _is_of_text(cls, sed):
            return super()._does_model_version_match_clauses(mv, sed)
        name = {"source_path": "source"}.get(sed["key"], sed["key"])
        found = mv.tags.get(sed["key"]) if sed["type"] == cls._TAG_IDENTIFIER else getattr(mv, name)
        return found is not None and sed["pattern"].matches(str(found))


def _is_of_text(kind: Any, sed: Any) -> bool:
    """Tell whether MLflow would take LIKE here; what it refuses is left to it."""
    operator = sed["comparator"].upper()
    return bool(
        kind.is_tag(sed["type"], operator)
        or kind.is_string_attribute(sed["type"], sed["key"], operator)
    )
