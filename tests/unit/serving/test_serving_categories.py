"""Models of XGBoost and LightGBM that were trained with pandas' type category."""

from collections.abc import Callable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import StackingClassifier, VotingClassifier
from sklearn.exceptions import NotFittedError
from sklearn.feature_selection import SelectKBest
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV
from sklearn.multiclass import OneVsRestClassifier
from sklearn.multioutput import MultiOutputClassifier
from sklearn.pipeline import FeatureUnion, Pipeline
from sklearn.preprocessing import FunctionTransformer, OrdinalEncoder
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


class Boosted(ClassifierMixin, BaseEstimator):
    """What the estimators of both libraries do alike."""

    def __init__(self, booster: Any = None) -> None:
        self.booster = booster

    def fit(self, rows: Any, answers: Any) -> "Boosted":
        self.classes_ = np.unique(answers)
        self._Booster = self.booster
        return self

    def predict(self, rows: Any) -> Any:
        return np.resize(self.classes_, len(rows))

    def predict_proba(self, rows: Any) -> Any:
        return np.full((len(rows), 2), 0.5)

    def _fitted(self, trained: Any) -> Any:
        if not hasattr(self, "_Booster"):
            raise NotFittedError("need to call fit beforehand")
        return self._Booster or trained


class XGBClassifier(Boosted):
    def get_booster(self) -> Any:
        return self._fitted(OfXgboost())


class LGBMClassifier(Boosted):
    @property
    def booster_(self) -> Any:
        return self._fitted(OfLightgbm(TRAINED))


ROWS = np.arange(60.0).reshape(20, 3)
ANSWERS = np.array([0, 1] * 10)


def fitted(estimator: Any, answers: Any = ANSWERS) -> Any:
    return estimator.fit(ROWS, answers)


def columns(how: Any) -> ColumnTransformer:
    return ColumnTransformer([("columns", how, [0, 1, 2])])


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


INSIDE: dict[str, Callable[[Any], Any]] = {
    "pipeline": lambda m: Pipeline([("fit", m)]),
    "after a passthrough": lambda m: Pipeline([("all", "passthrough"), ("fit", m)]),
    "after no function": lambda m: Pipeline([("all", FunctionTransformer()), ("fit", m)]),
    "after columns": lambda m: Pipeline([("all", columns("passthrough")), ("fit", m)]),
    "after a selection": lambda m: Pipeline([("best", SelectKBest(k="all")), ("fit", m)]),
    "after a union": lambda m: Pipeline([("u", FeatureUnion([("a", "passthrough")])), ("fit", m)]),
    "a pipeline in one": lambda m: Pipeline([("inner", Pipeline([("fit", m)]))]),
    "search": lambda m: GridSearchCV(m, {"booster": [None]}, cv=2),
    "search of pipelines": lambda m: GridSearchCV(Pipeline([("m", m)]), {"m__booster": [None]}),
    "calibration": lambda m: CalibratedClassifierCV(m, cv=2),
    "calibration of a fitted one": lambda m: CalibratedClassifierCV(FrozenEstimator(fitted(m))),
    "vote": lambda m: VotingClassifier([("a", OneVsRestClassifier(m))]),
    "stack": lambda m: StackingClassifier([("a", m)], cv=2),
    "one versus rest": OneVsRestClassifier,
}
IN_A_PICKLE = {"flavors": {"sklearn": {"sklearn_version": "1.9.1"}}}
"""The sklearn flavor: it does not say which XGBoost a model is of."""


@pytest.mark.parametrize("kind", [XGBClassifier, LGBMClassifier])
@pytest.mark.parametrize("inside", INSIDE)
def test_a_model_inside_an_estimator_is_refused_as_one_alone(kind, inside):
    model = fitted(INSIDE[inside](kind()))

    with pytest.raises(LoadError, match=r"\(zone, code\)"):
        refuse_categories(model, IN_A_PICKLE)


def test_one_of_several_outputs_models_is_refused():
    model = fitted(MultiOutputClassifier(XGBClassifier()), np.column_stack([ANSWERS, ANSWERS]))

    with pytest.raises(LoadError, match=r"\(zone, code\)"):
        refuse_categories(model, IN_A_PICKLE)


def test_a_model_within_code_of_ones_own_is_refused_as_it_may_hand_the_columns_on():
    class Mine(BaseEstimator):
        def predict(self, rows: Any) -> Any:
            return self.inner.predict(rows)

    model = Mine()
    model.inner = {"of all": [fitted(XGBClassifier())]}

    with pytest.raises(LoadError, match=r"\(zone, code\)"):
        refuse_categories(model, IN_A_PICKLE)


def test_categories_that_a_model_keeps_are_seen_without_names():
    with pytest.raises(LoadError, match=r"\(0, 2\)"):
        refuse_categories(OfXgboost(feature_names=None), saved())


def test_an_estimator_of_an_old_release_that_cannot_tell_is_refused_with_both_fixes():
    model = fitted(Pipeline([("fit", XGBClassifier(OfXgboost(kept=False)))]))

    with pytest.raises(LoadError, match=r"encode these columns.*set feature_names .* to None"):
        refuse_categories(model, IN_A_PICKLE)


def test_a_booster_of_an_old_release_logged_again_by_a_new_one_is_refused():
    with pytest.raises(LoadError, match=r"\(zone, code\)"):
        refuse_categories(OfXgboost(kept=False), saved("3.2.0"))


@pytest.mark.parametrize(
    "model",
    [
        pytest.param(XGBClassifier(OfXgboost(feature_types=None)), id="numbers"),
        pytest.param(XGBClassifier(OfXgboost(feature_names=None, kept=False)), id="codes"),
        pytest.param(
            Pipeline([("codes", columns(OrdinalEncoder())), ("m", XGBClassifier())]), id="encoded"
        ),
        pytest.param(
            Pipeline(
                [
                    ("all", "passthrough"),
                    ("codes", OrdinalEncoder()),
                    ("m", XGBClassifier(OfXgboost(kept=False))),
                ]
            ),
            id="codes of an old release, made inside",
        ),
        pytest.param(
            Pipeline([("own", FunctionTransformer(np.abs)), ("m", LGBMClassifier())]),
            id="a step that may make categories",
        ),
        pytest.param(
            VotingClassifier([("a", Pipeline([("e", OrdinalEncoder()), ("m", XGBClassifier())]))]),
            id="a vote of pipelines that encode",
        ),
    ],
)
def test_an_estimator_whose_model_gets_numbers_is_served(model):
    refuse_categories(fitted(model), IN_A_PICKLE)


def test_what_a_search_was_given_is_not_asked():
    search = fitted(GridSearchCV(XGBClassifier(OfXgboost(feature_types=None)), {}, cv=2))
    search.estimator = fitted(XGBClassifier())

    refuse_categories(search, IN_A_PICKLE)


def test_an_estimator_that_holds_itself_is_walked_once():
    model = fitted(Pipeline([("m", XGBClassifier(OfXgboost(feature_types=None)))]))
    model.steps[0][1].parent_ = model
    model.also_ = [model]

    refuse_categories(model, IN_A_PICKLE)


def test_a_column_whose_name_is_not_known_is_told_by_its_size():
    with pytest.raises(LoadError, match=r"\(one of 2 values, one of 2 values\)"):
        refuse_categories(OfLightgbm({"categorical_feature": "auto"}), saved())


@pytest.mark.parametrize(
    "model",
    [
        pytest.param(
            OfXgboost(["c", "q", "c"], kept=False), id="trained on codes, which a request can carry"
        ),
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
