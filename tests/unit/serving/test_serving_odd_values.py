"""Parameters, times and outputs whose values are not plain numbers."""

import datetime as dt
import json

import numpy as np
import pandas as pd
import pydantic
import pytest
from builders.serving import columns, param
from trainyard_serving import params, runtimes
from trainyard_serving.batch import Batch
from trainyard_serving.errors import BadInput, LoadError
from trainyard_serving.protocols import mlflow as protocol
from trainyard_serving.protocols import v2
from trainyard_serving.signature import Param, Signature


class Item(pydantic.BaseModel):
    x: float
    n: int = 3


@pytest.mark.parametrize(
    ("value", "of_kind"), [("2026-11-24T10:00:00+02:00", "datetime"), (2, "double"), (2, "float")]
)
def test_parameters_are_pythons_own_values(value, of_kind):
    signature = Signature(params=(param("k", of_kind, 0),))

    (found,) = params.checked({"k": value}, signature).values()

    assert found == (
        dt.datetime.fromisoformat("2026-11-24T08:00:00") if of_kind == "datetime" else 2.0
    )
    assert type(found) in {dt.datetime, float}


@pytest.mark.parametrize("kind", ["double", "float", "string", "datetime"])
def test_a_missing_parameter_is_none_as_mlflow_hands_it_over(kind):
    """`if top is None` in a model would be false for NaN."""
    named, of = param("one", kind, "given"), param("k", kind).kind
    signature = Signature(params=(named, Param("many", of, [1], listed=True)))

    found = params.checked({"one": None, "many": [None]}, signature)

    assert found == {"one": None, "many": [None]}


@pytest.mark.parametrize(
    ("value", "listed", "words"), [("x", False, "'k': expected"), ([1, "x"], True, "'k': item 1:")]
)
def test_a_parameter_is_no_row(value, listed, words):
    kind = param("k", "long").kind
    signature = Signature(params=(Param("k", kind, [1] if listed else 1, listed),))

    with pytest.raises(BadInput, match=words) as caught:
        params.checked({"k": value}, signature)
    assert caught.value.row is None


@pytest.mark.parametrize(
    ("text", "words"),
    [("2026-11-24T10:00:00.1234567891", "finer than a nanosecond"), ("1600-01-01", "not fit")],
)
def test_a_time_that_nanoseconds_can_not_hold_is_refused(text, words):
    with pytest.raises(BadInput, match=words):
        protocol.read(json.dumps({"inputs": {"t": [text]}}).encode(), "", columns(t="datetime"))


def test_null_is_no_text_of_a_tensor():
    text = '[{"type": "tensor", "tensor-spec": {"dtype": "str", "shape": [-1]}}]'
    signature = runtimes.signature_of({"signature": {"inputs": text}})

    with pytest.raises(BadInput, match="null"):
        protocol.read(b'{"inputs": ["x", null]}', "", signature)


def test_datatypes_of_several_tensors_hold_without_a_signature():
    body = {
        "inputs": [
            {"name": "a", "shape": [1], "datatype": "FP32", "data": [1]},
            {"name": "b", "shape": [1, 1], "datatype": "INT8", "data": [1]},
        ]
    }
    batch = v2.read(json.dumps(body).encode(), Signature()).batch

    assert {n: str(a.dtype) for n, a in batch.arrays.items()} == {"a": "float32", "b": "int8"}
    assert batch.tabular


@pytest.mark.parametrize(
    ("result", "datatype", "data"),
    [
        ([("a", 1), ("b", 2)], "BYTES", ['["a",1]', '["b",2]']),
        ([[1, 2], [3]], "BYTES", ["[1,2]", "[3]"]),
        ([{"role": "a"}], "BYTES", ['{"role":"a"}']),
        ([Item(x=1)], "BYTES", ['{"x":1.0,"n":3}']),
        (np.array(["2020-01-01", "NaT"], dtype="M8[s]"), "BYTES", ["2020-01-01T00:00:00", None]),
        (np.array([1, "NaT"], dtype="m8[s]"), "INT64", [1_000_000_000, None]),
        (np.ma.masked_array([1, 2], [0, 1]), "INT64", [1, None]),
        (np.array([True, None], dtype=object), "BOOL", [True, None]),
        (np.array(["x", None], dtype=object), "BYTES", ["x", None]),
        (pd.Series([1.5, None], dtype="Float64"), "FP64", [1.5, None]),
        ([1, None], "INT64", [1, None]),
        ([1, None, 2.5], "FP64", [1, None, 2.5]),
    ],
)
def test_an_output_has_the_datatype_of_its_values(result, datatype, data):
    asked = v2.Asked(Batch({}, len(data)), None, ())

    body = json.loads(v2.write(asked, result, model="m", version="1", names=["p"]))

    (output,) = body["outputs"]
    assert (output["datatype"], output["data"]) == (datatype, data)
    assert output["shape"] == [len(data)]


@pytest.mark.parametrize(
    ("result", "predictions"),
    [
        ([Item(x=1)], [{"x": 1.0, "n": 3}]),
        (np.ma.masked_array([[1, 2]], [[0, 1]]), [[1, None]]),
        (np.array(["2020-01-01", "NaT"], dtype="M8[s]"), ["2020-01-01T00:00:00", None]),
        (np.datetime64("NaT"), None),
    ],
)
def test_predictions_hold_no_value_that_is_none(result, predictions):
    assert json.loads(protocol.write(result)) == {"predictions": predictions}


@pytest.mark.parametrize("loader", ["chat_model", "chat_agent", "responses_agent"])
def test_a_chat_model_is_refused_in_words(tmp_path, loader):
    flavor = {"loader_module": f"mlflow.pyfunc.loaders.{loader}"}
    (tmp_path / "MLmodel").write_text(json.dumps({"flavors": {"python_function": flavor}}))

    with pytest.raises(LoadError, match="messages of a chat"):
        runtimes.load(tmp_path)


def test_inputs_of_nothing_but_nulls_are_objects_where_no_signature_says_more():
    batch = protocol.read(b'{"inputs": {"a": [null, null], "b": [1, 2]}}', "", Signature())

    assert batch.arrays["a"].tolist() == [None, None]
    assert str(batch.arrays["b"].dtype) == "int64"


@pytest.mark.parametrize(
    ("read", "body"),
    [
        pytest.param(
            lambda body: v2.read(body, Signature()),
            {"inputs": [{"name": "a", "shape": [2], "datatype": "INT64", "data": [1, None]}]},
            id="a tensor without a signature",
        ),
        pytest.param(
            lambda body: protocol.read(body, "", columns(a="long")),
            {"inputs": {"a": [1, None]}},
            id="a column",
        ),
    ],
)
def test_null_where_it_is_not_possible_is_told_with_the_way_to_allow_it(read, body):
    with pytest.raises(BadInput, match="only where the model's signature says optional"):
        read(json.dumps(body).encode())


def test_an_object_for_a_tensor_without_a_name_is_told_what_to_send():
    text = '[{"type": "tensor", "tensor-spec": {"dtype": "float64", "shape": [-1, 2]}}]'
    signature = runtimes.signature_of({"signature": {"inputs": text}})

    with pytest.raises(BadInput, match="one tensor without a name: send an array") as caught:
        protocol.read(b'{"inputs": {"a": [[1, 2]]}}', "", signature)
    assert caught.value.field == "inputs"
