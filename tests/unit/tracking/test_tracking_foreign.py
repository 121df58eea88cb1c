"""What people of another namespace say of their runs and models changes no Run of this one."""

import json
import uuid
from typing import Any

import pytest
from builders.tracking import OPERATOR, SCIENTIST, bearer
from builders.tracking_attempts import API, PARENT, V2, Run
from builders.tracking_side import Side

V3 = "/api/3.0/mlflow"
# The stand-in for the API server lets the operator write in every namespace.
ELSEWHERE = {**bearer(OPERATOR), "X-MLFLOW-WORKSPACE": "other"}
TEAM = {**bearer(SCIENTIST), "X-MLFLOW-WORKSPACE": "team"}


@pytest.fixture
def run(world: Any) -> Run:
    return Run(world)


def elsewhere(run: Run, path: str, body: Any) -> Any:
    answer = run.world.client.post(f"{V2}/{path}", json=body, headers=ELSEWHERE)
    assert answer.status_code == 200, answer.text
    return answer.json()


@pytest.fixture
def foreign(run: Run) -> str:
    """Make a run in another namespace that says that it is a child, and a model of it."""
    made = elsewhere(run, "experiments/create", {"name": f"foreign-{run.id}"})
    tags = [{"key": PARENT, "value": run.id}]
    body = {"experiment_id": made["experiment_id"], "tags": tags}
    run_id = str(elsewhere(run, "runs/create", body)["run"]["info"]["run_id"])
    for source in (run_id, run.id):
        model = {"experiment_id": made["experiment_id"], "name": "m", "source_run_id": source}
        elsewhere(run, "logged-models", model)
    return run_id


def shown(run: Run, run_id: str) -> Any:
    return run.world.client.get(f"{V2}/runs/get?run_id={run_id}", headers=ELSEWHERE).json()["run"]


@pytest.mark.usefixtures("foreign")
def test_their_models_are_not_the_runs(run: Run) -> None:
    assert run.finish()["models"] == []


def test_their_runs_do_not_end_with_it(run: Run, foreign: str) -> None:
    run.finish()

    assert shown(run, foreign)["info"]["status"] == "RUNNING"


def test_their_runs_do_not_move_with_an_attempt(run: Run, foreign: str) -> None:
    run.begin(2)
    found = shown(run, foreign)

    assert found["info"]["status"] == "RUNNING"
    assert {"key": PARENT, "value": run.id} in found["data"]["tags"]


CLAIMED = "trainyard.dev/claimed"
PLATFORMS = [CLAIMED, "trainyard.dev/anything", "trainyard.attempt", "trainyard.attemptOf"]


@pytest.fixture
def theirs(world: Any) -> Side:
    """Make a Run of another namespace, with a model and a metric."""
    made = Side(world, namespace="other", experiment="theirs")
    body = {"run_id": made.run_id, "key": "revenue", "value": 42.5, "timestamp": 1, "step": 0}
    assert made.post(f"{V2}/runs/log-metric", body).status_code == 200
    return made


@pytest.fixture
def notebook(world: Any) -> str:
    """Make a run that is a person's own."""
    make = world.client.post
    ids = make(f"{V2}/experiments/search", json={"max_results": 1}, headers=TEAM).json()
    body = {"experiment_id": ids["experiments"][0]["experiment_id"]}
    made = make(f"{V2}/runs/create", json=body, headers=TEAM).json()
    return str(made["run"]["info"]["run_id"])


@pytest.mark.parametrize("key", PLATFORMS)
@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("runs/create", {"experiment_id": "0", "tags": [{"key": "KEY", "value": "x"}]}),
        ("runs/set-tag", {"key": "KEY", "value": "x"}),
        ("runs/delete-tag", {"key": "KEY"}),
        ("runs/log-batch", {"tags": [{"key": "fine", "value": "x"}, {"key": "KEY", "value": "x"}]}),
    ],
)
def test_people_do_not_write_the_platforms_tags(
    world: Any, notebook: str, path: str, body: Any, key: str
) -> None:
    text = json.dumps({**body, "run_id": notebook} if path != "runs/create" else body)
    text = text.replace("KEY", key)

    # Clients of long ago send JSON in JSON.
    for sent in (text, json.dumps(text)):
        headers = {**TEAM, "Content-Type": "application/json"}
        answer = world.client.post(f"{V2}/{path}", content=sent, headers=headers)
        assert answer.status_code == 403, answer.text
        assert key in answer.json()["message"]
    found = world.client.get(f"{V2}/runs/get?run_id={notebook}", headers=TEAM).json()
    assert "fine" not in str(found["run"]["data"])


def test_a_claim_that_names_a_run_elsewhere_is_not_believed(run: Run, theirs: Side) -> None:
    from mlflow.server.handlers import _get_tracking_store  # noqa: PLC0415  # reads its environment
    from mlflow.store.tracking.dbmodels.models import SqlTag  # noqa: PLC0415  # the same

    with _get_tracking_store().ManagedSessionMaker(read_only=False) as session:
        session.merge(SqlTag(run_uuid=run.id, key=CLAIMED, value=theirs.run_id))

    assert run.finish()["metrics"] == {}
    assert run.get(f"{API}/runs/{run.id}/summary").json()["metrics"] == {}


def trace_of(side: Side) -> str:
    trace = f"tr-{uuid.uuid4().hex}"
    side.trace(trace)
    return trace


@pytest.mark.parametrize("who", ["a scientist", "a Run"])
@pytest.mark.parametrize(
    "call",
    [
        ("runs/log-metric", {"key": "k", "value": 1, "timestamp": 1, "step": 1, "model_id": "M"}),
        (
            "runs/log-batch",
            {
                "metrics": [
                    {"key": "k", "value": 1, "timestamp": 1, "step": 1},
                    {"key": "k", "value": 1, "timestamp": 1, "step": 1, "model_id": "M"},
                ]
            },
        ),
        ("runs/log-inputs", {"models": [{"model_id": "M"}], "datasets": []}),
        ("runs/outputs", {"models": [{"model_id": "M", "step": 0}]}),
        ("traces/link-to-run", {"trace_ids": ["T"]}),
    ],
)
def test_nothing_is_written_that_names_a_model_or_trace_elsewhere(
    run: Run, theirs: Side, request: Any, call: tuple[str, Any], who: str
) -> None:
    path, body = call
    client = run.world.client
    scientist = who == "a scientist"
    run_id, headers = run.id, run.own
    if scientist:
        run_id, headers = request.getfixturevalue("notebook"), TEAM
    text = json.dumps({**body, "run_id": run_id})
    text = text.replace('"M"', f'"{theirs.model}"').replace('"T"', f'"{trace_of(theirs)}"')

    answer = client.post(
        f"{V2}/{path}", content=text, headers={**headers, "Content-Type": "application/json"}
    )

    assert answer.status_code == (404 if scientist else 403), answer.text
    shown = client.get(f"{V2}/runs/get?run_id={run_id}", headers=headers).json()["run"]
    assert not shown["data"].get("metrics")
    assert not shown.get("outputs")
    assert not shown.get("inputs")
    model = theirs.get(f"{V2}/logged-models/{theirs.model}").json()["model"]
    assert not model.get("data", {}).get("metrics")


ASSESSED = {"assessment_name": "good", "source": {"source_type": "HUMAN", "source_id": "me"}}
WHEN = "2026-11-27T00:00:00Z"


@pytest.mark.parametrize("field", ["assessment_id", "overrides"])
@pytest.mark.parametrize("is_there", [True, False])
def test_a_trace_takes_no_assessment_of_another_namespace(
    run: Run, theirs: Side, field: str, is_there: bool
) -> None:
    trace, client = trace_of(theirs), run.world.client
    body = {"assessment": {**ASSESSED, "feedback": {"value": "theirs"}}}
    kept = client.post(f"{V3}/traces/{trace}/assessments", json=body, headers=ELSEWHERE).json()
    id_ = kept["assessment"]["assessment_id"]
    mine = Side(run.world)
    name = trace_of(mine) if is_there else f"tr-{uuid.uuid4().hex}"
    times = {"create_time": WHEN, "last_update_time": WHEN}
    said = {**ASSESSED, **times, "feedback": {"value": "mine"}, field: id_}
    where = {"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": mine.experiment}}
    info = {"trace_id": name, "trace_location": where, "request_time": WHEN, "state": "OK"}

    sent = {"trace": {"trace_info": {**info, "assessments": [said]}}}
    answer = mine.post(f"{V3}/traces", sent)

    assert (answer.status_code, answer.json()["error_code"]) == (400, "INVALID_PARAMETER_VALUE")
    found = client.get(f"{V3}/traces/{trace}/assessments/{id_}", headers=ELSEWHERE).json()
    assert found == kept


def test_records_of_a_data_set_that_is_not_here_are_404(world: Any) -> None:
    path = "/api/3.0/mlflow/datasets/d-0123456789abcdef0123456789abcdef/records"

    assert world.client.get(path, headers=TEAM).status_code == 404
