"""A line through points: a model without a library."""

from collections.abc import Sequence

import mlflow
import numpy as np


class Line(mlflow.pyfunc.PythonModel):
    """y = slope * x + intercept."""

    def __init__(self, slope: float, intercept: float) -> None:
        self.slope, self.intercept = slope, intercept

    @classmethod
    def fitted(cls, points: Sequence[tuple[float, float]]) -> "Line":
        """Return the line with the least squared error (https://en.wikipedia.org/wiki/Simple_linear_regression)."""
        mean_x = sum(x for x, _ in points) / len(points)
        mean_y = sum(y for _, y in points) / len(points)
        spread = sum((x - mean_x) ** 2 for x, _ in points)
        slope = sum((x - mean_x) * (y - mean_y) for x, y in points) / spread
        return cls(slope, mean_y - slope * mean_x)

    def at(self, x: float) -> float:
        """Return y at a place."""
        return self.slope * x + self.intercept

    # Without a type: MLflow would take one for the schema of the input.
    def predict(self, context, model_input, params=None) -> list[float]:
        """Return y for each row, of which the first column is x."""
        return [self.at(float(row[0])) for row in np.asarray(model_input)]
