"""An unmodified MLflow client, in a process of its own, with the token of a Run."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest
import sqlalchemy as sa
from builders.tracking import OPERATOR, bearer

SCRIPT = Path(__file__).parent / "laptop_script.py"
RUN = "a" * 32
OTHER = "b" * 32


@pytest.fixture(scope="module")
def result(_world):
    patch = pytest.MonkeyPatch()
    for name, value in _world.environment.items():
        patch.setenv(name, value)
    token = _world.record(RUN, "fit", parameters={"depth": 7})
    _world.record(OTHER, "foreign")
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": os.environ.get("HOME", "/tmp"),
        "MLFLOW_TRACKING_URI": _world.url,
        "MLFLOW_TRACKING_TOKEN": token,
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "GIT_PYTHON_REFRESH": "quiet",
    }
    done = subprocess.run(
        [sys.executable, "-W", "ignore", str(SCRIPT), OTHER],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    patch.undo()
    line = next((one for one in done.stdout.splitlines() if one.startswith("RESULT ")), None)
    assert line, done.stdout + done.stderr
    return ast.literal_eval(line.removeprefix("RESULT ")) | {"stderr": done.stderr}


def test_the_first_run_is_that_of_the_run(result):
    assert result["first"] == RUN


def test_a_second_run_is_a_child_in_the_same_experiment(result):
    assert result["second"] != RUN
    assert result["parent"] == RUN
    assert result["same_experiment"]


def test_a_search_finds_the_run_its_children_and_nothing_else(result):
    # The run, two children of the grid search, and the second run.
    assert result["mine"] == 4


def test_another_run_is_refused(result):
    assert result["foreign"] == "PERMISSION_DENIED"


def test_what_was_logged_can_be_registered_and_loaded_by_alias(result):
    assert result["version"] == 1
    assert result["predictions"] == 3


def test_no_request_of_the_client_failed(result):
    assert "ERROR" not in result["stderr"]
    assert "Traceback" not in result["stderr"]


def test_finishing_gives_metrics_headline_and_models(world, result):
    answer = world.client.post(
        f"/api/trainyard/v1/namespaces/team/runs/{RUN}/finish",
        json={"status": "FINISHED", "endTime": 1_700_000_100_000, "parameters": {"depth": 7}},
        headers=bearer(OPERATOR),
    ).json()

    assert answer["metric"] == "val_accuracy"
    assert answer["metrics"]["val_accuracy"] == "0.97"
    # The grid search's best estimator is the Run's own; the second run's comes after it.
    assert [one["name"] for one in answer["models"]][-1] == "model"


def test_the_registry_is_resources_and_the_sql_tables_have_prompts_alone(world, result):
    engine = sa.create_engine(world.environment["_MLFLOW_SERVER_FILE_STORE"])
    with engine.connect() as database:
        names = database.execute(sa.text("select name from registered_models")).fetchall()
        marked = "select name from registered_model_tags where key = 'mlflow.prompt.is_prompt'"
        prompts = database.execute(sa.text(marked)).fetchall()
    engine.dispose()

    assert set(names) == set(prompts)
    assert any("/modelversions/iris-of-the-laptop" in path for path in world.kube.objects)
