"""Which models inside an estimator get a request's columns as they are, and in which order."""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from types import FunctionType, ModuleType
from typing import Any, Final

from trainyard_serving.runtimes.own_classes import LEAVES, held_by

_FITTED: Final = ("best_estimator_", "estimator_", "estimators_", "calibrated_classifiers_")
"""What predicts in place of the `estimator` that a search, a vote or a calibration was given."""

_NAMES: Final = ("feature_names_in_", "feature_name", "feature_names")
"""What estimators, LightGBM's boosters and XGBoost's call the names of their columns."""


def models_within(estimator: Any) -> Iterator[Any]:
    """Yield each part that has no parts of its own to ask, once: boosters are among them.

    Follows attributes, lists and mappings. In a pipeline, what comes after a step that makes
    columns of its own is left out: such a step is trusted to make what the model wants.
    """
    seen: set[int] = set()
    rest: list[Any] = [estimator]
    kept: list[Any] = []
    while rest:
        part = rest.pop()
        if isinstance(part, (*LEAVES, type, FunctionType, ModuleType)) or id(part) in seen:
            continue
        seen.add(id(part))
        kept.append(part)  # an object made on the way would leave its id to the next one
        held = held_by(part)
        if held is None:
            yield part
            held = _within(part)
        rest.extend(each for each in held if not isinstance(each, LEAVES))


def names_of(model: Any) -> list[str]:
    """Return the columns of the frame that a model was trained with; none if it tells none."""
    for part in models_within(model):
        for name in _NAMES:
            told = attribute(part, name)
            with suppress(Exception):
                names = list(told() if callable(told) else told)
                if names and all(isinstance(each, str) for each in names):
                    return names
    return []


def attribute(part: Any, name: str) -> Any:
    """Return an attribute, None if there is none: an estimator that is not fitted raises."""
    with suppress(Exception):
        return getattr(part, name)
    return None


def _within(part: Any) -> Iterable[Any]:
    if is_boosted(part):
        return ()
    steps = attribute(part, "steps")
    if isinstance(steps, list):
        return _reached([step for _, step in steps])
    like = type(part).__module__.partition(".")[0] == "sklearn"
    if not like and not any(hasattr(type(part), name) for name in ("fit", "predict", "transform")):
        return ()
    own = vars(part) if hasattr(part, "__dict__") else {}
    replaced = any(name in own for name in _FITTED)
    return [
        value
        for name, value in own.items()
        if f"{name}_" not in own and not (name == "estimator" and replaced)
    ]


def is_boosted(part: Any) -> bool:
    """Say whether a part is an estimator of XGBoost or LightGBM: it answers for its booster."""
    return any(hasattr(type(part), name) for name in ("get_booster", "booster_"))


def _reached(steps: list[Any]) -> list[Any]:
    """Return the steps up to the first that hands no column on as it came."""
    for count, step in enumerate(steps, 1):
        if not _hands_on(step):
            return steps[:count]
    return steps


def _hands_on(step: Any) -> bool:
    """Say whether columns may leave a step of scikit-learn's with the type that they came with."""
    if step is None or isinstance(step, str):
        return step != "drop"
    steps = attribute(step, "steps")
    if isinstance(steps, list):
        return all(_hands_on(each) for _, each in steps)
    parts = attribute(step, "transformers_") or attribute(step, "transformer_list")
    if isinstance(parts, list):
        return any(_hands_on(each[1]) for each in parts)
    if type(step).__name__ == "FunctionTransformer":
        return step.func is None
    # Selections take columns of a frame as they are, and samplers do nothing to a request.
    resamples = hasattr(step, "fit_resample") and not hasattr(step, "transform")
    return resamples or hasattr(step, "get_support")
