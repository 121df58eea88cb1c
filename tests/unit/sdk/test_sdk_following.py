"""A followed log is whole: from tracking by offset, through outages, to the end."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from builders.outages import Time
from trainyard import following
from trainyard._patience import Patience
from trainyard.errors import ApiError, Forbidden, NotFound, Unreachable, from_response
from trainyard_api.run import Run

LOG = b"first\nsecond\nno newline"


@dataclass
class Sink:
    printed: bytes = b""
    states: list[str] = field(default_factory=list)

    def write(self, data: bytes) -> None:
        self.printed += data

    def state(self, text: str) -> None:
        self.states.append(text)


@dataclass
class Cluster:
    """A client whose log grows with each look, and whose Run moves on with each read."""

    runs: list[Run]
    logs: list[bytes | Exception]
    offsets: list[int] = field(default_factory=list)
    patience: Patience = field(default_factory=lambda: Patience(tell=lambda _: None))

    @property
    def tracking(self) -> "Cluster":
        return self

    def get(self, _: Any, name: str, *, namespace: str) -> Run:
        return self.runs.pop(0) if len(self.runs) > 1 else self.runs[0]

    @contextmanager
    def log(
        self, namespace: str, run_id: str, attempt: int, *, offset: int
    ) -> Iterator[Iterator[bytes]]:
        found = self.logs.pop(0) if len(self.logs) > 1 else self.logs[0]
        if isinstance(found, Exception):
            raise found
        self.offsets.append(offset)
        yield iter([found[offset:]] if offset < len(found) else [])


def run(*, over: bool = False, recorded: bool = False, tail: tuple[str, ...] = ()) -> Run:
    ended = {"completionTime": "2026-11-20T10:00:09Z", "exitCode": 0, "logTail": list(tail)}
    told = [("Finished", over), ("Succeeded", over), ("Recorded", recorded)]
    return Run.model_validate(
        {
            "metadata": {"name": "r", "namespace": "team", "generation": 1},
            "spec": {"image": "i", "command": ["x"]},
            "status": {
                "runID": "a" * 32,
                "attempts": [
                    {
                        "number": 1,
                        "job": "r-a1",
                        "startTime": "2026-11-20T10:00:00Z",
                        **(ended if over else {}),
                    }
                ],
                "conditions": [
                    {
                        "type": kind,
                        "status": str(is_true),
                        "reason": "X",
                        "message": "",
                        "lastTransitionTime": "2026-11-20T10:00:09Z",
                        "observedGeneration": 1,
                    }
                    for kind, is_true in told
                ],
            },
        }
    )


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(10_000))
    monkeypatch.setattr(following.time, "sleep", lambda _: None)
    Time(monkeypatch)
    monkeypatch.setattr(following.time, "monotonic", lambda: float(next(clock)))


def printed(runs: list[Run], logs: list[bytes | Exception]) -> tuple[Sink, Cluster]:
    sink, cluster = Sink(), Cluster(runs, logs)
    following.AttemptLog(cluster, runs[0], 1, sink).print_to_end()  # type: ignore[arg-type]  # fake
    return sink, cluster


def test_each_byte_is_printed_once() -> None:
    sink, cluster = printed(
        [run(), run(), run(over=True), run(over=True, recorded=True)],
        [LOG[:6], LOG[:6], LOG[:9], LOG],
    )

    assert sink.printed == LOG
    assert cluster.offsets == [0, 6, 6, 9]


def test_what_is_recorded_when_the_run_says_so_is_all() -> None:
    sink, cluster = printed([run(over=True, recorded=True)], [LOG, LOG + b"never"])

    assert sink.printed == LOG
    assert cluster.offsets == [0]


@pytest.mark.parametrize(
    "outage",
    [
        pytest.param(Unreachable("no route"), id="away"),
        pytest.param(ApiError("starting", status=503), id="starting"),
        pytest.param(from_response(429, {}, what="read the log"), id="busy"),
    ],
)
def test_an_outage_is_waited_out_and_told(outage: Exception) -> None:
    sink, _ = printed([run(), run(), run(over=True, recorded=True)], [LOG[:6], outage, LOG])

    assert sink.printed == LOG
    assert sink.states == [f"waiting for the log: {outage}"]


def test_the_end_of_a_recorded_log_is_waited_for() -> None:
    away = Unreachable("no route")
    sink, _ = printed([run(), run(over=True, recorded=True)], [LOG[:6], away, away, LOG])

    assert sink.printed == LOG


def test_a_run_whose_log_can_not_be_had_ends_all_the_same() -> None:
    sink, _ = printed([run(over=True, recorded=True)], [Unreachable("no route")])

    assert sink.states == ["the rest of the log is missing here: no route"]


def test_a_log_that_never_comes_ends_with_the_last_lines_of_the_status() -> None:
    sink, _ = printed([run(over=True, tail=("the end",))], [NotFound("none", status=404)])

    assert sink.printed == b"the end\n"


def test_a_missing_right_is_not_waited_for() -> None:
    with pytest.raises(Forbidden):
        printed([run()], [Forbidden("no", status=403)])
