"""What people of another namespace say of their runs and models changes no Run of this one."""

from typing import Any

import pytest
from builders.tracking import OPERATOR, bearer
from builders.tracking_attempts import PARENT, V2, Run

# The stand-in for the API server lets the operator write in every namespace.
ELSEWHERE = {**bearer(OPERATOR), "X-MLFLOW-WORKSPACE": "other"}


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
