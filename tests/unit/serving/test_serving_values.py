"""What models are given and what they answer, beside MLflow's own scoring server."""

import datetime as dt
import decimal
import json
from pathlib import Path
from typing import Any

import mlflow.pyfunc
import mlflow.sklearn
import numpy as np
import pandas as pd
import pydantic
import pytest
from builders.serving import columns
from mlflow.models import ModelSignature, infer_signature
from mlflow.pyfunc.scoring_server import invocations
from mlflow.types import ColSpec, ParamSchema, ParamSpec, Schema, TensorSpec
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder
from trainyard_serving import runtimes
from trainyard_serving.errors import BadInput
from trainyard_serving.protocols import mlflow as protocol
from trainyard_serving.protocols import v2
from trainyard_serving.signature import Signature

pytestmark = [
    pytest.mark.filterwarnings("ignore::UserWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]


class Item(pydantic.BaseModel):
    x: float
    n: int = 3


class Items(mlflow.pyfunc.PythonModel):
    def predict(self, model_input: list[Item]):
        return [Item(x=each.x * 2, n=each.n) for each in model_input]


class Mappings(mlflow.pyfunc.PythonModel):
    def predict(self, model_input: list[dict[str, list[float]]]):
        return [repr(sorted(each.items())) for each in model_input]


class Lists(mlflow.pyfunc.PythonModel):
    def predict(self, model_input: list[list[int]]):
        return [sum(each) for each in model_input]


class Times(mlflow.pyfunc.PythonModel):
    def predict(self, model_input: list[dt.datetime]):
        return [repr(each) for each in model_input]


class Shown(mlflow.pyfunc.PythonModel):
    """Answers with what it was called with, types and all."""

    def predict(self, context, model_input, params=None):
        return [f"{described(model_input)} {params}"]


def described(given: Any) -> str:
    if isinstance(given, pd.DataFrame):
        return repr([(name, str(given[name].dtype), given[name].tolist()) for name in given])
    if isinstance(given, dict):
        return repr({name: described(value) for name, value in given.items()})
    return repr((given.dtype.kind, given.tolist()))


def inputs(*specs: ColSpec | TensorSpec) -> ModelSignature:
    return ModelSignature(inputs=Schema(list(specs)))


def of(example: Any) -> ModelSignature:
    return ModelSignature(inputs=infer_signature(example).inputs)


PARAMS = ModelSignature(
    inputs=Schema([ColSpec("double", "a")]),
    params=ParamSchema(
        [
            ParamSpec("when", "datetime", dt.datetime.fromisoformat("2020-01-01")),
            ParamSpec("k", "float", 1.5),
            ParamSpec("l", "long", [1], (-1,)),
        ]
    ),
)
SPLIT = "dataframe_split"
RECORDS = "dataframe_records"
MODELS: dict[str, tuple[Any, Any, list[dict[str, Any]]]] = {
    "pydantic": (Items, None, [{"inputs": [{"x": 1.5}, {"x": 2, "n": 1}]}]),
    "mappings": (Mappings, None, [{"inputs": [{"x": [1.0, 2.5]}]}]),
    "lists": (Lists, None, [{"inputs": [[1, 2], [3]]}, {"inputs": [[1, 2]]}]),
    "times": (Times, None, [{"inputs": ["2020-01-01T00:00:00+02:00", "2020-01-01T00:00:00"]}]),
    "no signature": (
        Shown,
        None,
        [
            {"inputs": {"a": [1, 2], "b": [1.5, 2]}},
            {"inputs": {"a": [18446744073709551615]}},
            {"inputs": ["x", "y"]},
            {"inputs": [[1, 2]]},
            {"instances": [{"a": 1, "b": "x"}, {"a": 2, "b": "y"}]},
            {SPLIT: {"columns": [0, "1"], "data": [[1, "x"]]}},
            {RECORDS: [{"a": 18446744073709551615}, {"a": 1}]},
        ],
    ),
    "names of digits": (
        Shown,
        inputs(ColSpec("double", "0"), ColSpec("double", "1")),
        [{SPLIT: {"columns": ["0", "1"], "data": [[1.5, 2.5]]}}],
    ),
    "names that are integers": (
        Shown,
        inputs(ColSpec("double", 5), ColSpec("long", 6)),
        [{SPLIT: {"columns": [6, 5], "data": [[2, 1.5]]}}],
    ),
    "no names": (
        Shown,
        inputs(ColSpec("double"), ColSpec("string")),
        [{SPLIT: {"data": [[1.5, "x"]]}}],
    ),
    "text tensor": (
        Shown,
        inputs(TensorSpec(np.dtype("str"), (-1,))),
        [{"inputs": ["x", "yy"]}, {RECORDS: [{"q": "x"}]}],
    ),
    "named text tensor": (
        Shown,
        inputs(TensorSpec(np.dtype("str"), (-1, 2), "t")),
        [{"inputs": {"t": [["x", "yy"]]}}],
    ),
    "tensor of times": (
        Shown,
        inputs(TensorSpec(np.dtype("datetime64[s]"), (-1,))),
        [{"inputs": ["2020-01-01"]}],
    ),
    "tensor": (
        Shown,
        inputs(TensorSpec(np.dtype("float32"), (-1, 2))),
        [
            {"inputs": [[1, 2]]},
            {RECORDS: [{"": 1.0, "b": 2.0}, {"b": 4, "": 3}]},
            {SPLIT: {"columns": ["a", "b"], "data": [[1.5, 2.5]]}},
        ],
    ),
    "binary": (Shown, inputs(ColSpec("binary", "b")), [{RECORDS: [{"b": "eHh4\neHg=\n"}]}]),
    "datetime": (
        Shown,
        inputs(ColSpec("datetime", "d")),
        [
            {RECORDS: [{"d": "2020-01-01T00:00:00.123456789"}, {"d": None}]},
            {RECORDS: [{"d": "1999-12-31"}]},
        ],
    ),
    "texts, one missing": (
        Shown,
        inputs(ColSpec("string", "a", required=False)),
        [{RECORDS: [{"a": None}, {"a": "x"}]}],
    ),
    "array column": (
        Shown,
        of([{"q": ["x", "y"], "n": 1}]),
        [{RECORDS: [{"q": ["x", "y"], "n": 1}, {"q": ["z"], "n": 2}]}],
    ),
    "object column": (
        Shown,
        of([{"o": {"k": [1, 2]}, "n": 1}]),
        [
            {"inputs": {"o": {"k": [1, 2]}, "n": 1}},
            {"inputs": [{"o": {"k": [1, 2]}, "n": 1}]},
        ],
    ),
    "unnamed arrays": (Shown, of([[1, 2], [3, 4]]), [{SPLIT: {"data": [[[1, 2]], [[3, 4]]]}}]),
    "parameters": (
        Shown,
        PARAMS,
        [
            {"inputs": {"a": [1.5]}, "params": {"when": "2021-02-03", "k": 0.1}},
            {
                "inputs": {"a": [1.5]},
                "params": {"when": "2021-02-03T04:05:06", "k": 2, "l": [3, 4]},
            },
            {"inputs": {"a": [1.5]}},
        ],
    ),
}


def saved(folder: Path, model: Any, signature: Any) -> Path:
    mlflow.pyfunc.save_model(
        str(folder), python_model=model(), signature=signature, pip_requirements=["mlflow"]
    )
    return folder


def ours(loaded: Any, body: dict[str, Any]) -> Any:
    model, signature, _ = loaded
    batch = protocol.read(json.dumps(body).encode(), "application/json", signature)
    return json.loads(protocol.write(model.predict(batch)))["predictions"]


def theirs(model: Any, body: dict[str, Any]) -> Any:
    schema = model.metadata.get_input_schema()
    reply = invocations(json.dumps(body), "application/json", model, schema)
    return json.loads(reply.response)["predictions"]


@pytest.mark.parametrize("name", MODELS)
def test_a_model_is_given_what_mlflow_gives_it(name, tmp_path, monkeypatch):
    monkeypatch.setenv("_MLFLOW_IS_IN_SERVING_ENVIRONMENT", "true")
    kind, signature, bodies = MODELS[name]
    folder = saved(tmp_path / "model", kind, signature)
    loaded, reference = runtimes.load(folder), mlflow.pyfunc.load_model(str(folder))

    for body in bodies:
        assert ours(loaded, body) == theirs(reference, body)


def test_a_whole_frame_of_unknown_types_keeps_all_its_columns(tmp_path):
    # MLflow writes one column of any type for it, and then hands over the first column only.
    frame = pd.DataFrame({"a": [decimal.Decimal("1.5")], "b": [1]})
    loaded = runtimes.load(saved(tmp_path / "model", Shown, of(frame)))

    assert ours(loaded, {RECORDS: [{"a": 1.5, "b": 1}]}) == [
        "[('a', 'float64', [1.5]), ('b', 'int64', [1])] None"
    ]


def test_a_column_with_the_name_zero_is_kept_wherever_it_stands(tmp_path):
    signature = inputs(ColSpec("double", 1), ColSpec("double", 0))  # MLflow hands over 1 alone
    loaded = runtimes.load(saved(tmp_path / "model", Shown, signature))

    (told,) = ours(loaded, {SPLIT: {"columns": [0, 1], "data": [[0.5, 1.5]]}})
    assert told == "[(1, 'float64', [1.5]), (0, 'float64', [0.5])] None"


def test_missing_integers_and_booleans_reach_a_python_function(tmp_path):
    optional = [ColSpec("long", "n", required=False), ColSpec("boolean", "f", required=False)]
    loaded = runtimes.load(saved(tmp_path / "model", Shown, inputs(*optional)))

    (told,) = ours(loaded, {RECORDS: [{"n": 2**60 + 1, "f": None}, {"f": True}]})

    assert told.startswith("[('n', 'Int64', [1152921504606846977, <NA>]), ('f', 'boolean', [<NA>,")


def test_array_columns_in_an_object_are_one_row_or_columns():
    signature = Signature(
        runtimes.signature_of({"signature": of([{"q": ["x"], "n": 1}]).to_dict()}).columns
    )

    def rows(value: Any) -> dict[str, Any]:
        batch = protocol.read(json.dumps({"inputs": value}).encode(), "", signature)
        return {name: array.tolist() for name, array in batch.arrays.items()}

    assert rows({"q": ["x", "y"], "n": 1}) == {"q": [["x", "y"]], "n": [1]}
    assert rows({"q": [["x", "y"], ["z"]], "n": [1, 2]}) == {"q": [["x", "y"], ["z"]], "n": [1, 2]}


@pytest.fixture(scope="module")
def gaps(tmp_path_factory) -> tuple[Any, Any, pd.DataFrame]:
    """A model of nullable columns and one of texts with gaps, and what it was trained with."""
    frame = pd.DataFrame(
        {
            "age": pd.array([41, None, 23, 35] * 5, dtype="Int64"),
            "member": pd.array([True, None, False, True] * 5, dtype="boolean"),
            "income": [3000.0, 1200.0, None, 900.0] * 5,
            "town": ["x", None, "y", "x"] * 5,
        }
    )
    encoded = make_pipeline(
        SimpleImputer(strategy="most_frequent"), OneHotEncoder(handle_unknown="ignore")
    )
    estimator = make_pipeline(
        ColumnTransformer(
            [("t", encoded, ["town"]), ("n", SimpleImputer(), ["age", "member", "income"])]
        ),
        HistGradientBoostingClassifier(max_iter=5, min_samples_leaf=2),
    ).fit(frame, [1, 0, 0, 1] * 5)
    folder = tmp_path_factory.mktemp("models") / "gaps"
    mlflow.sklearn.save_model(
        estimator,
        str(folder),
        signature=infer_signature(frame),
        pyfunc_predict_fn="predict_proba",
        serialization_format="cloudpickle",
        pip_requirements=["scikit-learn"],
    )
    return runtimes.load(folder), estimator, frame


def test_missing_values_predict_what_they_did_in_training(gaps):
    loaded, estimator, frame = gaps
    records = json.loads(frame[:4].to_json(orient="records"))
    tensors = [
        {"name": n, "shape": [4], "datatype": d, "data": [each[n] for each in records]}
        for n, d in [("age", "INT64"), ("member", "BOOL"), ("income", "FP64"), ("town", "BYTES")]
    ]
    model, signature, _ = loaded
    by_v2 = model.predict(v2.read(json.dumps({"inputs": tensors}).encode(), signature).batch)

    assert np.allclose(ours(loaded, {RECORDS: records}), estimator.predict_proba(frame[:4]))
    assert np.allclose(by_v2, estimator.predict_proba(frame[:4]))


def test_a_row_alone_gets_what_it_gets_among_others(gaps):
    loaded, _, frame = gaps
    records = json.loads(frame[:4].to_json(orient="records"))
    together = ours(loaded, {RECORDS: records})

    for record, expected in zip(records, together, strict=True):
        assert np.allclose(ours(loaded, {RECORDS: [record]}), [expected])
        bare = {name: value for name, value in record.items() if value is not None}
        assert np.allclose(ours(loaded, {RECORDS: [bare]}), [expected])


@pytest.mark.parametrize(
    ("body", "row"),
    [('{"dataframe_records":[{"n":1},{"n":null}]}', 1), ('{"inputs":{"f":[null]}}', 0)],
)
def test_null_in_a_required_integer_or_boolean_names_column_and_row(body, row):
    signature = columns("f", n="long", f="boolean") if '"n"' in body else columns(f="boolean")

    with pytest.raises(BadInput, match="required") as caught:
        protocol.read(body.encode(), "", signature)
    assert caught.value.row == row


def test_text_with_a_missing_value_does_not_change_with_its_neighbours():
    """The type of a text column is the signature's, also when nothing in it is a text."""
    from trainyard_serving.runtimes.frames import frame, kinds_of  # noqa: PLC0415  # needs pandas

    signature = columns("s", s="string")
    alone = protocol.read(b'{"inputs":{"s":[null]}}', "", signature)
    among = protocol.read(b'{"inputs":{"s":[null,"x"]}}', "", signature)
    kinds = kinds_of(signature)

    one, several = frame(alone, kinds), frame(among, kinds)

    assert one["s"].dtype == several["s"].dtype
    assert one["s"].tolist() == several["s"].tolist()[:1] or np.isnan(one["s"][0])


@pytest.mark.parametrize(
    "inputs",
    [
        [("x", [2, 2], "FP64", [1, 2, 3, 4])],
        [("x", [2], "FP64", [1, 3]), ("y", [2, 1], "INT64", [2, 4])],
        [("0", [2], "FP64", [1, 3]), ("1", [2], "FP64", [2, 4])],
    ],
    ids=["a matrix", "by position", "by number"],
)
def test_columns_without_names_go_by_position_over_v2(inputs):
    text = '[{"type": "double"}, {"type": "long"}]'
    signature = runtimes.signature_of({"signature": {"inputs": text}})
    keys = ("name", "shape", "datatype", "data")
    body = {"inputs": [dict(zip(keys, each, strict=True)) for each in inputs]}

    batch = v2.read(json.dumps(body).encode(), signature).batch

    assert {n: a.tolist() for n, a in batch.arrays.items()} == {0: [1.0, 3.0], 1: [2, 4]}


@pytest.mark.parametrize(
    ("inputs", "items"),
    [
        ([("x", [2], "FP64", [1, 2])], [1.0, 2.0]),
        ([("x", [2, 2], "INT64", [1, 2, 3, 4])], [[1, 2], [3, 4]]),
        (
            [("x", [2], "FP64", [1, 2]), ("s", [2], "BYTES", ["a", "b"])],
            [{"x": 1.0, "s": "a"}, {"x": 2.0, "s": "b"}],
        ),
    ],
)
def test_type_hints_get_values_or_objects_over_v2(inputs, items):
    keys = ("name", "shape", "datatype", "data")
    body = {"inputs": [dict(zip(keys, each, strict=True)) for each in inputs]}

    batch = v2.read(json.dumps(body).encode(), Signature(hinted=True)).batch

    assert (list(batch.arrays[""]), batch.rows) == (items, 2)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ('{"dataframe_split":{"columns":["x"],"data":[[1]]}}', "type hint"),
        ('{"inputs":{"x":1}}', "type hint"),
        ('{"inputs":[]}', "no rows"),
    ],
)
def test_what_type_hints_can_not_take_is_refused_in_words(body, words):
    with pytest.raises(BadInput, match=words):
        protocol.read(body.encode(), "", Signature(hinted=True))
