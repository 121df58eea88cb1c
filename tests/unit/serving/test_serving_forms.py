"""One model, each form of a request: the number is the one that it gives in its own process."""

import json
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import mlflow.sklearn
import numpy as np
import pandas as pd
import pytest
from mlflow.models import infer_signature
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from trainyard_serving import runtimes
from trainyard_serving.protocols import mlflow as protocol
from trainyard_serving.protocols import v2

TARGET = [1, 0, 0, 1] * 10
DATATYPES = {str: "BYTES", bool: "BOOL", int: "INT64", float: "FP64"}


@dataclass
class Case:
    """A fitted model and rows for it; what is saved with it says whether types are known."""

    model: Any
    rows: pd.DataFrame
    signed: bool = True


def boosted(frame: pd.DataFrame, *, signed: bool = True) -> Case:
    model = HistGradientBoostingClassifier(
        categorical_features="from_dtype", max_iter=5, min_samples_leaf=1
    )
    return Case(model.fit(frame, TARGET), frame[:4], signed)


def categories() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "zone": pd.Categorical(["north", "south", "east", "west"] * 10),
            "code": pd.Categorical([10, 20, 30, 40] * 10),
            "flag": pd.Categorical([True, False, False, True] * 10),
            "size": [float(number % 13) for number in range(40)],
        }
    )


def texts_and_numbers() -> Case:
    frame = pd.DataFrame(
        {
            "text": ["good film", "awful play", "bad film", "great play"] * 10,
            "length": [1.5, 2.0, 0.5, 3.0] * 10,
            "kind": ["a", "b", "b", "a"] * 10,
        }
    )
    columns = make_column_transformer(
        (TfidfVectorizer(), "text"), (StandardScaler(), ["length"]), (OneHotEncoder(), ["kind"])
    )
    return Case(make_pipeline(columns, LogisticRegression()).fit(frame, TARGET), frame[:4])


def whole_numbers_beyond_doubles() -> Case:
    frame = pd.DataFrame({"id": [2**53 + 1, 7, 2**53 + 3, 2**53 + 2] * 10, "one": [0.5] * 40})
    model = make_pipeline(
        make_column_transformer((OneHotEncoder(), ["id"]), remainder="passthrough"),
        LogisticRegression(),
    )
    return Case(model.fit(frame, TARGET), frame[:4])


CASES: dict[str, Callable[[], Case]] = {
    "categories": lambda: boosted(categories()),
    "categories without a signature": lambda: boosted(categories(), signed=False),
    "texts and numbers": texts_and_numbers,
    "whole numbers beyond doubles": whole_numbers_beyond_doubles,
    **{
        kind: lambda kind=kind: boosted(
            pd.DataFrame({"a": pd.array([1, None, 3, 4] * 10, dtype=kind), "b": TARGET})
        )
        for kind in ("Int8", "UInt16", "UInt32", "Int64", "Float32")
    },
}


@pytest.fixture(scope="module", params=list(CASES))
def served(request, tmp_path_factory):
    case = CASES[request.param]()
    folder = tmp_path_factory.mktemp("models") / "m"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # MLflow's hints about integers and pickles
        mlflow.sklearn.save_model(
            case.model,
            str(folder),
            signature=infer_signature(case.rows) if case.signed else None,
            pyfunc_predict_fn="predict_proba",
            serialization_format="cloudpickle",
            pip_requirements=["scikit-learn"],
        )
        return case, runtimes.load(folder)


def cells(rows: pd.DataFrame) -> list[dict[str, Any]]:
    """Give rows as JSON has them."""
    objects = rows.astype(object).where(rows.notna(), None)
    return [dict(zip(rows, each, strict=True)) for each in objects.itertuples(index=False)]


def invocations(form: str, value: Any) -> bytes:
    return json.dumps({form: value}).encode()


def backwards(records: list[dict[str, Any]]) -> dict[str, Any]:
    names = list(records[0])[::-1]
    return {"columns": names, "data": [[each[name] for name in names] for each in records]}


def tensors(records: list[dict[str, Any]]) -> bytes:
    found = []
    for name in records[0]:
        values = [each[name] for each in records]
        datatype = DATATYPES[next((type(v) for v in values if v is not None), float)]
        found.append({"name": name, "shape": [len(values)], "datatype": datatype, "data": values})
    return invocations("inputs", found)


FORMS: dict[str, Callable[[list[dict[str, Any]]], bytes]] = {
    "records": lambda rows: invocations("dataframe_records", rows),
    "split, backwards": lambda rows: invocations("dataframe_split", backwards(rows)),
    "columns": lambda rows: invocations(
        "inputs", {name: [each[name] for each in rows] for name in rows[0]}
    ),
    "objects": lambda rows: invocations("inputs", rows),
    "csv": lambda rows: pd.DataFrame(rows, dtype=object).to_csv(index=False).encode(),
    "the inference protocol": tensors,
}


@pytest.mark.parametrize("form", list(FORMS))
def test_each_form_of_a_request_gets_the_models_own_numbers_together_and_alone(served, form):
    case, (model, signature, _) = served
    expected = case.model.predict_proba(case.rows)
    records = cells(case.rows)

    def answered(rows: list[dict[str, Any]]) -> Any:
        body = FORMS[form](rows)
        if FORMS[form] is tensors:
            return model.predict(v2.read(body, signature).batch)
        media = "text/csv" if form == "csv" else "application/json"
        return model.predict(protocol.read(body, media, signature))

    assert np.allclose(answered(records), expected)
    for index, each in enumerate(records):
        assert np.allclose(answered([each]), expected[index : index + 1])
