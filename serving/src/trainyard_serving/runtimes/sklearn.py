"""scikit-learn models, loaded without MLflow.

The policy is MLflow's: what `pyfunc_predict_fn` named when the model was saved is called.
"""

import importlib
import pickle
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from trainyard_serving.batch import Array, Batch
from trainyard_serving.errors import LoadError
from trainyard_serving.signature import Signature

_NUMERIC = "fiub"


def load(folder: Path, mlmodel: dict[str, Any], signature: Signature) -> "SklearnModel":
    """Load the estimator of the sklearn flavor."""
    flavor = mlmodel["flavors"]["sklearn"]
    path = folder / flavor.get("pickled_model", "model.pkl")
    _add_code(folder, mlmodel)
    estimator = _estimator(path, flavor)
    function = (mlmodel["flavors"].get("python_function") or {}).get("predict_fn", "predict")
    if not hasattr(estimator, function):
        raise LoadError(f"{type(estimator).__name__} has no method {function!r}")
    # Arrays in place of frames is a choice of ours, made only where the names can't matter.
    warnings.filterwarnings("ignore", message="X does not have valid feature names")
    return SklearnModel(estimator, function, as_array=_takes_arrays(estimator, signature))


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
    code = (mlmodel["flavors"].get("python_function") or {}).get("code")
    if code:
        sys.path.insert(0, str(folder / code))


def _takes_arrays(estimator: Any, signature: Signature) -> bool:
    """Say whether an array of the columns is the same to the estimator as a data frame.

    It is faster by a factor, but column transformers select by name, and frames keep types.
    """
    columns = signature.columns
    if not columns or any(c.kind.dtype.kind not in _NUMERIC or not c.required for c in columns):
        return False
    names = getattr(estimator, "feature_names_in_", None)
    if names is not None and list(names) != [c.name for c in columns]:
        return False
    return all(type(part).__module__.startswith("sklearn.") for part in _parts(estimator)) and not (
        any(
            type(part).__name__ in {"ColumnTransformer", "FunctionTransformer"}
            for part in _parts(estimator)
        )
    )


def _parts(estimator: Any) -> list[Any]:
    """Return the estimator and all estimators in its parameters."""
    params = estimator.get_params(deep=True).values() if hasattr(estimator, "get_params") else ()
    return [estimator, *(p for p in params if hasattr(p, "fit"))]


class SklearnModel:
    """An estimator, called with what it was trained with: a frame, or an array."""

    row_independent = True

    def __init__(self, estimator: Any, function: str, *, as_array: bool) -> None:
        self._call = getattr(estimator, function)
        self._as_array = as_array

    def predict(self, batch: Batch) -> Any:
        return self._call(self._input(batch))

    def _input(self, batch: Batch) -> Any:
        if not batch.tabular:
            return _single(batch)
        if self._as_array:
            return np.column_stack(list(batch.arrays.values()))
        from pandas import DataFrame  # noqa: PLC0415  # slow to import, and arrays need it not

        return DataFrame(batch.arrays)


def _single(batch: Batch) -> Array:
    if len(batch.arrays) > 1:
        raise ValueError(f"scikit-learn takes one tensor, not {', '.join(batch.arrays)}")
    return next(iter(batch.arrays.values()))
