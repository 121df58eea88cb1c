"""Any model that MLflow can load as a Python function."""

from pathlib import Path
from typing import Any

from trainyard_serving.batch import Batch
from trainyard_serving.signature import Signature


def load(folder: Path, mlmodel: dict[str, Any], signature: Signature) -> "PyfuncModel":
    """Load the model by mlflow.pyfunc."""
    import mlflow.pyfunc  # noqa: PLC0415  # slow to import, and scikit-learn needs it not

    loader = mlmodel["flavors"]["python_function"].get("loader_module")
    return PyfuncModel(
        mlflow.pyfunc.load_model(str(folder)),
        positional=bool(signature.columns) and all(c.name.isdigit() for c in signature.columns),
        # Somebody's own predict may look at all rows, as for a rank or a mean.
        row_independent=loader != "mlflow.pyfunc.model",
    )


class PyfuncModel:
    """A Python function model, called with a data frame, an array or a dict of arrays."""

    def __init__(self, model: Any, *, positional: bool, row_independent: bool) -> None:
        self._model = model
        self._positional = positional
        self.row_independent = row_independent

    def predict(self, batch: Batch) -> Any:
        params = {"params": batch.params} if batch.params else {}
        return self._model.predict(self._input(batch), **params)

    def _input(self, batch: Batch) -> Any:
        if not batch.tabular:
            return batch.arrays.get("", batch.arrays)
        from pandas import DataFrame  # noqa: PLC0415  # slow to import, and tensors need it not

        frame = DataFrame(batch.arrays)
        if self._positional:
            frame.columns = range(len(frame.columns))
        return frame
