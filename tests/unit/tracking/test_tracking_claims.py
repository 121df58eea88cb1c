"""Several programs in one Run: each gets an MLflow run of its own, the first that of the Run."""

import ast
import itertools
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from builders.tracking import OPERATOR, bearer

V2 = "/api/2.0/mlflow"
PRIVATE = "/api/trainyard/v1/namespaces/team"
PARENT = "mlflow.parentRunId"
SCRIPT = Path(__file__).parent / "workers_script.py"
_IDS = itertools.count(0xC000)


class Program:
    """The code of a Run, by what it asks of MLflow's API."""

    def __init__(self, world):
        self.world = world
        self.run_id = f"{next(_IDS):032x}"
        self.token = world.record(self.run_id, f"several-{self.run_id[-4:]}")

    def post(self, path, **body):
        answer = self.world.client.post(f"{V2}/{path}", json=body, headers=bearer(self.token))
        assert answer.status_code == 200, answer.text
        return answer.json()

    def start(self, **body):
        """Start a run and return its id."""
        return self.post("runs/create", **body)["run"]["info"]["run_id"]

    def run(self, run_id=None):
        path = f"{V2}/runs/get?run_id={run_id or self.run_id}"
        return self.world.client.get(path, headers=bearer(self.token)).json()["run"]

    def tags(self, run_id=None):
        return {tag["key"]: tag["value"] for tag in self.run(run_id)["data"]["tags"]}


@pytest.fixture
def program(world):
    return Program(world)


def test_the_first_run_that_a_program_starts_is_that_of_the_run(program):
    assert program.start() == program.run_id


def test_every_further_run_is_a_child_of_it(program):
    program.start()
    further = [program.start(), program.start()]

    assert len({program.run_id, *further}) == 3
    assert [program.tags(one)[PARENT] for one in further] == [program.run_id] * 2


def test_what_the_program_says_of_its_first_run_is_said_of_the_runs_own(program):
    theirs = {"key": "mlflow.source.name", "value": "train.py"}

    shown = program.post("runs/create", run_name="baseline", tags=[theirs])["run"]

    assert shown["info"]["run_name"] == "baseline"
    assert program.run()["info"]["run_name"] == "baseline"
    assert program.tags()["mlflow.runName"] == "baseline"
    assert program.tags()["mlflow.source.name"] == "train.py"


def test_without_a_name_the_runs_own_keeps_that_of_the_run(program):
    program.start()

    assert program.run()["info"]["run_name"] == f"several-{program.run_id[-4:]}"


def test_a_run_with_a_parent_is_never_the_first(program):
    child = program.start(tags=[{"key": PARENT, "value": program.run_id}])

    assert child != program.run_id
    assert program.start() == program.run_id


def test_a_program_that_resumes_the_runs_own_has_taken_it(program):
    program.post("runs/update", run_id=program.run_id, status="RUNNING")

    assert program.start() != program.run_id


def test_a_first_run_that_was_deleted_is_given_to_nobody(world, program):
    admin = bearer("scientist-token", **{"X-MLFLOW-WORKSPACE": "team"})
    gone = world.client.post(f"{V2}/runs/delete", json={"run_id": program.run_id}, headers=admin)
    assert gone.status_code == 200, gone.text

    assert program.start() != program.run_id


def test_recording_again_frees_nothing(world, program):
    program.start()
    world.record(program.run_id, "again")

    assert program.start() != program.run_id


def test_of_many_that_start_at_once_exactly_one_gets_the_runs_own(program):
    with ThreadPoolExecutor(8) as pool:
        started = list(pool.map(lambda _: program.start(), range(8)))

    assert started.count(program.run_id) == 1
    assert len(set(started)) == 8


def test_no_program_frees_what_is_taken(world, program):
    program.start()
    asked = {"run_id": program.run_id, "key": "trainyard.dev/claimed"}

    answer = world.client.post(f"{V2}/runs/delete-tag", json=asked, headers=bearer(program.token))

    assert answer.status_code == 403


def finish(program):
    """Finish the Run twice, as an operator does whose first answer got lost; give both answers."""
    body = {"status": "FINISHED", "endTime": 1_800_000_000_000, "parameters": {"depth": 3}}
    path = f"{PRIVATE}/runs/{program.run_id}/finish"
    once, again = (
        program.world.client.post(path, json=body, headers=bearer(OPERATOR)) for _ in range(2)
    )
    assert (once.status_code, once.json()) == (200, again.json())
    return once.json()


def log(program, run_id, value, *, model=""):
    program.post("runs/log-metric", run_id=run_id, key="score", value=value, timestamp=1)
    if model:
        program.post("logged-models", name=model, experiment_id="0", source_run_id=run_id)


def test_a_program_that_did_not_hear_that_it_has_the_runs_own_is_heard_all_the_same(program):
    body = {"start_time": 1_700_000_000_000, "tags": [{"key": "mlflow.user", "value": "a"}]}
    program.start(**body)  # the answer is lost, and MLflow's client asks again
    repeated = program.start(**body)
    trial = program.start(tags=[{"key": PARENT, "value": repeated}])
    log(program, repeated, 2, model="model")
    log(program, trial, 9, model="trial")

    found = finish(program)

    path = f"{PRIVATE}/runs/{program.run_id}/summary"
    summary = program.world.client.get(path, headers=bearer(OPERATOR)).json()
    assert (found["metrics"], found["metric"]) == ({"score": "2.0"}, "score")
    assert [(one["name"], one["own"]) for one in found["models"]] == [
        ("model", True),
        ("trial", False),
    ]
    assert summary["metrics"] == found["metrics"]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        pytest.param("runs/log-parameter", {"key": "a", "value": "1"}, id="a parameter"),
        pytest.param("runs/log-metric", {"key": "a", "value": 1, "timestamp": 1}, id="a metric"),
    ],
)
def test_a_run_that_was_logged_to_speaks_for_itself(program, path, body):
    program.post(path, run_id=program.start(), **body)
    log(program, program.start(), 2)

    assert "score" not in finish(program)["metrics"]


def test_a_run_that_logged_a_model_speaks_for_itself(program):
    program.post("logged-models", name="m", experiment_id="0", source_run_id=program.start())
    log(program, program.start(), 2)

    assert finish(program)["metrics"] == {}


def test_of_several_runs_below_none_speaks_for_the_run(program):
    program.start()
    for value in (1, 2):
        log(program, program.start(), value)

    assert finish(program)["metrics"] == {}


def test_a_run_below_that_was_deleted_speaks_for_nobody(program):
    program.start()
    child = program.start()
    log(program, child, 2)
    program.post("runs/delete", run_id=child)

    assert finish(program)["metrics"] == {}


def test_processes_and_programs_of_a_run_do_not_collide(world, program):
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": os.environ.get("HOME", "/tmp"),
        "MLFLOW_TRACKING_URI": world.url,
        "MLFLOW_TRACKING_TOKEN": program.token,
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "GIT_PYTHON_REFRESH": "quiet",
    }

    def once():
        command = [sys.executable, "-W", "ignore", str(SCRIPT)]
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=120, check=False
        )
        line = next((one for one in done.stdout.splitlines() if one.startswith("RESULT ")), None)
        assert line, done.stdout + done.stderr
        return ast.literal_eval(line.removeprefix("RESULT "))

    together, afterwards = once(), once()

    assert together.count(program.run_id) == 1
    assert len({*together, *afterwards}) == 6
    for number, run_id in enumerate(together):
        assert program.run(run_id)["data"]["params"] == [{"key": "worker", "value": str(number)}]
    body = {"status": "FINISHED", "endTime": 1_800_000_000_000}
    finished = world.client.post(
        f"{PRIVATE}/runs/{program.run_id}/finish", json=body, headers=bearer(OPERATOR)
    ).json()
    assert finished["metrics"] == {"score": f"{float(together.index(program.run_id))}"}
