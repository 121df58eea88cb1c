"""Columns of pandas' type `category` that a boosted model was trained with.

XGBoost and LightGBM keep the categories and want columns of that type again. A request has none:
the model would refuse each, or, as XGBoost's Booster does, take the numbers for quantities.
"""

import re
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final

from trainyard_api.flavors import settings

from trainyard_serving.errors import LoadError

_KEEPS_CATEGORIES: Final = (3, 1)
"""XGBoost's release since which a model knows its categories, and so whether it has any."""


def refuse_categories(model: Any, mlmodel: Mapping[str, Any]) -> None:
    """Raise for a booster, or a pipeline that begins with one, that was trained with categories.

    Raises:
        LoadError: With the columns' names, as far as the model knows them, and the fix.
    """
    steps = getattr(model, "steps", None)
    first = steps[0][1] if steps else model
    names = _of_lightgbm(first) or _of_xgboost(first, mlmodel)
    if names:
        raise LoadError(
            f"The model was trained with pandas' type category ({', '.join(names):.500}), which"
            " requests can't carry: encode these columns inside the model, as a scikit-learn"
            " pipeline that begins with an OrdinalEncoder does, and log it again"
        )


def _of_lightgbm(model: Any) -> list[str]:
    booster = getattr(model, "booster_", model)
    kept = getattr(booster, "pandas_categorical", None)
    if not kept:
        return []
    params, known = booster.params, booster.feature_name()
    columns = params.get("categorical_column") or params.get("categorical_feature")
    if isinstance(columns, list) and len(columns) == len(kept):
        with suppress(TypeError, IndexError):
            return [known[column] for column in columns]
    return [f"one of {len(each)} values" for each in kept]


def _of_xgboost(model: Any, mlmodel: Mapping[str, Any]) -> list[str]:
    booster = model.get_booster() if hasattr(model, "get_booster") else model
    types = getattr(booster, "feature_types", None)
    if not isinstance(types, list) or "c" not in types or _trained_on_codes(booster, mlmodel):
        return []
    names = booster.feature_names or list(map(str, range(len(types))))
    return [name for name, kind in zip(names, types, strict=False) if kind == "c"]


def _trained_on_codes(booster: Any, mlmodel: Mapping[str, Any]) -> bool:
    """Say whether its categories are numbers to the caller too: then requests can carry them."""
    release = re.match(r"(\d+)\.(\d+)", str(settings(mlmodel, "xgboost").get("xgb_version", "3.1")))
    if release is None or tuple(map(int, release.groups())) < _KEEPS_CATEGORIES:
        return False
    return hasattr(booster, "get_categories") and bool(booster.get_categories().empty())
