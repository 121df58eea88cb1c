"""Models of XGBoost and LightGBM that were trained with pandas' type category."""

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest
from sklearn.pipeline import Pipeline
from trainyard_serving.errors import LoadError
from trainyard_serving.runtimes.categories import refuse_categories

NAMES = ["zone", "size", "code"]


@dataclass
class OfXgboost:
    """What a Booster of XGBoost tells; `kept` is None before it could tell whether it has any."""

    feature_types: list[str] | None = field(default_factory=lambda: ["c", "float", "c"])
    feature_names: list[str] | None = field(default_factory=lambda: list(NAMES))
    kept: bool | None = True

    def __getattr__(self, name: str) -> Any:
        if name == "get_categories" and self.kept is not None:
            return lambda: SimpleNamespace(empty=lambda: not self.kept)
        raise AttributeError(name)


@dataclass
class OfLightgbm:
    """What a Booster of LightGBM tells, trained or read from a file."""

    params: dict[str, Any]
    pandas_categorical: list[list[Any]] = field(default_factory=lambda: [["a", "b"], [10, 20]])

    def feature_name(self) -> list[str]:
        return NAMES


def saved(release: str = "3.2.0") -> dict[str, Any]:
    return {"flavors": {"xgboost": {"xgb_version": release}}}


TRAINED = {"categorical_column": [0, 2]}


@pytest.mark.parametrize(
    ("model", "mlmodel"),
    [
        pytest.param(OfXgboost(), saved(), id="xgboost's booster"),
        pytest.param(OfXgboost(kept=None), saved(), id="xgboost that can not tell"),
        pytest.param(OfXgboost(kept=False), saved("2.1.4"), id="xgboost saved before it kept them"),
        pytest.param(OfXgboost(kept=False), saved("of mine"), id="xgboost of an unknown release"),
        pytest.param(SimpleNamespace(get_booster=OfXgboost), saved(), id="xgboost's estimator"),
        pytest.param(Pipeline([("fit", OfXgboost())]), {"flavors": {}}, id="a pipeline's first"),
        pytest.param(OfLightgbm(TRAINED), saved(), id="lightgbm's booster"),
        pytest.param(OfLightgbm({"categorical_feature": [0, 2]}), saved(), id="lightgbm's file"),
        pytest.param(SimpleNamespace(booster_=OfLightgbm(TRAINED)), saved(), id="its estimator"),
    ],
)
def test_a_model_that_needs_categories_is_refused_with_their_columns(model, mlmodel):
    with pytest.raises(LoadError, match=r"\(zone, code\).*encode these columns inside the model"):
        refuse_categories(model, mlmodel)


def test_a_column_whose_name_is_not_known_is_told_by_its_size():
    with pytest.raises(LoadError, match=r"\(one of 2 values, one of 2 values\)"):
        refuse_categories(OfLightgbm({"categorical_feature": "auto"}), saved())


@pytest.mark.parametrize(
    "model",
    [
        pytest.param(OfXgboost(kept=False), id="trained on codes, which a request can carry"),
        pytest.param(OfXgboost(feature_types=["int", "float", "q"]), id="numbers"),
        pytest.param(OfXgboost(feature_types=None), id="no types"),
        pytest.param(OfLightgbm(TRAINED, pandas_categorical=[]), id="lightgbm on codes"),
        pytest.param(
            Pipeline([("encode", object()), ("fit", OfXgboost())]), id="what a step before encodes"
        ),
    ],
)
def test_a_model_that_takes_numbers_is_served(model):
    refuse_categories(model, saved())
