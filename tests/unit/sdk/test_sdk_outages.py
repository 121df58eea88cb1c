"""The API server goes away under every verb: each lives through it, says so, and does it once."""

import io
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import httpx
import pytest
import trainyard as ty
from builders.outages import Outage, Time, lost, reset, status
from builders.sdk import FakeCluster, finished, run_object
from trainyard import _tracking
from trainyard._patience import Patience
from trainyard._tracking import Tracking
from trainyard.cli import app
from trainyard.client import Client
from trainyard.submission import build_run
from trainyard_api import slices
from typer.testing import CliRunner

AWAY = 8
OUTAGES = {
    "hung up": reset,
    "500": status(500),
    "503": status(503),
    "504": status(504),
    "429": status(429, after="7"),
}


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Time:
    return Time(monkeypatch)


@pytest.fixture
def told() -> list[str]:
    return []


@pytest.fixture
def patient(kubeconfig: Path, clock: Time, told: list[str]) -> Iterator[Client]:
    with Client(kubeconfig=str(kubeconfig), tell=told.append) as client:
        yield client


def a_run(**metadata: str) -> ty.Run:
    return build_run({"metadata": metadata, "spec": {"command": ["a"], "image": "b"}})


COMMANDS = (
    "logs done",
    "logs -f done",
    "compare done",
    "compare -e e",
    "get runs",
    "get run done -o json",
    "describe run done",
    "models",
    "versions digits",
    "status",
    "predict digits --data [[1]]",
)
WRITING = (
    "run {job}",
    "run {job} -d --name mine",
    "rerun done",
    "cancel going",
    "delete run done -y",
    "register done --as digits",
    "promote digits 1 --to production",
    "rollback digits --stage production",
    "serve digits@production",
)


@pytest.fixture
def job(tmp_path: Path) -> Path:
    (tmp_path / "job").mkdir()
    (tmp_path / "job" / "train.py").write_text("print(1)")
    return tmp_path / "job"


@pytest.mark.parametrize("words", [*COMMANDS, *WRITING])
def test_a_command_waits_until_there_is_an_answer(
    filled: FakeCluster, kubeconfig: Path, clock: Time, job: Path, words: str
) -> None:
    filled.outages = [*OUTAGES.values()] * 2
    done = CliRunner().invoke(app, words.format(job=job).split())

    assert done.exit_code == 0, done.output
    assert done.stderr.count("Trying for 5 minutes") == 1
    assert done.stderr.count("There is an answer again") == 1
    assert not filled.outages


@pytest.mark.parametrize("words", WRITING)
def test_a_command_does_its_work_once_though_any_answer_is_lost(
    filled: FakeCluster, kubeconfig: Path, clock: Time, job: Path, words: str
) -> None:
    spared, before = 0, dict(filled.objects)
    while not filled.outages:
        filled.objects = dict(before)
        filled.outages = [*[lambda _: False] * spared, lost]
        done = CliRunner().invoke(app, words.format(job=job).split())
        spared += 1

        assert done.exit_code == 0, done.output
        assert len(filled.objects.keys() - before.keys()) <= 1


PLURALS = ("runs", "models", "modelversions", "modeldeployments")


def names(cluster: FakeCluster, plural: str) -> set[str]:
    return {name for kind, name in cluster.objects if kind == plural}


def test_a_server_that_refuses_connections_is_waited_for(
    patient: Client, filled: FakeCluster, clock: Time, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = httpx.HTTPTransport.handle_request
    refused = iter([True] * AWAY)

    def handle(self: httpx.HTTPTransport, request: httpx.Request) -> httpx.Response:
        if next(refused, False):
            raise httpx.ConnectError("[Errno 111] Connection refused")
        return real(self, request)

    monkeypatch.setattr(httpx.HTTPTransport, "handle_request", handle)
    patient.create(a_run(name="one"))

    assert patient.get(ty.Run, "one")
    assert max(clock.pauses) <= 15


def test_a_certificate_that_is_not_trusted_is_not_waited_for(
    patient: Client, clock: Time, monkeypatch: pytest.MonkeyPatch
) -> None:
    def handle(self: httpx.HTTPTransport, request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("[SSL: CERTIFICATE_VERIFY_FAILED] self-signed certificate")

    monkeypatch.setattr(httpx.HTTPTransport, "handle_request", handle)
    with pytest.raises(ty.Unreachable, match="self-signed"):
        patient.list(ty.Run)
    assert not clock.pauses


class Halting(Tracking):
    """A service that takes one slice of each call, and then is not there any more."""

    def __init__(self, patience: Patience, clock: Time) -> None:
        super().__init__(httpx.Client(), "", dict, nullcontext, {}, patience=patience)
        self.there, self.clock, self.refuses = 0, clock, False

    def json(self, method: str, path: str, **_: Any) -> Any:
        self.refuses = False
        return {"complete": False, "offset": self.there}

    def _send(self, *_: Any, content: Any, **__: Any) -> httpx.Response:
        if self.refuses:
            raise ty.Unreachable("The connection broke off")
        self.clock.pauses.append(200.0)
        sent, self.refuses = sum(map(len, content)), True
        self.there += sent
        return httpx.Response(202 if self.there < 10 else 201, json={"offset": self.there})


def test_an_upload_is_given_up_after_silence_not_after_long_work(
    clock: Time, told: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (slices, _tracking):
        monkeypatch.setattr(module, "SLICE", 2)
    patience = Patience(300, tell=told.append)
    halting = Halting(patience, clock)

    patience.ask(
        lambda: halting.put_blob("team", "sha256:x", io.BytesIO(b"0123456789"), 10), harmless=True
    )

    assert halting.there == 10


def test_patience_ends_after_five_minutes(
    patient: Client, cluster: FakeCluster, clock: Time, told: list[str]
) -> None:
    cluster.outages = [reset] * 1000

    with pytest.raises(ty.Unreachable):
        patient.list(ty.Run)
    assert 299 < sum(clock.pauses) < 301
    assert len(told) == 1


@pytest.mark.parametrize("text", ["soon", "-1", "nan", "inf"])
def test_a_patience_that_is_no_number_is_refused(
    kubeconfig: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.setenv("TRAINYARD_PATIENCE", text)

    with pytest.raises(ty.InvalidInput, match="TRAINYARD_PATIENCE"):
        Client()


def test_the_server_says_when_to_come_back(
    patient: Client, cluster: FakeCluster, clock: Time
) -> None:
    cluster.outages = [status(429, after="40")]
    patient.list(ty.Run)

    assert clock.pauses == [40]


def test_a_moment_without_an_answer_is_not_talked_about(
    patient: Client, cluster: FakeCluster, told: list[str]
) -> None:
    cluster.outages = [reset]
    patient.list(ty.Run)

    assert told == []


@pytest.mark.parametrize("outage", OUTAGES.values(), ids=OUTAGES)
def test_a_wait_sees_the_end_of_a_run_through_an_outage(
    patient: Client, cluster: FakeCluster, outage: Outage
) -> None:
    cluster.put("runs", run_object("one", phase="Running"))
    seen: list[str] = []

    def end(run: ty.Run) -> None:
        if not seen:
            cluster.outages = [outage] * AWAY
            cluster.put("runs", finished("one", good=False, code=3))
        seen.append(str(run.status.phase))

    assert patient.wait(patient.get(ty.Run, "one"), seen=end).status.phase == "Failed"


def test_a_log_is_whole_though_tracking_is_away_when_it_is_read(
    patient: Client, filled: FakeCluster, told: list[str]
) -> None:
    def half(handler: Any) -> bool:
        handler.send_response(200)
        handler.send_header("Content-Length", "6")
        handler.end_headers()
        handler.wfile.write(b"hel")
        return reset(handler)

    filled.outages = [lambda _: False, *OUTAGES.values(), half]

    assert ty.logs("done", client=patient) == "hello\n"
    assert len(told) == 2


def test_a_log_that_cannot_be_had_is_an_error_and_not_the_last_lines(
    patient: Client, filled: FakeCluster
) -> None:
    filled.outages = [lambda _: False, *[status(503)] * 1000]

    with pytest.raises(ty.ApiError, match="read the log"):
        ty.logs("done", client=patient)


def test_a_wait_with_a_time_out_keeps_it_without_a_server(
    patient: Client, cluster: FakeCluster, clock: Time
) -> None:
    cluster.put("runs", run_object("one"))
    run = patient.get(ty.Run, "one")
    cluster.outages = [reset] * 1000

    with pytest.raises(ty.TimedOut):
        patient.wait(run, timeout=20)
    assert sum(clock.pauses) < 21


@pytest.mark.parametrize(
    "line",
    [
        pytest.param(b'{"type": "ERROR", "object": {"code": 410}}\n', id="an expired version"),
        pytest.param(b'{"type": "MODIFIED", "obj', id="half a line"),
    ],
)
def test_a_watch_goes_on_after(
    patient: Client, cluster: FakeCluster, clock: Time, line: bytes
) -> None:
    cluster.put("runs", run_object("one", phase="Pending"))

    def broken(handler: Any) -> bool:
        if "watch" not in handler.query:
            return False
        handler.send_response(200)
        handler.end_headers()
        handler.wfile.write(line)
        handler.close_connection = True
        cluster.put("runs", finished("one"))
        return True

    cluster.outages = [broken] * 4

    assert patient.wait(build_run(run_object("one"))).status.phase == "Succeeded"


def test_a_list_whose_place_is_lost_begins_anew(patient: Client, cluster: FakeCluster) -> None:
    for name in ("a", "b"):
        cluster.put("runs", run_object(name))
    queries: list[dict[str, list[str]]] = []

    def first_page(handler: Any) -> bool:
        queries.append(handler.query)
        handler.give({"items": [run_object("a")], "metadata": {"continue": "there"}})
        return True

    def expired(handler: Any) -> bool:
        queries.append(handler.query)
        handler.fail(410, "Expired", "The provided continue parameter is too old")
        return True

    cluster.outages = [first_page, expired]

    assert [run.metadata.name for run in patient.list(ty.Run)] == ["a", "b"]
    assert queries[1]["continue"] == ["there"]


@pytest.mark.parametrize("metadata", [{"name": "one"}, {"generateName": "one-"}])
def test_a_create_whose_answer_is_lost_makes_one(
    patient: Client, cluster: FakeCluster, metadata: dict[str, str]
) -> None:
    cluster.outages = [lost]
    made = patient.create(a_run(**metadata))

    assert names(cluster, "runs") == {made.metadata.name}


def test_a_name_that_somebody_else_took_meanwhile_is_no_success(
    patient: Client, cluster: FakeCluster
) -> None:
    def overtaken(handler: Any) -> bool:
        cluster.put("runs", run_object("one"))
        return reset(handler)

    cluster.outages = [overtaken]

    with pytest.raises(ty.Conflict, match="already exists"):
        patient.create(a_run(name="one"))


def test_an_old_resource_of_the_same_content_is_no_success(
    patient: Client, cluster: FakeCluster
) -> None:
    old = a_run(name="one").to_object()
    cluster.put(
        "runs", {**old, "metadata": {"name": "one", "creationTimestamp": "2020-01-01T00:00:00Z"}}
    )
    cluster.outages = [reset]

    with pytest.raises(ty.Conflict, match="already exists"):
        patient.create(a_run(name="one"))


def test_a_delete_spares_a_new_one_of_the_same_name(patient: Client, cluster: FakeCluster) -> None:
    cluster.put("runs", run_object("one"))

    def replaced(handler: Any) -> bool:
        lost(handler)
        cluster.put("runs", run_object("one", phase="Pending"))
        return True

    cluster.outages = [lambda _: False, replaced]
    patient.delete(ty.Run, "one")

    assert names(cluster, "runs") == {"one"}
