"""Any model that MLflow can load as a Python function."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from trainyard_api import flavors

from trainyard_serving.batch import Array, Batch
from trainyard_serving.errors import LoadError
from trainyard_serving.joining import refuse_other_count
from trainyard_serving.kinds import ANY, BOOLEAN, INTEGER, Kind
from trainyard_serving.runtimes.boosted import names_of
from trainyard_serving.runtimes.categories import refuse_categories
from trainyard_serving.runtimes.frames import frame, in_order, kinds_of
from trainyard_serving.signature import Signature

_BY_ROW: Final = ("xgboost", "lightgbm", "catboost")
"""Flavors whose library predicts row by row. Of a graph (onnx, a neural network) nobody knows."""
_OF_BOOSTERS: Final = ("mlflow.xgboost", "mlflow.lightgbm")
_CHAT: Final = "mlflow.pyfunc.loaders."


def load(folder: Path, mlmodel: dict[str, Any], signature: Signature) -> "PyfuncModel":
    """Load the model by mlflow.pyfunc.

    Raises:
        LoadError: It takes messages in place of rows, or was trained with categories.
    """
    loader = flavors.loader(mlmodel)
    if loader.startswith(_CHAT):
        raise LoadError(
            f"The model takes messages of a chat ({loader}), this server serves models that take"
            " rows: log it as a PythonModel whose predict takes list[dict], or serve it with"
            " mlflow models serve"
        )
    import mlflow.pyfunc  # noqa: PLC0415  # slow to import, and scikit-learn needs it not

    # MLflow reads dates and bytes for type hints from JSON only where it is told so.
    os.environ.setdefault("_MLFLOW_IS_IN_SERVING_ENVIRONMENT", "true")
    model = mlflow.pyfunc.load_model(str(folder))
    order: list[str] = []
    if loader in _OF_BOOSTERS:
        refuse_categories(model.get_raw_model(), mlmodel)
        order = names_of(model.get_raw_model())
    if model.metadata.signature is not None and not _enforced_by_mlflow(signature, order):
        model.metadata.signature.inputs = None
    return PyfuncModel(model, signature, by_row=_by_row(mlmodel), order=order)


def _enforced_by_mlflow(signature: Signature, order: Sequence[str]) -> bool:
    """Say whether MLflow may check the input again.

    It has no way for a missing integer or boolean, and of a frame whose types it did not find
    out when it was saved it would keep the first column only. Columns that a model wants in an
    `order` of its own it would put into the signature's. A column with the name 0 it takes for one
    without a name, and drops it for another.
    """
    moved = any(c.key == 0 for c in signature.columns[1:])
    if moved or (order and signature.columns):
        return False
    gaps = any(c.kind.nullable and c.kind.family in {INTEGER, BOOLEAN} for c in signature.columns)
    return signature.hinted or bool(signature.tensors) or (bool(signature.columns) and not gaps)


def _by_row(mlmodel: dict[str, Any]) -> bool:
    """Say whether a library predicts, and no code of the model's author; see `_BY_ROW`."""
    flavor = flavors.loader(mlmodel).removeprefix("mlflow.")
    if flavor not in _BY_ROW or flavors.PYFUNC in flavors.formats(mlmodel):
        return False
    named = flavors.settings(mlmodel, flavor).get("model_class") or f"{flavor}."
    return str(named).startswith(f"{flavor}.")


class PyfuncModel:
    """A Python function model, called with a data frame, an array, a dict of arrays, or a list."""

    def __init__(
        self, model: Any, signature: Signature, *, by_row: bool, order: Sequence[str] = ()
    ) -> None:
        self._model = model
        self._order = order
        self._hinted = signature.hinted
        self._kinds = kinds_of(signature)
        self._tensors = {tensor.name: tensor.kind for tensor in signature.tensors}
        self.row_independent = by_row
        # Connections, settings and such things belong to the thread that made them.
        self.any_thread = False

    def predict(self, batch: Batch) -> Any:
        """Return the model's answer; code of its author may answer with any number of things.

        Raises:
            ModelFailed: A library's answer has another number of rows than it was asked for.
        """
        params = {"params": batch.params} if batch.params else {}
        result = self._model.predict(self._input(batch), **params)
        if self.row_independent:
            refuse_other_count(result, batch.rows)
        return result

    def _input(self, batch: Batch) -> Any:
        if self._hinted:
            return list(batch.arrays[""])
        if batch.tabular:
            return in_order(frame(batch, self._kinds), self._order)
        arrays = {n: _as_declared(a, self._tensors.get(n)) for n, a in batch.arrays.items()}
        return arrays.get("", arrays)


def _as_declared(array: Array, kind: Kind | None) -> Array:
    """Return a tensor of numpy's own type for text or times, which MLflow asks for."""
    if kind is not None:
        return array if kind.family == ANY else array.astype(np.dtype(kind.name), copy=False)
    texts = array.dtype == object and all(type(value) is str for value in array.flat)
    return array.astype(np.str_) if texts else array
