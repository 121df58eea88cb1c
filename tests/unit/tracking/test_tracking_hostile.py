"""What one caller sends can't stop, fill or confuse the service for the others."""

import gzip
import json

import anyio
import pytest
from builders.tracking import SCIENTIST, bearer
from builders.tracking_side import V2, Side
from trainyard_tracking.auth.limits import check_body
from trainyard_tracking.auth.reading import Budget, read
from trainyard_tracking.errors import Busy, Refused, TooLarge

V3 = "/api/3.0/mlflow"
WHO = {
    "a scientist": lambda world: bearer(SCIENTIST, **{"X-MLFLOW-WORKSPACE": "team"}),
    "a Run": lambda world: Side(world).headers,
}
DEEP = "[" * 50_000 + "]" * 50_000
SEARCHES = [
    f"{V2}/runs/search",
    f"{V2}/logged-models/search",
    f"{V2}/experiments/search",
    f"{V3}/traces/search",
]
HOSTILE = {
    "a long filter": {"filter": "name = '" + "a" * 5000 + "'"},
    "brackets": {"filter": "(" * 3000},
    "brackets that close": {"filter": "(" * 1500 + ")" * 1500},
    "many clauses": {"filter": " AND ".join(["a.b = '1'"] * 350)},
    "a regular expression": {"filter": "tags.k RLIKE '(a+)+$'"},
    "a long pattern": {"filter": "tags.k LIKE '%" + "a" * 300 + "b'"},
    "a long pattern in double quotes": {"filter": 'tags.k ilike"%' + "é" * 150 + '"'},
    "long patterns together": {"filter": " AND ".join([f"tags.k LIKE '{'a' * 60}%'"] * 5)},
    "half a letter": {"filter": "tags.k LIKE '\ud800" + "a" * 300 + "'"},
    "much to sort by": {"order_by": ["metrics.a DESC"] * 100},
    "a page token of brackets": {"page_token": "W1tbW1tb" * 1000},
}


@pytest.fixture(params=WHO)
def headers(request, world):
    return WHO[request.param](world)


@pytest.mark.parametrize("path", SEARCHES)
@pytest.mark.parametrize("fields", HOSTILE.values(), ids=HOSTILE.keys())
def test_a_search_that_asks_too_much_is_the_callers_fault(world, headers, path, fields):
    body = {"experiment_ids": ["1"], "max_results": 5, **fields}

    json_type = {"Content-Type": "application/json"}
    answer = world.client.post(path, content=json.dumps(body), headers={**headers, **json_type})

    # An experiment search of a Run is answered without a look at its filter.
    allowed = {400, 403} if "experiments" not in path and "traces" not in path else {200, 400, 403}
    assert answer.status_code in allowed, answer.text


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", f"{V2}/runs/create"),
        ("POST", f"{V2}/runs/log-batch"),
        ("POST", f"{V2}/runs/search"),
        ("POST", f"{V2}/logged-models"),
        ("POST", f"{V3}/traces"),
        ("POST", f"{V3}/datasets/create"),
        ("POST", "/graphql"),
        ("DELETE", f"{V2}/registered-models/delete"),
    ],
)
@pytest.mark.parametrize(
    "raw",
    [DEEP, '{"a": ' * 2000 + "1" + "}" * 2000, '{"tags": ' + DEEP + "}", json.dumps(DEEP)],
    ids=["lists", "objects", "inside", "JSON in JSON"],
)
def test_json_that_is_nested_without_end_is_the_callers_fault(world, method, path, raw):
    headers = {**WHO["a scientist"](world), "Content-Type": "application/json"}

    answer = world.client.request(method, path, content=raw, headers=headers)

    assert answer.status_code in {400, 413}


@pytest.mark.parametrize("raw", ["", "[]", "no JSON", '"text"'])
def test_a_question_in_graphql_that_is_no_object_is_the_callers_fault(world, raw):
    headers = {**WHO["a scientist"](world), "Content-Type": "application/json"}

    assert world.client.post("/graphql", content=raw, headers=headers).status_code == 400
    assert world.client.get("/graphql", headers=headers).status_code == 403


@pytest.mark.parametrize("info", [{}, {"trace_id": ""}, {"trace_id": None}])
def test_a_trace_without_an_id_is_the_callers_fault(world, info):
    body = {"trace": {"trace_info": info}}

    for _ in range(2):
        answer = world.client.post(f"{V3}/traces", json=body, headers=WHO["a Run"](world))
        assert answer.status_code == 400


@pytest.mark.parametrize("path", [f"{V2}/runs/log-batch", f"{V3}/datasets/create", "/graphql"])
def test_a_body_is_bounded_whoever_sends_it(world, headers, path):
    raw = b'{"a": "' + b"x" * (5 << 20) + b'"}'

    # Of who may not call a route at all, no body is read.
    allowed = {413} if path.endswith("log-batch") or "X-MLFLOW-WORKSPACE" in headers else {403}
    assert world.client.post(path, content=raw, headers=headers).status_code in allowed


def test_a_body_that_comes_in_pieces_is_bounded_as_well(world, headers):
    pieces = (b" " * (1 << 20) for _ in range(6))

    assert (
        world.client.post(f"{V2}/runs/log-batch", content=pieces, headers=headers).status_code
        == 413
    )


def test_few_bytes_that_unpack_to_many_are_refused(world, headers):
    packed = gzip.compress(b"\0" * (64 << 20))
    spans = {"Content-Type": "application/x-protobuf", "Content-Encoding": "gzip"}

    answer = world.client.post("/v1/traces", content=packed, headers={**headers, **spans})

    assert answer.status_code == 413


@pytest.mark.parametrize("empty", [b"\x12\x00", b"\x12\x02\x4a\x00"], ids=["spans", "attributes"])
def test_spans_of_next_to_nothing_are_the_callers_fault(world, headers, empty):
    inner = empty * 1_000_000
    for _ in range(2):
        inner = (b"\x12" if inner.startswith(empty) else b"\x0a") + varint(len(inner)) + inner
    spans = {"Content-Type": "application/x-protobuf", "Content-Encoding": "gzip"}

    answer = world.client.post(
        "/v1/traces", content=gzip.compress(inner), headers={**headers, **spans}
    )

    assert answer.status_code == 400
    assert "300000 fields" in answer.json()["message"]


def varint(number):
    return bytes([number & 127 | 128, number >> 7 & 127 | 128, number >> 14 & 127 | 128]) + bytes(
        [number >> 21]
    )


def test_spans_that_are_packed_are_read(world):
    side = Side(world)
    spans = {"Content-Type": "application/x-protobuf", "Content-Encoding": "gzip"}

    answer = side.send("POST", "/v1/traces", content=gzip.compress(b""), headers=spans)

    assert answer.status_code < 500
    assert "gzip" not in answer.text


@pytest.mark.parametrize(
    "name", ["Content-Type", "X-MLFLOW-WORKSPACE", "Authorization", "x-mlflow-run-id"]
)
def test_a_header_that_is_there_twice_is_refused(world, name):
    mine = list(WHO["a scientist"](world).items())

    answer = world.client.post(
        f"{V2}/runs/search", content=b"{}", headers=[*mine, (name, "one"), (name, "two")]
    )

    assert answer.status_code == 400
    assert "twice" in answer.json()["message"]


def arriving(*chunks):
    waiting = list(chunks)

    async def receive():
        body = waiting.pop(0)
        return {"type": "http.request", "body": body, "more_body": bool(waiting)}

    return receive


def test_all_bodies_together_are_bounded_and_given_back():
    budget = Budget(most=100)

    async def work():
        with budget.request() as first:
            await read(arriving(b"a" * 60), "", 80, first)
            with budget.request() as second, pytest.raises(Busy) as refused:
                await read(arriving(b"a" * 30, b"a" * 30), "", 80, second)
            assert refused.value.headers["Retry-After"]
            with budget.request() as third:
                await read(arriving(b"a" * 40), "", 80, third)
        with budget.request() as fourth, pytest.raises(TooLarge):
            await read(arriving(b"a" * 81), "", 80, fourth)

    anyio.run(work)
    assert budget.held == 0


def test_requests_at_once_are_bounded_and_given_back():
    budget = Budget(requests=1)

    with budget.request() as first:
        first.count()
        with budget.request() as second, pytest.raises(Busy):
            second.count()

    assert budget.under_way == 0


@pytest.mark.parametrize("value", ["{}", "[]", "0", '{"key": "k"}'])
@pytest.mark.parametrize("many", [60_000, 250_000])
def test_json_of_next_to_nothing_but_brackets_is_the_callers_fault(world, headers, value, many):
    raw = '{"run_id": "x", "metrics": [' + ",".join([value] * many) + "]}"

    answer = world.client.post(f"{V2}/runs/log-batch", content=raw, headers=headers)

    assert answer.status_code == 400
    assert "50000 values" in answer.json()["message"]
    check_body({"metrics": [{"key": "k", "value": n, "timestamp": n} for n in range(10_000)]})


def test_metadata_of_an_assessment_is_bounded():
    check_body({"assessment": {"metadata": {"k": "x" * 60_000}}})

    large = {"metadata": {"k": "x" * 70_000}}
    for body in (
        {"assessment": large},
        {"trace": {"trace_info": {"assessments": [{}, large]}}},
        {"trace": {"traceInfo": {"assessments": [large]}}},
    ):
        with pytest.raises(Refused, match=r"assessment\.metadata has"):
            check_body(body)
