"""What a Run sends as spans is judged in one look, however many traces it names."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from builders.tracking import SCIENTIST, bearer
from builders.tracking_side import FILES, Side
from mlflow.server.handlers import _get_tracking_store
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from sqlalchemy import event
from trainyard_tracking.auth.call import Call
from trainyard_tracking.auth.ownership import Ownership
from trainyard_tracking.auth.spans_scope import MOST_TRACES, own_spans
from trainyard_tracking.errors import Refused
from trainyard_tracking.identity import RunIdentity

V3 = "/api/3.0/mlflow"
TEAM = {"X-MLFLOW-WORKSPACE": "team"}
PROTOBUF = {"Content-Type": "application/x-protobuf"}


def spans(*trace_ids: bytes) -> bytes:
    message = ExportTraceServiceRequest()
    scope = message.resource_spans.add().scope_spans.add()
    for trace_id in trace_ids:
        scope.spans.add(
            trace_id=trace_id,
            span_id=os.urandom(8),
            name="step",
            start_time_unix_nano=1_700_000_000_000_000_000,
            end_time_unix_nano=1_700_000_001_000_000_000,
        )
    return message.SerializeToString()


@contextmanager
def asked() -> Iterator[list[str]]:
    """Note what the database is asked."""
    statements: list[str] = []
    engine = _get_tracking_store().engine

    def note(connection: Any, cursor: Any, statement: str, *more: Any) -> None:
        if statement.lstrip().startswith("SELECT"):
            statements.append(statement)

    event.listen(engine, "before_cursor_execute", note)
    yield statements
    event.remove(engine, "before_cursor_execute", note)


def call(*trace_ids: bytes) -> Call:
    return Call("POST", "/v1/traces", "team", headers=_lower(PROTOBUF), raw=spans(*trace_ids))


def _lower(headers: dict[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


def begun(side: Side, trace_id: bytes) -> None:
    """Describe a trace as the Run's."""
    side.trace(f"tr-{trace_id.hex()}")


def test_many_traces_are_asked_about_at_once(world: Any) -> None:
    side = Side(world)
    mine = [os.urandom(16) for _ in range(12)]
    for trace_id in mine:
        begun(side, trace_id)
    who = RunIdentity(side.run_id, "team", side.name, side.experiment)
    own = Ownership(world.service.resources)

    with asked() as statements:
        own_spans(call(*mine, *(os.urandom(16) for _ in range(MOST_TRACES - 12))), who, own)

    assert len(statements) == 1


def test_more_traces_than_a_request_may_have_are_refused_in_words(world: Any) -> None:
    some = (os.urandom(16) for _ in range(MOST_TRACES + 1))

    answer = Side(world).send("POST", "/v1/traces", content=spans(*some), headers=PROTOBUF)

    assert answer.status_code == 400
    assert "1000 are the most" in answer.json()["message"]


def test_a_trace_of_a_child_is_the_runs_and_that_of_another_is_not(world: Any) -> None:
    side, other = Side(world), Side(world)
    mine, theirs, child = os.urandom(16), os.urandom(16), os.urandom(16)
    begun(side, mine)
    begun(other, theirs)
    run = side.post("/api/2.0/mlflow/runs/create", {"experiment_id": side.experiment}).json()
    child_id = run["run"]["info"]["run_id"]
    sent = {**PROTOBUF, "x-mlflow-run-id": child_id}
    assert side.send("POST", "/v1/traces", content=spans(child), headers=sent).status_code == 200
    own = Ownership(world.service.resources)
    who = RunIdentity(side.run_id, "team", side.name, side.experiment)

    own_spans(call(mine, child, os.urandom(16)), who, own)

    for body in (call(mine, theirs), call(theirs)):
        with pytest.raises(Refused, match="is not that of Run"):
            own_spans(body, who, own)


@pytest.mark.parametrize("who", ["a scientist", "a Run"])
def test_spans_do_not_say_where_the_files_of_their_trace_are(world: Any, who: str) -> None:
    """MLflow makes tags of the trace of them, and reads what is there with the service's keys."""
    side, other = Side(world), Side(world, namespace="other", experiment="theirs")
    folder = f"{other.files.removeprefix(FILES)}/traces/tr-{other.run_id}/artifacts"
    other.trace(f"tr-{other.run_id}")
    assert other.send("PUT", f"{FILES}{folder}/traces.json", content=b"secret").status_code == 200
    headers = side.headers if who == "a Run" else {**bearer(SCIENTIST), **TEAM}
    message, trace_id = ExportTraceServiceRequest(), os.urandom(16)
    message.ParseFromString(spans(trace_id))
    attributes = message.resource_spans[0].scope_spans[0].spans[0].attributes
    places = {"mlflow.artifactLocation": f"mlflow-artifacts:{folder}"}
    places |= {"mlflow.trace.spansLocation": "ARTIFACT_REPO", "kept": "1"}
    for key, value in places.items():
        attributes.add(key=f"mlflow.traceTag.{key}").value.string_value = value

    sent = {**headers, **PROTOBUF, "x-mlflow-experiment-id": side.experiment}
    made = world.client.post("/v1/traces", content=message.SerializeToString(), headers=sent)

    asked = f"{V3.replace('api', 'ajax-api')}/get-trace-artifact?request_id=tr-{trace_id.hex()}"
    shown = world.client.get(f"{V3}/traces/tr-{trace_id.hex()}", headers=headers).json()
    assert made.status_code == 200
    assert shown["trace"]["trace_info"]["tags"]["kept"] == "1"
    assert folder not in str(shown)
    assert "secret" not in world.client.get(asked, headers=headers).text
