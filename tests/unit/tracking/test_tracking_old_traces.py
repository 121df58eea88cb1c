"""Traces as clients of MLflow 2 send them from a Run: begun, ended, tagged, read, and its own."""

import pytest
from builders.tracking_side import V2

SOURCE = "mlflow.sourceRun"


def begun(side, *noted):
    body = {"experiment_id": "0", "timestamp_ms": 1, "request_metadata": [*noted], "tags": []}
    return side.post(f"{V2}/traces", body)


def source(side):
    return {"key": SOURCE, "value": side.run_id}


def ended(side, trace, *noted):
    body = {"timestamp_ms": 5, "status": "OK", "request_metadata": [*noted], "tags": []}
    return side.send("PATCH", f"{V2}/traces/{trace}", json=body)


def number(answer):
    assert answer.status_code == 200, answer.text
    return answer.json()["trace_info"]["request_id"]


@pytest.mark.parametrize("says", [True, False], ids=["a run that is said", "none said"])
def test_a_trace_is_the_runs_from_its_beginning_to_its_end(mine, says):
    noted = [source(mine)] if says else []
    trace = number(begun(mine, *noted))
    assert ended(mine, trace, *noted).status_code == 200
    tag = {"key": "a", "value": "b"}
    assert mine.send("PATCH", f"{V2}/traces/{trace}/tags", json=tag).status_code == 200

    info = mine.get(f"{V2}/traces/{trace}/info").json()["trace_info"]

    assert (info["experiment_id"], info["status"]) == (mine.experiment, "OK")
    assert source(mine) in info["request_metadata"]
    assert tag in info["tags"]
    deleted = mine.send("DELETE", f"{V2}/traces/{trace}/tags", json={"key": "a"})
    assert deleted.status_code == 200


def test_a_trace_is_begun_and_ended_in_no_other_runs_name(mine, theirs):
    trace = number(begun(mine))

    assert begun(mine, source(theirs)).status_code == 403
    assert begun(mine, source(mine), source(theirs)).status_code == 403
    assert ended(mine, trace, source(theirs)).status_code == 403


def test_a_trace_of_another_run_is_neither_read_nor_changed(mine, theirs):
    trace = number(begun(theirs))
    path = f"{V2}/traces/{trace}"
    answers = [
        ended(mine, trace),
        mine.get(f"{path}/info"),
        mine.send("PATCH", f"{path}/tags", json={"key": "a", "value": "b"}),
        mine.send("DELETE", f"{path}/tags", json={"key": "a"}),
    ]

    assert [answer.status_code for answer in answers] == [403] * 4
