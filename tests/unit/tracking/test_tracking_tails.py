"""The last bytes of logs come with the end of a Run: archived whole, once, whatever was lost."""

import base64
from pathlib import Path
from typing import Any

import pytest
from builders.tracking import OPERATOR, FileObjects, bearer
from builders.tracking_attempts import API, Run
from trainyard_operator.engine import connections
from trainyard_operator.engine.access import Access
from trainyard_operator.engine.errors import Conflict
from trainyard_operator.logs.tail import Tail
from trainyard_operator.runs.effects import FollowLog
from trainyard_operator.tracking import TrackingClient
from trainyard_tracking.errors import Unavailable

OP = bearer(OPERATOR)
PLACE = "2026-11-24T12:00:01.5Z"


@pytest.fixture
def run(world: Any) -> Run:
    return Run(world)


def tail(data: bytes, *, offset: int = 0, place: str = PLACE, attempt: int = 1, index: int = 0):
    text = base64.b64encode(data).decode()
    return {
        "attempt": attempt,
        "index": index,
        "tail": {"offset": offset, "place": place, "data": text},
    }


def finish(run: Run, *logs: Any) -> Any:
    body = {"status": "FINISHED", "endTime": 5, "logs": logs}
    return run.world.client.post(f"{API}/runs/{run.id}/finish", json=body, headers=OP)


def append(run: Run, data: bytes, *, offset: int = 0, place: str = "") -> Any:
    at = {**OP, "Upload-Offset": f"{offset}", "X-Log-Place": place}
    return run.world.client.patch(f"{API}/runs/{run.id}/logs/1", content=data, headers=at)


def log(run: Run, place: str = "1") -> bytes:
    return run.get(f"{API}/runs/{run.id}/logs/{place}").content


def spooled(run: Run) -> list[Path]:
    return list(run.world.objects.root.parent.glob(f"spool/logs/team/{run.id}/*"))


def test_a_log_that_comes_with_the_end_is_archived_whatever_its_bytes(run: Run) -> None:
    data = bytes(range(256))
    answer = finish(run, 1, tail(data))

    assert (answer.status_code, answer.json()["logs"]) == (200, {"1": "logs/attempt-1.log"})
    assert log(run) == data
    assert not spooled(run)


def test_a_log_that_comes_with_the_end_costs_two_requests_of_the_object_store(run: Run) -> None:
    run.world.objects.calls.clear()

    finish(run, 1, tail(b"one\n"))

    assert run.world.objects.calls == ["stat", "write"]


def test_a_finish_whose_answer_was_lost_is_made_again_and_the_log_is_there_once(run: Run) -> None:
    append(run, b"one\n", place="2026-11-24T12:00:00.5Z")
    answers = [finish(run, tail(b"two\n", offset=4)) for _ in range(2)]

    assert [each.status_code for each in answers] == [200, 200]
    assert answers[0].json() == answers[1].json()
    assert log(run) == b"one\ntwo\n"


def test_what_a_late_append_has_brought_already_is_not_added_again(run: Run) -> None:
    append(run, b"one\ntwo\n", place=PLACE)

    assert finish(run, tail(b"one\ntwo\n")).status_code == 200
    assert log(run) == b"one\ntwo\n"


@pytest.mark.parametrize("offset", [0, 9])
def test_a_tail_that_belongs_elsewhere_is_a_conflict_and_the_run_goes_on(
    run: Run, offset: int
) -> None:
    append(run, b"one\n", place="2026-11-24T12:00:00.5Z")
    refused = finish(run, tail(b"two\n", offset=offset))
    active = run.world.client.get(f"{API}/runs?state=active", headers=OP).json()["runs"]

    assert refused.status_code == 409
    assert refused.json()["message"].startswith("The log of attempt 1 has 4 bytes")
    assert run.id in [each["runID"] for each in active]
    assert append(run, b"two\n", offset=4).status_code == 204
    assert finish(run, 1).status_code == 200
    assert log(run) == b"one\ntwo\n"


def test_each_pod_of_each_attempt_may_have_a_tail(run: Run) -> None:
    run.begin(2)
    places = ((1, 0), (2, 0), (2, 1))
    logs = [tail(b"%d-%d" % each, attempt=each[0], index=each[1]) for each in places]

    assert finish(run, *logs, 1, 2).json()["logs"] == {
        "1": "logs/attempt-1.log",
        "2": "logs/attempt-2.log",
        "2-1": "logs/attempt-2-1.log",
    }
    assert [log(run, path) for path in ("1", "2", "2/1")] == [b"1-0", b"2-0", b"2-1"]


def test_a_tail_that_could_not_be_archived_comes_again(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    append(run, b"one\n")

    def away(*_: Any) -> None:
        raise Unavailable("no bucket")

    with monkeypatch.context() as patch:
        patch.setattr(FileObjects, "put", away)
        assert finish(run, tail(b"two\n", offset=4)).status_code == 503
    half = log(run)
    finish(run, tail(b"two\n", offset=4))

    assert (half, log(run)) == (b"one\n", b"one\ntwo\n")


@pytest.mark.parametrize(
    ("bad", "field"),
    [
        ({"attempt": 1, "tail": {"offset": 0, "place": "", "data": "no!"}}, "logs.1.tail.data"),
        ({"attempt": 1, "tail": {"offset": -1, "place": "", "data": ""}}, "logs.1.tail.offset"),
        ({"attempt": 1, "tail": {"offset": 0, "data": ""}}, "logs.1.tail.place"),
        ({"attempt": 1, "index": -1}, "logs.1.index"),
        ({"tail": None}, "logs.1.attempt"),
        (-1, "logs.1.attempt"),
        ("one", "logs.1"),
    ],
)
def test_a_log_of_another_shape_is_refused_with_its_field(run: Run, bad: Any, field: str) -> None:
    refused = finish(run, 1, bad)

    assert refused.status_code == 400
    assert refused.json()["message"].startswith(f"{field}: ")
    assert append(run, b"one\n").status_code == 204


def test_more_than_fits_into_memory_is_refused(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    from trainyard_tracking.api import bodies  # noqa: PLC0415  # with what reads the environment

    monkeypatch.setattr(bodies, "LARGEST", 1000)

    assert finish(run, tail(b"x" * 900)).status_code == 413
    assert append(run, b"x" * 1001).status_code == 413


async def test_a_tail_as_the_operator_sends_it_is_what_the_service_takes(
    run: Run, tmp_path: Path
) -> None:
    token = tmp_path / "token"
    token.write_text(OPERATOR)
    call = FollowLog("team", "fit", run.id, 1, "fit-a1-2-x", "uid", index=2)
    logs = [1, Tail(call, 0, PLACE, b"\xff\x00\n").told()]
    url = run.world.url
    body = {"status": "FINISHED", "endTime": 5, "parameters": {}, "logs": logs}
    async with connections.connect(Access(url), url) as opened:
        client = TrackingClient(opened.tracking, url=url, token_file=token)
        assert run.id in [each["runID"] for each in await client.active_runs("team")]
        await client.append_log(call.log, offset=0, reached="elsewhere", data=b"other\n")
        with pytest.raises(Conflict, match="The log of attempt 1-2 has 6 bytes"):
            await client.finish_run("team", run.id, body)
        logs[1] = Tail(call, 6, PLACE, b"\xff\x00\n").told()
        answer = await client.finish_run("team", run.id, body)

    assert set(answer["logs"]) == {"1", "1-2"}
    assert (log(run), log(run, "1/2")) == (b"", b"other\n\xff\x00\n")
