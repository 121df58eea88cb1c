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
from trainyard_serving.runtimes.boosted import attribute, models_within

_KEEPS_CATEGORIES: Final = (3, 1)
"""XGBoost's release since which a model knows its categories, and so whether it has any."""
_OF_PANDAS: Final = {"int", "float", "i"}
"""Types that XGBoost writes of a frame's columns. With none kept, a model with these is of an
earlier release, logged again by a later one, as likely as one of codes: who makes those has `q`."""
_ASKED: Final = (
    "The model was trained with pandas' type category ({}), which requests can't carry: encode"
    " these columns inside the model, as a scikit-learn pipeline that begins with an"
    " OrdinalEncoder does, and log it again"
)
_OR_CODES: Final = (
    ". If they are codes of your own, which this model can't tell, set feature_names of its"
    " booster to None and log it again"
)


def refuse_categories(model: Any, mlmodel: Mapping[str, Any]) -> None:
    """Raise for a booster, or an estimator with one inside, that was trained with categories.

    Raises:
        LoadError: With the columns' names, as far as the model knows them, and the fix.
    """
    for part in models_within(model):
        names = _of_lightgbm(part)
        if names:
            raise LoadError(_ASKED.format(", ".join(names)[:500]))
        names, certain = _of_xgboost(part, mlmodel)
        if names:
            text = _ASKED if certain else _ASKED + _OR_CODES
            raise LoadError(text.format(", ".join(names)[:500]))


def _of_lightgbm(model: Any) -> list[str]:
    booster = attribute(model, "booster_") or model
    kept = attribute(booster, "pandas_categorical")
    if not kept or not isinstance(kept, list):
        return []
    params, known = booster.params, booster.feature_name()
    columns = params.get("categorical_column") or params.get("categorical_feature")
    if isinstance(columns, list) and len(columns) == len(kept):
        with suppress(TypeError, IndexError):
            return [known[column] for column in columns]
    return [f"one of {len(each)} values" for each in kept]


def _of_xgboost(model: Any, mlmodel: Mapping[str, Any]) -> tuple[list[str], bool]:
    """Return the columns whose categories may be pandas', and whether they are for certain."""
    booster = model
    if hasattr(model, "get_booster"):
        booster = None
        with suppress(Exception):  # not fitted, as what a search was given
            booster = model.get_booster()
    types = attribute(booster, "feature_types")
    if not isinstance(types, list) or "c" not in types:
        return [], True
    names = attribute(booster, "feature_names")
    told = attribute(booster, "get_categories")
    kept = told is not None and not told().empty()
    # XGBoost takes the names of each frame, so that without them it was trained on arrays.
    by_hand = not names or (
        told is not None and not _OF_PANDAS & set(types) and _keeps_categories(mlmodel)
    )
    if by_hand and not kept:
        return [], True
    names = names or list(map(str, range(len(types))))
    return [name for name, kind in zip(names, types, strict=False) if kind == "c"], kept


def _keeps_categories(mlmodel: Mapping[str, Any]) -> bool:
    """Say whether the release that saved it keeps them; the sklearn flavor names none."""
    release = re.match(r"(\d+)\.(\d+)", str(settings(mlmodel, "xgboost").get("xgb_version", "")))
    return release is not None and tuple(map(int, release.groups())) >= _KEEPS_CATEGORIES
