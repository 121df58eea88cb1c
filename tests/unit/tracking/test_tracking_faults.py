"""What a request gets wrong is told to its sender, in MLflow's words; a fault of ours is not."""

import itertools
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from builders.tracking import SCIENTIST, bearer
from builders.tracking_registry import NAMES, Registry, error
from builders.tracking_side import V2, Side
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import INVALID_STATE
from sqlalchemy.exc import IntegrityError, OperationalError
from trainyard_tracking.answers import without_database
from trainyard_tracking.errors import TooBroad
from trainyard_tracking.faults import of_caller

V3 = "/api/3.0/mlflow"
TEAM = bearer(SCIENTIST, **{"X-MLFLOW-WORKSPACE": "team"})
IDS = itertools.count(1)
INVALID, TAKEN = "INVALID_PARAMETER_VALUE", "RESOURCE_ALREADY_EXISTS"


def told(answer) -> tuple[int, str]:
    return answer.status_code, error(answer)


@pytest.fixture
def trace(world):
    side = Side(world)
    name = f"tr-faults-{next(IDS)}"
    side.trace(name)
    return name, side


@pytest.mark.parametrize(
    ("aggregation", "names"),
    [
        ({}, "aggregation"),
        ({"aggregation_type": "MEDIAN"}, "aggregation"),
        ({"aggregation_type": 99}, "aggregation"),
        ({"aggregation_type": "PERCENTILE"}, "Percentile value is required"),
        ({"aggregation_type": "PERCENTILE", "percentile_value": 101}, "between 0 and 100"),
        ({"aggregation_type": "COUNT", "percentile_value": 5}, "only allowed for PERCENTILE"),
    ],
)
def test_metrics_of_traces_with_a_wrong_aggregation_say_so(trace, aggregation, names):
    body = {
        "experiment_ids": [trace[1].experiment],
        "view_type": "TRACES",
        "metric_name": "latency",
        "aggregations": [aggregation],
    }

    answer = trace[1].world.client.post(f"{V3}/traces/metrics", json=body, headers=TEAM)

    assert told(answer) == (400, INVALID), answer.text
    assert names.lower() in answer.json()["message"].lower()


def test_traces_whose_spans_are_files_are_not_read_together_and_it_is_said_how(world, trace):
    for path in (f"traces/batchGet?trace_ids={trace[0]}", f"traces/get?trace_id={trace[0]}"):
        answer = world.client.get(f"{V3}/{path}", headers=TEAM)

        assert told(answer) == (400, INVALID)
        assert f"get-trace-artifact?request_id={trace[0]}" in answer.json()["message"]


def test_an_assessment_whose_id_is_taken_says_so(world, trace):
    body = {
        "assessment": {
            "assessment_id": f"a-{trace[0]}",
            "assessment_name": "good",
            "trace_id": trace[0],
            "source": {"source_type": "HUMAN", "source_id": "me"},
            "feedback": {"value": 1},
        }
    }
    path = f"{V3}/traces/{trace[0]}/assessments"
    assert world.client.post(path, json=body, headers=TEAM).status_code == 200

    answer = world.client.post(path, json=body, headers=TEAM)

    assert told(answer) == (400, TAKEN)
    assert "assessment_id" in answer.json()["message"]
    assert "INSERT" not in answer.text


@pytest.mark.parametrize("source", ["models:/{name}/1", "s3://b/x"])
def test_a_version_of_a_prompt_comes_of_no_model(world, registry, source):
    registry.add()
    prompt = Registry(world)
    prompt.name = f"prompt-{next(NAMES)}"
    made = prompt.create(tags=[{"key": "mlflow.prompt.is_prompt", "value": "true"}])
    assert made.status_code == 200

    answer = prompt.add(source=source.format(name=registry.name))

    assert told(answer) == (400, INVALID)
    assert "prompt-template" in answer.json()["message"]


@pytest.mark.parametrize("who", ["a scientist", "a Run"])
def test_a_source_that_is_no_uri_says_so(registry, mine, who):
    body = {"name": registry.name, "source": "mlflow-artifacts://[x"}
    headers = TEAM if who == "a scientist" else mine.headers

    answer = registry.world.client.post(f"{V2}/model-versions/create", json=body, headers=headers)

    assert told(answer) == (400, INVALID)


def test_half_of_a_letter_says_which_field_has_it(mine):
    raw = f'{{"run_id": "{mine.run_id}", "key": "k", "value": "\\ud800"}}'

    for path in ("runs/set-tag", "runs/log-parameter"):
        answer = mine.send("POST", f"{V2}/{path}", content=raw)

        assert told(answer) == (400, INVALID)
        assert "'value' has \\ud800" in answer.json()["message"]


def test_a_key_of_a_tag_that_is_no_text_is_the_callers_fault(mine):
    info = {"trace_id": "tr-list", "tags": [{"key": ["a"], "value": "b"}]}

    answer = mine.post(f"{V3}/traces", {"trace": {"trace_info": info}})

    assert told(answer) == (400, INVALID)


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"metrics": [{"key": "b", "value": "abc", "timestamp": 1, "step": 0}]}, "value"),
        ({"params": [{"key": "lr", "value": 0.1}]}, "value"),
        ({"tags": [{"key": "t", "value": {}}]}, "value"),
        ({"tags": [None]}, "tags"),
    ],
)
def test_of_a_request_that_cant_be_read_whole_nothing_is_kept(mine, wrong, field):
    right = {"metrics": [{"key": "a", "value": 1, "timestamp": 1, "step": 0}]}

    answer = mine.post(f"{V2}/runs/log-batch", {"run_id": mine.run_id, **right, **wrong})

    assert told(answer) == (400, INVALID)
    assert field in answer.json()["message"]
    data = mine.get(f"{V2}/runs/get?run_id={mine.run_id}").json()["run"]["data"]
    assert "metrics" not in data
    assert "params" not in data


def test_what_a_state_forbids_is_no_fault_of_the_service(world):
    made = world.client.post(
        f"{V2}/experiments/create", json={"name": f"gone {next(IDS)}"}, headers=TEAM
    ).json()
    assert world.client.post(f"{V2}/experiments/delete", json=made, headers=TEAM).status_code == 200

    answer = world.client.post(
        f"{V2}/experiments/update", json={**made, "new_name": "again"}, headers=TEAM
    )

    assert told(answer) == (409, "INVALID_STATE")


def test_more_than_a_statement_takes_is_the_callers_fault_and_no_database_that_is_away():
    for words in ("too many SQL variables", "Expression tree is too large (maximum depth 1000)"):
        exc = OperationalError("SELECT", {}, sqlite3.OperationalError(words))

        assert isinstance(without_database(exc), TooBroad)


@contextmanager
def raised(exc: BaseException, package: str) -> Iterator[list[BaseException]]:
    """Raise in code of a package, from a frame that says that it is its."""
    kept: list[BaseException] = []
    scope = {"__name__": f"{package}.somewhere", "exc": exc}
    try:
        exec("raise exc", scope)  # a frame is named by nothing else
    except BaseException as caught:  # noqa: BLE001  # whatever it is
        kept.append(caught)
    yield kept


@pytest.mark.parametrize(
    ("exc", "package", "code"),
    [
        pytest.param(ValueError("no such enum"), "mlflow", INVALID, id="MLflow can't read it"),
        pytest.param(KeyError("tags"), "mlflow", INVALID, id="MLflow misses it"),
        pytest.param(OverflowError("too large"), "sqlalchemy", INVALID, id="a number too large"),
        pytest.param(ValueError("ours"), "trainyard_tracking", None, id="a fault of ours"),
        pytest.param(TypeError("ours"), "sqlalchemy", None, id="our use of the database"),
        pytest.param(OSError("disk"), "mlflow", None, id="a disk that is full"),
        pytest.param(MlflowException("no code"), "mlflow", INVALID, id="a code left out"),
        pytest.param(MlflowException("no code"), "trainyard_tracking", None, id="ours without"),
        pytest.param(MlflowException("no", INVALID_STATE), "mlflow", None, id="one with a code"),
        pytest.param(
            IntegrityError("INSERT", {}, Exception("UNIQUE constraint failed: t.run_id, t.key")),
            "mlflow",
            TAKEN,
            id="there already, in SQLite",
        ),
        pytest.param(
            IntegrityError("INSERT", {}, Exception("DETAIL: Key (run_id, key)=(1, 2) already …")),
            "mlflow",
            TAKEN,
            id="there already, in PostgreSQL",
        ),
        pytest.param(
            IntegrityError("INSERT", {}, Exception("FOREIGN KEY constraint failed")),
            "mlflow",
            INVALID,
            id="names what is not there",
        ),
    ],
)
def test_whose_fault_it_is(exc, package, code):
    with raised(exc, package) as (caught,):
        found = of_caller(caught)

    assert (found and found.error_code) == code
    assert found is None or "INSERT" not in found.message
    assert code != TAKEN or "run_id and key" in found.message
