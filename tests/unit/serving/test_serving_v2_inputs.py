"""Inference requests of the Open Inference Protocol, from JSON to columns and back."""

import numpy as np
import orjson
import pytest
from builders.serving import columns, param, tensors
from trainyard_serving.errors import BadInput
from trainyard_serving.protocols import v2
from trainyard_serving.signature import Signature

AB = columns(a="double", b="long")
ONE = tensors(_=(-1, 2))


def v2_input(name="a", shape=(1,), datatype="FP64", data=(1,), **more):
    return {"name": name, "shape": list(shape), "datatype": datatype, "data": list(data), **more}


def v2_read(signature, *inputs, **more):
    return v2.read(orjson.dumps({"inputs": list(inputs), **more}), signature)


@pytest.mark.parametrize(
    "inputs",
    [
        pytest.param([v2_input("a", (2,), data=[1, 3.5]), v2_input("b", (2,), "INT64", [2, 4])]),
        pytest.param(
            [v2_input("a", (2, 1), data=[[1], [3.5]]), v2_input("b", (2, 1), data=[2, 4])]
        ),
        pytest.param([v2_input("predict", (2, 2), "FP32", [1, 2, 3.5, 4])], id="one matrix"),
        pytest.param([v2_input("x", (2, 2), "FP32", [[1, 2], [3.5, 4]])], id="one nested matrix"),
    ],
)
def test_inference_requests_give_the_same_columns(inputs):
    batch = v2_read(AB, *inputs).batch

    assert {n: a.tolist() for n, a in batch.arrays.items()} == {"a": [1.0, 3.5], "b": [2, 4]}


@pytest.mark.parametrize(
    ("inputs", "field"),
    [
        pytest.param([], "inputs", id="no tensors"),
        pytest.param([1], "inputs[0]", id="no object"),
        pytest.param([v2_input(name="")], "inputs[0].name", id="no name"),
        pytest.param([v2_input(datatype="FP8")], "a", id="unknown datatype"),
        pytest.param([v2_input(shape=[-1])], "a", id="negative size"),
        pytest.param([v2_input(shape=[2])], "a", id="too few values"),
        pytest.param([v2_input(shape=[2**62, 2**62])], "a", id="a shape beyond memory"),
        pytest.param([v2_input(shape=[0, 2**40, 2**40], data=[])], "a", id="nothing, but large"),
        pytest.param([v2_input(shape=[1] * 99)], "a", id="too many dimensions"),
        pytest.param([v2_input(shape=[1, 4], data=[[1, 2], [3, 4]])], "a", id="nested otherwise"),
        pytest.param([v2_input(data=["1"])], "a", id="a string for a number"),
        pytest.param([v2_input(datatype="INT8", data=[200])], "a", id="beyond its datatype"),
        pytest.param([v2_input(datatype="BOOL", data=[1])], "a", id="number for boolean"),
        pytest.param([v2_input(), v2_input()], "inputs", id="a name twice"),
        pytest.param([v2_input()], "b", id="missing column"),
        pytest.param([v2_input("m", (1, 3), data=[1, 2, 3])], "m", id="too wide a matrix"),
        pytest.param([v2_input(shape=(1, 2), data=[1, 2])], "a", id="a matrix as a column"),
        pytest.param([{"name": "a", "shape": [1], "datatype": "FP64"}], "a", id="no data"),
    ],
)
def test_bad_inference_requests_name_the_tensor(inputs, field):
    with pytest.raises(BadInput) as caught:
        v2_read(AB, *inputs)

    assert caught.value.field == field


def test_a_single_tensor_fits_whatever_it_is_called():
    batch = v2_read(ONE, v2_input("anything", (2, 2), "FP32", [1, 2, 3, 4])).batch

    assert batch.arrays[""].tolist() == [[1, 2], [3, 4]]


def test_an_inference_response_repeats_the_id_and_selects_outputs():
    asked = v2_read(columns(a="double"), v2_input(), id="r1", outputs=[{"name": "p"}])
    frame = {"p": np.array([0.5, np.nan]), "q": np.array(["x", "y"])}

    body = v2.write(asked, frame, model="m", version="2", names=[])

    assert body == (
        b'{"model_name":"m","model_version":"2","id":"r1","outputs":'
        b'[{"name":"p","shape":[2],"datatype":"FP64","data":[0.5,null]}]}'
    )


def test_an_unknown_output_is_refused():
    asked = v2_read(columns(a="double"), v2_input(), outputs=[{"name": "nope"}])

    with pytest.raises(BadInput) as caught:
        v2.write(asked, np.array([1.0]), model="m", version="2", names=["label"])
    assert caught.value.field == "nope"


def test_a_misspelt_parameter_is_refused_by_name():
    signature = Signature(columns=columns(a="double").columns, params=(param("k", "long", 3),))

    with pytest.raises(BadInput, match="it has: k") as caught:
        v2_read(signature, v2_input(), parameters={"kk": 5})
    assert caught.value.field == "kk"


def test_parameters_that_clients_add_for_other_servers_pass():
    signature = Signature(columns=columns(a="double").columns, params=(param("k", "long", 3),))
    asked = v2_read(signature, v2_input(), parameters={"k": 5, "binary_data_output": False})

    assert asked.batch.params == {"k": 5}
