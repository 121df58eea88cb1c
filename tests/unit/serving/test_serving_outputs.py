"""Several outputs of a model under the Open Inference Protocol: each is a tensor by itself."""

import io
import json
from pathlib import Path
from typing import Any

import mlflow.pyfunc
import mlflow.sklearn
import numpy as np
import pytest
from mlflow.models import infer_signature
from mlflow.pyfunc.scoring_server import predictions_to_json
from sklearn.ensemble import RandomForestClassifier
from trainyard_serving import runtimes
from trainyard_serving.batch import Batch
from trainyard_serving.protocols import mlflow as protocol
from trainyard_serving.protocols import v2

X = np.arange(24.0).reshape(12, 2)
THREE, TWO, OTHER_TWO = [0, 1, 2] * 4, [0, 1] * 6, [0, 0, 1] * 4


def written(result: Any, *, rows: int, names: tuple[str, ...] = ()) -> dict[str, list[int]]:
    """Name and shape of each output."""
    asked = v2.Asked(Batch({}, rows), None, ())
    body = json.loads(v2.write(asked, result, model="m", version="1", names=list(names)))
    return {each["name"]: each["shape"] for each in body["outputs"]}


@pytest.fixture(params=[(THREE, TWO), (TWO, OTHER_TWO)], ids=["3 and 2 classes", "2 and 2"])
def forest(request, tmp_path) -> tuple[RandomForestClassifier, Path]:
    """A forest of two outputs that answers with probabilities."""
    estimator = RandomForestClassifier(3, random_state=0).fit(X, np.column_stack(request.param))
    mlflow.sklearn.save_model(
        estimator,
        str(tmp_path / "model"),
        signature=infer_signature(X),
        pyfunc_predict_fn="predict_proba",
        serialization_format="cloudpickle",
        pip_requirements=["scikit-learn"],
    )
    return estimator, tmp_path / "model"


@pytest.mark.parametrize("rows", [1, 2, 3])
def test_probabilities_of_each_output_are_a_tensor_by_themselves(forest, rows):
    estimator, folder = forest
    model, signature, _ = runtimes.load(folder)
    tensor = {"name": "x", "shape": [rows, 2], "datatype": "FP64", "data": X[:rows].tolist()}
    asked = v2.read(json.dumps({"inputs": [tensor]}).encode(), signature)

    body = json.loads(v2.write(asked, model.predict(asked.batch), model="m", version="1", names=[]))

    assert [each["name"] for each in body["outputs"]] == ["predict_0", "predict_1"]
    for output, expected in zip(body["outputs"], estimator.predict_proba(X[:rows]), strict=True):
        assert output["datatype"] == "FP64"
        assert output["shape"] == list(expected.shape)
        assert output["data"] == expected.ravel().tolist()


def test_invocations_answer_several_outputs_as_mlflow_does(forest):
    _, folder = forest
    model, signature, _ = runtimes.load(folder)
    body = json.dumps({"inputs": X[:2].tolist()}).encode()
    theirs = io.StringIO()
    predictions_to_json(mlflow.pyfunc.load_model(str(folder)).predict(X[:2]), theirs)

    ours = protocol.write(model.predict(protocol.read(body, "application/json", signature)))

    assert json.loads(ours) == json.loads(theirs.getvalue())


@pytest.mark.parametrize(
    ("result", "rows", "shapes"),
    [
        ([np.zeros((3, 4)), np.zeros(3)], 3, {"predict_0": [3, 4], "predict_1": [3]}),
        ((np.zeros((2, 2)), np.zeros((2, 2))), 2, {"predict_0": [2, 2], "predict_1": [2, 2]}),
        ([np.zeros(4)] * 3, 3, {"predict": [3, 4]}),
        ([np.zeros(2)] * 2, 2, {"predict": [2, 2]}),
        ((np.zeros((2, 3)),), 2, {"predict": [2, 3]}),
        ([np.zeros(1)], 1, {"predict": [1, 1]}),
        ([1.0, 2.0], 2, {"predict": [2]}),
        ([], 2, {"predict": [0]}),
    ],
    ids=[
        "outputs",
        "a tuple",
        "a vector for each row",
        "either",
        "one output",
        "one row",
        "numbers",
        "nothing",
    ],
)
def test_a_list_of_arrays_is_outputs_only_where_it_can_not_be_rows(result, rows, shapes):
    assert written(result, rows=rows) == shapes


@pytest.mark.parametrize("names", [("label", "score"), ("a", "b")])
def test_outputs_have_the_names_of_the_signature(names):
    assert list(written([np.zeros(2)] * 2, rows=2, names=names)) == list(names)


@pytest.mark.parametrize("names", [("a", "a"), ("a",), ("a", "b", "c"), ("a", "a", "b")])
def test_names_that_do_not_fit_the_outputs_are_not_used(names):
    answer = written((np.zeros(3), np.zeros(3)), rows=3, names=names)

    assert list(answer) == ["predict_0", "predict_1"]
