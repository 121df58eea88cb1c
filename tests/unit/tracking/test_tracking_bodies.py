"""Absurd values in what the operator sends: refused by the name of the field, never a 500."""

from typing import Any

import pytest
from builders.tracking import OPERATOR, bearer
from builders.tracking_attempts import API, Run, pairs
from starlette.requests import Request
from trainyard_tracking.api.bodies import whole
from trainyard_tracking.errors import Unavailable

OP = bearer(OPERATOR)
HUGE, ID = 10**300, "f" * 32
RECORD = {"name": "fit", "experiment": "digits", "startTime": 1_700_000_000_000}
FINISH = {"status": "FINISHED", "endTime": 1_700_000_100_000}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("attempt", HUGE),
        ("attempt", -1),
        ("startTime", HUGE),
        ("startTime", 1 << 62),
        ("startTime", -1),
        ("previous", {"endTime": HUGE}),
        ("name", "n" * 251),
        ("name", ""),
        ("experiment", "e" * 251),
        ("tags", {"k" * 251: "v"}),
        ("parameters", {"k" * 251: 1}),
        ("parameters", {"deep": {"er": 1}}),
    ],
)
def test_a_record_is_refused_with(world: Any, field: str, value: Any) -> None:
    body = {**RECORD, field: value}
    answer = world.client.put(f"{API}/runs/{ID}", json=body, headers=OP)

    assert (answer.status_code, answer.json()["error_code"]) == (400, "INVALID_PARAMETER_VALUE")
    assert answer.json()["message"].startswith(field)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("endTime", HUGE),
        ("logs", [HUGE]),
        ("logs", [{"attempt": 1, "index": HUGE}]),
        ("logs", [{"attempt": 1, "tail": {"offset": HUGE, "place": "", "data": ""}}]),
        ("parameters", {"list": [1]}),
    ],
)
def test_an_end_is_refused_with(world: Any, field: str, value: Any) -> None:
    run = Run(world)
    body = {**FINISH, field: value}
    answer = world.client.post(f"{API}/runs/{run.id}/finish", json=body, headers=OP)

    assert answer.status_code == 400, answer.text
    assert answer.json()["message"].startswith(field)
    assert run.shown()["info"]["status"] == "RUNNING"


@pytest.mark.parametrize("number", ["x", "-1", str(HUGE), "9" * 5000])
@pytest.mark.parametrize("place", ["logs/{}", "logs/1/{}"])
def test_a_log_is_refused_of_attempt_or_pod(world: Any, place: str, number: str) -> None:
    path = f"{API}/runs/{ID}/{place.format(number)}"
    read = world.client.get(path, headers=OP)
    sent = world.client.patch(path, content=b"x", headers={**OP, "Upload-Offset": "0"})

    assert (read.status_code, sent.status_code) == (400, 400)
    assert "in the path" in read.json()["message"]


@pytest.mark.parametrize("offset", ["", "x", "-1", "1.5", str(HUGE), "9" * 5000])
def test_a_log_is_refused_at_offset(world: Any, offset: str) -> None:
    path = f"{API}/runs/{ID}/logs/1"
    read = world.client.get(path, params={"offset": offset}, headers=OP)
    sent = world.client.patch(path, content=b"x", headers={**OP, "Upload-Offset": offset})

    assert (read.status_code, sent.status_code) == (400, 400)
    assert read.json()["message"].startswith("offset, in bytes")
    assert sent.json()["message"].startswith("Upload-Offset, where the bytes belong")


def test_a_tag_that_no_database_takes_as_it_is_does_not_keep_a_run_from_its_record(
    world: Any,
) -> None:
    run = Run(world)
    run.begin(2, tags={"mlflow.user": "u\0" + "x" * 20_000})

    assert pairs(run.shown(), "tags")["mlflow.user"] == "u\ufffd" + "x" * 7995 + "..."


def test_parameters_that_no_database_takes_as_they_are_do_not_keep_a_run_from_its_end(
    world: Any,
) -> None:
    run = Run(world)
    given = {"long": "x" * 20_000, "nul": "a\0b", "huge": HUGE, "small": 1e-9}
    run.finish(parameters={**given, "fits": "x" * 6000})

    assert pairs(run.shown(), "params") == {
        "long": "x" * 5997 + "...",
        "fits": "x" * 6000,
        "nul": "a\ufffdb",
        "huge": "1e+300",
        "small": "1e-09",
    }


@pytest.mark.parametrize(
    "line",
    [
        '{"model": "m", "time": ' + str(HUGE) + "0" * 300 + "}",
        "[" * 100_000,
        '{"model": "a/b"}',
        '{"model": "..", "time": "1"}',
        '{"model": "a\\u0000", "time": "1"}',
        '{"model": "\\ud800", "time": "1"}',
        "7",
    ],
    ids=["a long time", "nested", "slashes", "a folder", "a NUL", "half a letter", "no object"],
)
def test_an_audit_line_that_is_none_is_the_callers_fault(world: Any, line: str) -> None:
    answer = world.client.post(f"{API}/audit", content=line, headers=OP)

    assert answer.status_code == 400, answer.text


async def test_a_sender_that_goes_away_is_no_error_of_ours() -> None:
    messages = [
        {"type": "http.request", "body": b"{", "more_body": True},
        {"type": "http.disconnect"},
    ]

    async def receive() -> Any:
        return messages.pop(0)

    with pytest.raises(Unavailable, match="went away"):
        await whole(Request({"type": "http", "headers": []}, receive))
