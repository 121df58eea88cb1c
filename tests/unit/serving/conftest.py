"""Models saved by MLflow itself, once for all tests of the model server."""

import warnings
from pathlib import Path

import mlflow.sklearn
import pandas as pd
import pytest
from mlflow.models import infer_signature
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler


@pytest.fixture(scope="session")
def frame() -> pd.DataFrame:
    return pd.DataFrame({"a": [1.0, 2.0, 3.0, 4.0], "b": [1, 1, 0, 0]})


@pytest.fixture(scope="session")
def estimator(frame):
    return make_pipeline(StandardScaler(), LogisticRegression()).fit(frame, [0, 0, 1, 1])


@pytest.fixture(scope="session")
def saved(tmp_path_factory, frame, estimator) -> Path:
    """A scikit-learn pipeline with a signature and an input example."""
    folder = tmp_path_factory.mktemp("models") / "digits"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # MLflow's hints about integers and environments
        mlflow.sklearn.save_model(
            estimator,
            str(folder),
            signature=infer_signature(frame, estimator.predict(frame)),
            input_example=frame[:2],
            pip_requirements=["scikit-learn"],
        )
    return folder
