"""scikit-learn models, loaded without MLflow.

The policy is MLflow's: what `pyfunc_predict_fn` named when the model was saved is called.
"""

import importlib
import pickle
import sys
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
from trainyard_api.flavors import GENERIC

from trainyard_serving.batch import Array, Batch, Label
from trainyard_serving.errors import LoadError
from trainyard_serving.joining import refuse_other_count
from trainyard_serving.kinds import Kind
from trainyard_serving.runtimes.boosted import names_of
from trainyard_serving.runtimes.categories import refuse_categories
from trainyard_serving.runtimes.frames import frame, in_order, kinds_of
from trainyard_serving.runtimes.own_classes import NEAREST, classes_of, parts_of
from trainyard_serving.signature import Signature

_NUMERIC = "fiub"
_BY_NAME: Final = frozenset({"ColumnTransformer", "FunctionTransformer"})
_BY_COLUMN: Final = _BY_NAME | {"OneHotEncoder", "OrdinalEncoder", "TargetEncoder"}
"""These compare each column's values in its own type: in an array, integers of 64 bits beside
numbers with fractions would be rounded, and become another category."""
_BY_ROW: Final = frozenset(
    {"predict", "predict_proba", "predict_log_proba", "decision_function"}
    | {"transform", "score_samples", "apply"}
)
"""Methods that answer once for each row, by scikit-learn's contract."""
_LISTS_OUTPUTS: Final = frozenset({"predict_proba", "predict_log_proba"})
"""Methods of which a list is an array for each output."""


def load(folder: Path, mlmodel: dict[str, Any], signature: Signature) -> "SklearnModel":
    """Load the estimator of the sklearn flavor.

    Raises:
        LoadError: It can't be read, or can't be served.
    """
    flavor = mlmodel["flavors"]["sklearn"]
    path = folder / flavor.get("pickled_model", "model.pkl")
    _add_code(folder, mlmodel)
    estimator = _estimator(path, flavor)
    refuse_categories(estimator, mlmodel)
    function = (mlmodel["flavors"].get(GENERIC) or {}).get("predict_fn", "predict")
    if not hasattr(estimator, function):
        raise LoadError(f"{type(estimator).__name__} has no method {function!r}")
    # Arrays in place of frames is a choice of ours, made only where the names can't matter.
    warnings.filterwarnings("ignore", message="X does not have valid feature names")
    return SklearnModel(
        estimator,
        function,
        as_array=_takes_arrays(estimator, signature),
        kinds=kinds_of(signature),
    )


def _estimator(path: Path, flavor: dict[str, Any]) -> Any:
    """Deserialise: this runs the model's own code, as every pickle does."""
    form = flavor.get("serialization_format", "pickle")
    if form == "skops":
        skops_io = importlib.import_module("skops.io")  # only models in this format need it
        return skops_io.load(path, trusted=flavor.get("skops_trusted_types"))
    if form not in {"pickle", "cloudpickle"}:
        raise LoadError(f"The model's serialization format {form!r} is not one we read")
    with path.open("rb") as file:
        return pickle.load(file)  # noqa: S301  # the pod has no credentials, the digest is verified


def _add_code(folder: Path, mlmodel: dict[str, Any]) -> None:
    """Make the modules saved with the model importable, as MLflow does."""
    code = (mlmodel["flavors"].get(GENERIC) or {}).get("code")
    if code:
        sys.path.insert(0, str(folder / code))


def _takes_arrays(estimator: Any, signature: Signature) -> bool:
    """Say whether an array of the columns is the same to the estimator as a data frame.

    It is faster by a factor, but column transformers select by name, and frames keep types.
    """
    columns = signature.columns
    if not columns or any(c.kind.dtype.kind not in _NUMERIC or not c.required for c in columns):
        return False
    parts = parts_of(estimator)
    if parts is None:
        return False
    names = getattr(estimator, "feature_names_in_", None)
    if names is None:
        # A pipeline that begins with "passthrough" knows none, but what comes after it does.
        if any("feature_names_in_" in getattr(part, "__dict__", {}) for part in parts):
            return False
    elif list(names) != [c.label for c in columns]:
        return False
    classes = {type(part).__name__ for part in parts}
    return not classes & (_BY_NAME if len({c.kind.dtype for c in columns}) == 1 else _BY_COLUMN)


def _reads_texts(estimator: Any) -> bool:
    """Say whether the first step takes texts one by one: of a frame it would read the names."""
    if hasattr(estimator, "transformer_list"):
        return any(_reads_texts(part) for _, part in estimator.transformer_list)
    if getattr(estimator, "steps", None):
        steps = [step for _, step in estimator.steps if step not in {None, "passthrough"}]
        return bool(steps) and _reads_texts(steps[0])
    inner = getattr(estimator, "best_estimator_", getattr(estimator, "estimator", None))
    if hasattr(inner, "fit"):
        return _reads_texts(inner)
    names = {f"{c.__module__}.{c.__name__}" for c in type(estimator).__mro__}
    return bool(names & _VECTORIZERS)


_VECTORIZERS: Final = frozenset(
    f"sklearn.feature_extraction.text.{name}" for name in ("CountVectorizer", "HashingVectorizer")
)


class SklearnModel:
    """An estimator, called with what it was trained with: a frame, an array, or texts."""

    def __init__(
        self,
        estimator: Any,
        function: str,
        *,
        as_array: bool,
        kinds: Mapping[Label, Kind] | None = None,
    ) -> None:
        self._call = getattr(estimator, function)
        self._as_array = as_array
        self._as_texts = _reads_texts(estimator)
        self._order = [] if as_array else names_of(estimator)
        self._kinds = kinds or {}
        self._by_row = function in _BY_ROW
        self._lists_outputs = function in _LISTS_OUTPUTS
        classes = classes_of(estimator)
        self.any_thread = classes is not None
        self.row_independent = self._by_row and classes is not None and not classes & NEAREST

    def predict(self, batch: Batch) -> Any:
        """Return the estimator's answer.

        Raises:
            ModelFailed: It has another number of rows than it was asked for.
        """
        result = self._call(self._input(batch))
        if self._by_row:
            refuse_other_count(result, batch.rows)
        # As a tuple, which is taken for rows by nobody.
        return tuple(result) if self._lists_outputs and isinstance(result, list) else result

    def _input(self, batch: Batch) -> Any:
        if self._as_texts and (batch.tabular or "" not in batch.arrays):
            return _single(batch).ravel()
        if not batch.tabular and "" in batch.arrays:
            return _single(batch)
        if self._as_array:
            return np.column_stack(list(batch.arrays.values()))
        if all(array.ndim <= 1 for array in batch.arrays.values()):
            flat = {name: np.atleast_1d(array) for name, array in batch.arrays.items()}
            return in_order(frame(Batch(flat, batch.rows), self._kinds), self._order)
        return _single(batch)


def _single(batch: Batch) -> Array:
    if len(batch.arrays) > 1:
        raise ValueError(f"the model takes one array, not {', '.join(map(str, batch.arrays))}")
    return next(iter(batch.arrays.values()))
