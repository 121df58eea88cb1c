"""Every way to be wrong names the field and the row; every way to be right gives the same rows."""

import tracemalloc

import numpy as np
import orjson
import pytest
from builders.serving import columns, param, tensors
from trainyard_serving import protocols
from trainyard_serving.errors import BadInput, UnsupportedMedia
from trainyard_serving.kinds import MLFLOW_KINDS, typed
from trainyard_serving.protocols import cells, mlflow
from trainyard_serving.signature import Signature
from trainyard_serving.table import MAX_COLUMNS
from trainyard_serving.web.routes import INLINE_CELLS

AB = columns(a="double", b="long")
ONE = tensors(_=(-1, 2))
TWO = tensors(x=(-1, 2), y=(-1,))
NONE = Signature()


def read(body: str, signature: Signature, media: str = "application/json"):
    return mlflow.read(body.encode(), media, signature)


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(
            '{"dataframe_split":{"columns":["a","b"],"data":[[1,2],[3.5,4]]}}', id="split"
        ),
        pytest.param(
            '{"dataframe_split":{"columns":["b","a"],"data":[[2,1],[4,3.5]]}}', id="order"
        ),
        pytest.param('{"dataframe_split":{"data":[[1,2],[3.5,4]]}}', id="split without names"),
        pytest.param('{"dataframe_records":[{"a":1,"b":2},{"b":4.0,"a":3.5}]}', id="records"),
        pytest.param('{"dataframe_records":[{"a":1,"b":2,"z":"x"},{"a":3.5,"b":4}]}', id="extra"),
        pytest.param('{"instances":[{"a":1,"b":2},{"a":3.5,"b":4}]}', id="instances of objects"),
        pytest.param('{"instances":[[1,2],[3.5,4]]}', id="instances of rows"),
        pytest.param('{"inputs":{"a":[1,3.5],"b":[2,4]}}', id="inputs by column"),
        pytest.param('{"inputs":[[1,2],[3.5,4]]}', id="inputs of rows"),
    ],
)
def test_each_form_gives_the_same_columns(body):
    batch = read(body, AB)

    assert {n: a.tolist() for n, a in batch.arrays.items()} == {"a": [1.0, 3.5], "b": [2, 4]}
    assert [a.dtype.name for a in batch.arrays.values()] == ["float64", "int64"]
    assert list(batch.arrays) == ["a", "b"]


WRONG = [
    ("no JSON", "{", AB, None, None),
    ("nothing", "", AB, None, None),
    ("NaN is no JSON", '{"instances":[[NaN,1]]}', AB, None, None),
    ("too deep", '{"inputs":' + "[" * 2000 + "]" * 2000 + "}", AB, None, None),
    ("an array", "[1]", AB, None, None),
    ("no known form", '{"rows":[]}', AB, None, None),
    ("two forms", '{"inputs":[],"instances":[]}', AB, None, None),
    ("no rows", '{"instances":[]}', AB, None, None),
    ("no columns", '{"inputs":{}}', AB, "a", None),
    ("missing column", '{"inputs":{"a":[1]}}', AB, "b", None),
    ("missing in a row", '{"dataframe_records":[{"a":1,"b":2},{"a":1}]}', AB, "b", 1),
    ("string for number", '{"instances":[[1,2],["x",2]]}', AB, "a", 1),
    ("digits as string", '{"instances":[["1",2]]}', AB, "a", 0),
    ("boolean for number", '{"instances":[[true,2]]}', AB, "a", 0),
    ("fraction for long", '{"instances":[[1,2],[1,2.5]]}', AB, "b", 1),
    ("null for long", '{"instances":[[1,null]]}', AB, "b", 0),
    ("beyond long", '{"instances":[[1,9223372036854775808]]}', AB, "b", 0),
    ("huge integer for long", '{"instances":[[1,1e30]]}', AB, "b", 0),
    ("integer of 400 digits", '{"instances":[[1,' + "1" * 400 + "]]}", AB, None, None),
    ("ragged rows", '{"instances":[[1,2],[1]]}', AB, None, 1),
    ("a value for a row", '{"instances":[[1,2],3]}', AB, None, 1),
    ("mixed records", '{"instances":[{"a":1,"b":2},[1,2]]}', AB, None, 1),
    ("record is no object", '{"dataframe_records":[1]}', AB, None, 0),
    ("uneven columns", '{"inputs":{"a":[1,2],"b":[1]}}', AB, "b", None),
    ("array as a value", '{"instances":[[[1],2]]}', AB, "a", 0),
    ("object as a value", '{"instances":[[{},2]]}', AB, "a", 0),
    (
        "column twice",
        '{"dataframe_split":{"columns":["a","a"],"data":[[1,2]]}}',
        AB,
        "columns",
        None,
    ),
    (
        "names are no strings",
        '{"dataframe_split":{"columns":[[]],"data":[[1]]}}',
        AB,
        "columns",
        None,
    ),
    ("split is an array", '{"dataframe_split":[]}', AB, "dataframe_split", None),
    ("records are an object", '{"dataframe_records":{}}', AB, "dataframe_records", None),
    ("beyond float", '{"instances":[[1e300]]}', columns(a="float"), "a", 0),
    ("beyond integer", '{"instances":[[2147483648]]}', columns(a="integer"), "a", 0),
    ("number for boolean", '{"instances":[[1]]}', columns(a="boolean"), "a", 0),
    ("number for string", '{"instances":[["x"],[1]]}', columns(a="string"), "a", 1),
    ("no base64", '{"instances":[["!"]]}', columns(a="binary"), "a", 0),
    ("no date", '{"instances":[["tomorrow"]]}', columns(a="datetime"), "a", 0),
    ("beyond dates", '{"instances":[["9999-12-31"]]}', columns(a="datetime"), "a", 0),
    ("wrong shape", '{"inputs":[[1,2,3]]}', ONE, "inputs", None),
    ("flat for a matrix", '{"inputs":[1,2]}', ONE, "inputs", None),
    ("ragged tensor", '{"inputs":[[1,2],[3,4],[5]]}', ONE, "inputs", 2),
    ("string in a tensor", '{"inputs":[[1,2],[3,"4"]]}', ONE, "inputs", 1),
    ("split of a tensor", '{"dataframe_split":{"data":[[1]]}}', ONE, "dataframe_split", None),
    ("instances of a tensor", '{"instances":[[1]]}', ONE, "instances", None),
    ("missing tensor", '{"inputs":{"x":[[1,2]]}}', TWO, "y", None),
    ("missing tensor in a row", '{"instances":[{"x":[1,2],"y":1},{"x":[1,2]}]}', TWO, "y", 1),
    ("uneven tensors", '{"inputs":{"x":[[1,2]],"y":[1,2]}}', TWO, "y", None),
    ("unnamed for named", '{"inputs":[[1,2]]}', TWO, None, None),
    ("empty tensor", '{"inputs":[]}', tensors(_=(-1,)), None, None),
    ("guess of a mixture", '{"instances":[[1,"x"]]}', NONE, "instances", None),
    ("params without any", '{"instances":[[1,2]],"params":{"k":1}}', AB, "k", None),
    ("params are an array", '{"instances":[[1,2]],"params":[]}', AB, "params", None),
]


@pytest.mark.parametrize(
    ("body", "signature", "field", "row"), [pytest.param(*w[1:], id=w[0]) for w in WRONG]
)
def test_bad_input_names_field_and_row(body, signature, field, row):
    with pytest.raises(BadInput) as caught:
        read(body, signature)

    assert (caught.value.field, caught.value.row) == (field, row)


def test_null_is_missing_where_the_type_has_a_value_for_it():
    signature = columns(a="double", s="string", d="datetime")
    batch = read('{"instances":[[null,null,null],[1,"x","2026-11-24T10:00:00+02:00"]]}', signature)

    assert np.isnan(batch.arrays["a"][0])
    assert batch.arrays["s"].tolist() == [None, "x"]
    assert str(batch.arrays["d"][1]).startswith("2026-11-24T08:00:00")
    assert np.isnat(batch.arrays["d"][0])


@pytest.mark.parametrize(
    "body",
    [
        '{"dataframe_records":[{"a":1},{"a":2}]}',
        '{"dataframe_records":[{"a":1,"b":null,"c":null},{"a":2}]}',
        '{"instances":[{"a":1},{"a":2,"b":null}]}',
        '{"inputs":{"a":[1,2]}}',
        '{"instances":[[1,null,null],[2,null,null]]}',
        '{"dataframe_split":{"columns":["a"],"data":[[1],[2]]}}',
    ],
)
def test_an_optional_column_that_is_left_out_is_null(body):
    batch = read(body, columns("b", "c", a="double", b="long", c="boolean"))

    assert {n: a.tolist() for n, a in batch.arrays.items()} == {
        "a": [1, 2],
        "b": [None, None],
        "c": [None, None],
    }


def test_params_are_checked_by_the_signature():
    signature = Signature(columns=AB.columns, params=(param("k", "long", 3),))

    assert read('{"instances":[[1,2]],"params":{"k":5}}', signature).params == {"k": 5}
    with pytest.raises(BadInput) as caught:
        read('{"instances":[[1,2]],"params":{"k":"x"}}', signature)
    assert caught.value.field == "k"


def test_without_a_signature_a_matrix_is_a_tensor_and_records_are_a_table():
    assert read('{"instances":[[1,2.5]]}', NONE).arrays[""].tolist() == [[1.0, 2.5]]
    table = read('{"dataframe_records":[{"x":1,"y":"a"},{"x":2}]}', NONE)
    assert {n: a.tolist() for n, a in table.arrays.items()} == {"x": [1, 2], "y": ["a", None]}


def test_csv_is_read_by_the_signature():
    batch = read("b,a,z\n2,1.5,x\n4,,y\n", AB, "text/csv; charset=utf-8")

    assert batch.arrays["b"].tolist() == [2, 4]
    assert np.isnan(batch.arrays["a"][1])


@pytest.mark.parametrize(
    ("body", "field", "row"),
    [
        ("a,b\n1,x\n", "b", 0),
        ("a,b\n1,2\n1\n", None, 1),
        ("a,b\n", None, None),
        ("a\n1\n", "b", None),
        ("a,a\n1,2\n", "columns", None),
        ('a,b\n"1,2\n', None, None),
        ("a,b\n1,9223372036854775808\n", "b", 0),
        ("a,b\n1_000,2\n", "a", 0),
        ("a,b\n\u0661,2\n", "a", 0),
    ],
)
def test_bad_csv_names_field_and_row(body, field, row):
    with pytest.raises(BadInput) as caught:
        read(body, AB, "text/csv")

    assert (caught.value.field, caught.value.row) == (field, row)


def test_a_number_beyond_all_is_infinite_or_refused():
    batch = read(f"a,b\n1,2\n{'9' * 400},2\n", AB, "text/csv")
    assert np.isinf(batch.arrays["a"][1])

    with pytest.raises(BadInput, match="does not fit in double") as caught:
        typed([1.0, 10**400], MLFLOW_KINDS["double"], field="a")
    assert caught.value.row == 1


def test_without_a_signature_there_is_an_end_to_columns():
    body = {"inputs": dict.fromkeys(map(str, range(MAX_COLUMNS + 1)), 1)}

    with pytest.raises(BadInput, match="more than 10000"):
        read(orjson.dumps(body).decode(), NONE)


@pytest.mark.parametrize(
    "media",
    ["text/plain", "application/x-www-form-urlencoded", "application/json; charset=latin-1"],
)
def test_other_media_are_refused(media):
    with pytest.raises(UnsupportedMedia):
        read("{}", AB, media)


def sparse(count: int, names: int) -> str:
    return orjson.dumps(
        {"dataframe_records": [{f"c{i % names}": 1} for i in range(count)]}
    ).decode()


OPTIONAL = columns(*(f"o{i}" for i in range(999)), **{f"o{i}": "double" for i in range(999)})


@pytest.mark.parametrize(
    ("body", "signature"),
    [
        pytest.param(sparse(5000, 3000), NONE, id="names of their own"),
        pytest.param(sparse(5000, 1), OPTIONAL, id="records without optional columns"),
        pytest.param(
            orjson.dumps({"inputs": {"o0": [1] * 5000}}).decode(), OPTIONAL, id="one column"
        ),
    ],
)
def test_a_table_that_is_nearly_all_left_out_is_refused_before_it_is_built(body, signature):
    tracemalloc.start()
    with pytest.raises(BadInput, match="send fewer rows at a time"):
        read(body, signature)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert most < 8 << 20
    assert cells(body.encode(), signature) > INLINE_CELLS


def test_a_table_with_all_optional_columns_left_out_has_its_rows():
    batch = read('{"dataframe_records":[{"z":1},{}]}', columns("a", "b", a="double", b="long"))

    assert batch.rows == 2
    assert np.isnan(batch.arrays["a"]).tolist() == [True, True]
    assert batch.arrays["b"].tolist() == [None, None]


def test_blank_lines_of_a_file_take_nothing():
    body = b"a,b\n1,2\n" + b"\n" * 200_000
    tracemalloc.start()
    batch = mlflow.read(body, "text/csv", AB)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert batch.rows == 1
    assert most < 1 << 20


LARGE = 2_000


@pytest.mark.parametrize(
    ("body", "media"),
    [
        pytest.param(b"a\n" + b"1\n" * LARGE, "text/csv", id="rows of a digit"),
        pytest.param(
            b'{"inputs":[' + b"[1]," * LARGE + b"[1]]}", "application/json", id="arrays of a digit"
        ),
        pytest.param(
            b'{"inputs":[' + b"{}," * LARGE + b"{}]}", "application/json", id="empty objects"
        ),
    ],
)
def test_a_large_body_of_next_to_nothing_is_refused_in_words(body, media, monkeypatch):
    monkeypatch.setattr(protocols, "LARGE_BYTES", 50_000)

    with pytest.raises(BadInput, match="send fewer rows at a time"):
        mlflow.read(body, media, columns(a="double"))


@pytest.mark.parametrize("each", [b"0.1234567", b"127"])
def test_a_large_body_of_ordinary_numbers_is_read(each, monkeypatch):
    monkeypatch.setattr(protocols, "LARGE_BYTES", 50_000)
    rows = b",".join([b"[" + b",".join([each] * 20) + b"]"] * 1000)

    assert mlflow.read(b'{"inputs":[' + rows + b"]}", "application/json", NONE).rows == 1000


@pytest.mark.parametrize(
    "media",
    [
        "application/json; charset=UTF-8; x=y",
        "application/json; format=pandas-split",
        "application/json;",
        'application/json; x=y; charset="utf-8"',
    ],
)
def test_other_parameters_of_a_content_type_are_ignored(media):
    assert read('{"inputs":[[1,2]]}', AB, media).rows == 1
