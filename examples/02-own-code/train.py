"""Fit a line with nothing but Python, and log a model that is code of one's own."""

import argparse
import random

import mlflow
import numpy as np
from line import Line

parser = argparse.ArgumentParser()
parser.add_argument("--noise", type=float, default=0.1)
args = parser.parse_args()

drawn = random.Random(7)
points = [(x / 10, 3 * x / 10 + 1 + drawn.gauss(0, args.noise)) for x in range(100)]

with mlflow.start_run():
    mlflow.log_param("noise", args.noise)
    model = Line.fitted(points)
    error = sum((model.at(x) - y) ** 2 for x, y in points) / len(points)
    mlflow.log_metric("mse", error)
    # The class is in a file beside this one, which travels with the model.
    mlflow.pyfunc.log_model(
        name="model",
        python_model=model,
        code_paths=["line.py"],
        input_example=np.array([[0.0], [1.0]]),
    )
print(f"y = {model.slope:.3f} x + {model.intercept:.3f}, mean squared error {error:.4f}")
