"""Every path and protocol without a socket, and anything at all as a body."""

import asyncio
import json
import threading

import numpy as np
import pytest
from builders.serving import Doubling, answer, columns, numbers, routes, tensors
from hypothesis import given, settings
from hypothesis import strategies as st
from trainyard_api.contract import RELEASE
from trainyard_serving.protocols import mlflow
from trainyard_serving.signature import Signature, signature_of
from trainyard_serving.web.routes import INLINE_BYTES, MAX_BEING_READ

INFER = "/v2/models/digits/infer"
A = {"inputs": [{"name": "a", "shape": [1], "datatype": "FP64", "data": [21]}]}


async def test_predictions_by_both_protocols():
    table = routes()[0]

    assert (await answer(table, "/invocations", {"instances": [[21]]})).body == (
        b'{"predictions":[42.0]}'
    )
    document = json.loads((await answer(table, INFER, A | {"id": "x"})).body)
    assert document == {
        "model_name": "digits",
        "model_version": "3",
        "id": "x",
        "outputs": [{"name": "predict", "shape": [1], "datatype": "FP64", "data": [42.0]}],
    }


async def test_the_server_says_which_release_it_is():
    said = json.loads((await answer(routes()[0], "/v2", method="GET")).body)

    assert (said["name"], said["version"]) == ("trainyard", RELEASE)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v2", 200),
        ("GET", "/v2/", 200),
        ("GET", "/v2/health/live", 200),
        ("GET", "/v2/health/ready", 200),
        ("HEAD", "/v2/health/ready", 200),
        ("GET", "/v2/models/digits", 200),
        ("GET", "/v2/models/digits/ready", 200),
        ("GET", "/v2/models/digits/versions/3", 200),
        ("GET", "/v2/models/digits/versions/3/ready", 200),
        ("GET", "/v2/models/digits/versions/4", 404),
        ("GET", "/v2/models/letters/ready", 404),
        ("POST", "/v2/models/letters/infer", 404),
        ("POST", "/v2/repository/index", 200),
        ("GET", "/ping", 200),
        ("GET", "/health", 200),
        ("GET", "/version", 200),
        ("GET", "/metrics", 200),
        ("GET", "/", 404),
        ("DELETE", "/ping", 405),
        ("GET", "/invocations", 405),
        ("GET", INFER, 405),
    ],
)
async def test_paths(method, path, status):
    assert (await answer(routes()[0], path, method=method)).status == status


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v2/health/live", 200),
        ("GET", "/v2/health/ready", 503),
        ("GET", "/v2/models/digits/ready", 503),
        ("GET", "/v2/models/digits", 503),
        ("GET", "/ping", 503),
        ("POST", "/invocations", 503),
        ("POST", INFER, 503),
        ("GET", "/metrics", 200),
    ],
)
async def test_alive_is_not_ready(method, path, status):
    table, served, _ = routes(loaded=False)
    served.waits_for = "waiting for the model"

    assert (await answer(table, path, method=method)).status == status


async def test_a_draining_server_is_unready_and_still_answers():
    table, served, _ = routes()
    served.draining = True

    assert (await answer(table, "/v2/health/ready", method="GET")).status == 503
    assert (await answer(table, "/invocations", {"instances": [[1]]})).status == 200


async def test_errors_have_the_form_of_their_protocol():
    table = routes()[0]
    mlflow = await answer(table, "/invocations", {"instances": [["x"]]})
    v2 = await answer(table, INFER, {"inputs": []})

    assert json.loads(mlflow.body)["error_code"] == "BAD_REQUEST"
    assert "'a', row 0" in json.loads(mlflow.body)["message"]
    assert set(json.loads(v2.body)) == {"error"}


async def test_a_row_the_model_refuses_is_named():
    failed = await answer(routes()[0], "/invocations", {"instances": [[1], [-1]]})

    assert failed.status == 422
    assert "row 1" in json.loads(failed.body)["message"]


async def test_what_the_client_can_not_mend_is_500():
    failed = await answer(
        routes(model=Doubling(result=[object()]))[0], "/invocations", {"instances": [[1]]}
    )

    assert failed.status == 500
    assert "JSON" in json.loads(failed.body)["message"]


@pytest.mark.parametrize(
    ("result", "body"),
    [
        (np.array([np.nan, np.inf]), b"[null,null]"),
        (np.array(["x", "y"]), b'["x","y"]'),
        (np.array([[1, 2]], dtype=">i4")[:, ::-1], b"[[2,1]]"),
        ([np.float32(0.5), {"k": np.int64(1)}, None], b'[0.5,{"k":1},null]'),
        ({"p": np.array([1])}, b'{"p":[1]}'),
        (b"\xff", b'"/w=="'),
        (np.array(["2026-11-24"], dtype="datetime64[s]"), b'["2026-11-24T00:00:00"]'),
    ],
)
async def test_predictions_become_json(result, body):
    reply = await answer(routes(model=Doubling(result=result))[0], "/invocations", b'{"inputs":1}')

    assert reply.body == b'{"predictions":' + body + b"}"


async def test_requests_are_counted_by_protocol_and_code():
    table = routes()[0]
    await answer(table, "/invocations", {"instances": [[1], [2]]})
    await answer(table, INFER, b"{")
    await answer(table, "/v2/models/" + "x" * 50, method="GET")
    text = (await answer(table, "/metrics", method="GET")).body.decode()

    assert 'trainyard_requests_total{code="200",protocol="mlflow"} 1.0' in text
    assert 'trainyard_requests_total{code="400",protocol="v2"} 1.0' in text
    assert 'trainyard_requests_total{code="404",protocol="other"} 1.0' in text
    assert "trainyard_predictions_total 2.0" in text
    assert "trainyard_batch_rows_count 1.0" in text


async def test_metrics_come_in_the_format_asked_for():
    table = routes()[0]
    plain = await answer(table, "/metrics", method="GET")
    openmetrics = await answer(
        table, "/metrics", method="GET", accept="application/openmetrics-text; version=1.0.0"
    )

    assert plain.content_type.startswith("text/plain")
    assert openmetrics.content_type.startswith("application/openmetrics-text")
    assert openmetrics.body.endswith(b"# EOF\n")


@pytest.mark.parametrize(
    "accept",
    ["application/openmetrics-text; version=abc", "application/openmetrics-text; version=1=2"],
)
async def test_metrics_come_whatever_version_is_asked_for(accept):
    assert (await answer(routes()[0], "/metrics", method="GET", accept=accept)).status == 200


@pytest.mark.parametrize("path", ["/invocations", INFER])
async def test_a_compressed_body_is_refused_in_words(path):
    reply = await answer(routes()[0], path, A, content_encoding="gzip")

    assert reply.status == 415
    assert b"gzip" in reply.body


async def test_the_loop_goes_on_while_a_large_body_is_read(monkeypatch):
    table, reading, go_on = routes()[0], threading.Event(), threading.Event()
    body = {"inputs": [[21]] * (INLINE_BYTES // 4)}

    def read(*_):
        reading.set()
        assert go_on.wait(10)
        return numbers(21)

    monkeypatch.setattr(mlflow, "read", read)
    large = asyncio.create_task(answer(table, "/invocations", body))
    await asyncio.to_thread(reading.wait, 10)
    probe = await answer(table, "/v2/health/live", method="GET")
    go_on.set()

    assert probe.status == 200
    assert (await large).body == b'{"predictions":[42.0]}'


async def test_a_large_body_that_waited_too_long_is_not_read(monkeypatch):
    table, served, _ = routes()
    served.loaded.dataplane._deadline = -1.0
    read: list[object] = []
    monkeypatch.setattr(mlflow, "read", lambda *got: read.append(got))

    reply = await answer(table, "/invocations", b'{"inputs":[[1]]' + b" " * INLINE_BYTES + b"}")

    assert reply.status == 503
    assert not read


async def test_a_large_body_is_refused_as_a_small_one():
    body = {"inputs": [["x"]] * (INLINE_BYTES // 4)}

    reply = await answer(routes()[0], "/invocations", body)

    assert reply.status == 400
    assert b"'a', row 0" in reply.body


async def test_too_many_large_bodies_are_put_off():
    table = routes()[0]
    body = b'{"inputs": [[21]]' + b" " * INLINE_BYTES + b"}"  # large, and soon read

    replies = await asyncio.gather(
        *(answer(table, "/invocations", body) for _ in range(MAX_BEING_READ + 1))
    )

    assert sorted(reply.status for reply in replies) == [200] * MAX_BEING_READ + [503]


async def test_the_binary_extension_is_refused_in_words():
    reply = await answer(routes()[0], INFER, b"{}", inference_header_content_length="2")

    assert reply.status == 415


SIGNATURES = [
    columns(a="double"),
    columns("s", a="double", b="long", s="string", t="datetime", y="binary", o="boolean"),
    tensors(_=(-1, 2)),
    tensors(x=(-1, 2), y=(-1,)),
    tensors(_=(2, 2)),
    Signature(),
    columns("b", "o", a="double", b="long", o="boolean"),
    Signature(columns(a="double").columns, hinted=True),
    *(
        signature_of({"signature": {"inputs": json.dumps(entries)}})
        for entries in (
            [{"type": "double"}, {"type": "string"}],
            [{"type": "double", "name": 1}, {"type": "any", "name": 0}],
            [
                {"type": "array", "items": {"type": "long"}, "name": "a"},
                {"type": "map", "name": "b"},
            ],
            [{"type": "array", "items": {"type": "array", "items": {"type": "long"}}}],
            [{"type": "object", "properties": {}}],
            [{"type": "tensor", "tensor-spec": {"dtype": "str", "shape": [-1]}}],
            [{"type": "tensor", "tensor-spec": {"dtype": "datetime64[s]", "shape": [-1, 2]}}],
        )
    ),
]
LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**64 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=4),
    st.sampled_from(["a", "FP64", "BYTES", "INT8", "BOOL", "2026-11-24", "AA=="]),
)
NAMES = st.sampled_from(
    [
        *("a", "b", "s", "t", "y", "o", "x", "columns", "data", "params", "parameters", "ready"),
        *("inputs", "instances", "dataframe_split", "dataframe_records", "outputs", "id"),
        *("name", "shape", "datatype"),
    ]
)
ANY = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=24,
)
FORMS = st.fixed_dictionaries({}, optional=dict.fromkeys(["params", "parameters", "id"], ANY))
TENSOR = st.fixed_dictionaries(
    {
        "name": st.sampled_from("abxy"),
        "shape": st.lists(st.integers(0, 3), max_size=3),
        "datatype": st.sampled_from(["FP64", "FP32", "FP16", "INT8", "UINT64", "BOOL", "BYTES"]),
        "data": ANY | st.lists(LEAVES, max_size=9),
    }
)
LIKELY = st.one_of(
    st.builds(lambda form, inputs: form | {"inputs": inputs}, FORMS, st.lists(TENSOR, max_size=3)),
    st.builds(
        lambda form, key, value: form | {key: value},
        FORMS,
        st.sampled_from(["inputs", "instances", "dataframe_split", "dataframe_records"]),
        ANY | st.lists(st.lists(LEAVES, max_size=3), max_size=3),
    ),
)
PATHS = ["/invocations", INFER, "/v2/models/digits/versions/3/infer", "/v2/repository/index"]


@settings(max_examples=400, deadline=None)
@given(
    st.sampled_from(SIGNATURES),
    st.sampled_from(PATHS),
    st.one_of(ANY, LIKELY).map(lambda v: json.dumps(v).encode()) | st.binary(max_size=40),
    st.sampled_from(["application/json", "text/csv", "x"]),
)
def test_nothing_that_is_sent_gives_a_5xx(signature, path, body, media):
    async def once() -> int:
        return (await answer(routes(signature)[0], path, body, content_type=media)).status

    assert asyncio.run(once()) < 500
