"""Numbers and filters of a Run's program: what MLflow answers without us is what it gets."""

import pytest
from builders.tracking import SCIENTIST, bearer
from builders.tracking_side import V2, Side

EXPERIMENT = "odd names"
ODD = {"avg model score": 0.7, "f1-score": 0.8, "val/acc": 0.9}
TAGS = {"team.name": "a/b", "über": "née O'Neil", "a and b": "1"}


def point(key, value, step=0):
    return {"key": key, "value": value, "timestamp": 1_700_000_000_000 + step, "step": step}


def logged(side, run_id="", **batch):
    body = {"run_id": run_id or side.run_id, **batch}
    answer = side.post(f"{V2}/runs/log-batch", body)
    assert answer.status_code == 200, answer.text


@pytest.fixture
def side(world):
    return Side(world, experiment=EXPERIMENT)


def test_numbers_that_are_none_are_kept_and_a_model_after_them_too(world, side):
    points = [point("val_loss", value, step) for step, value in enumerate([0.9, 0.5, "NaN"])]
    ends = [point("best", "Infinity", 2), point("worst", "-Infinity", 2)]
    logged(side, metrics=[*points, point("r2", "NaN", 2), *ends])
    logged(side, metrics=[point("r2", "NaN", 2), ends[0]])
    made = side.post(f"{V2}/logged-models", {"name": "after", "experiment_id": side.experiment})
    output = {"run_id": side.run_id, "models": [{"model_id": side.model, "step": 2}]}
    sent = side.post(f"{V2}/runs/outputs", output)

    run = side.get(f"{V2}/runs/get?run_id={side.run_id}").json()["run"]
    curve = side.get(f"{V2}/metrics/get-history?run_id={side.run_id}&metric_key=val_loss").json()

    assert (made.status_code, sent.status_code) == (200, 200), sent.text
    assert [one["value"] for one in curve["metrics"]] == [0.9, 0.5, "NaN"]
    # MLflow's store has no infinity: it keeps the largest number.
    largest = 1.7976931348623157e308
    shown = {one["key"]: one["value"] for one in run["data"]["metrics"]}
    assert shown == {"val_loss": "NaN", "r2": "NaN", "best": largest, "worst": -largest}


FILTERS = [
    ("", 2),
    ("metrics.`avg model score` > 0.5", 1),
    ('metrics."f1-score" > 0.5 AND metrics.`val/acc` >= 0.9', 1),
    ("metrics.`f1-score` > 0", 2),
    ("tags.`team.name` LIKE 'a/%'", 1),
    ('tags.`über` = "née O\'Neil"', 1),
    ("tags.`a and b` = '1'", 1),
    ("params.`cat dog` ILIKE '%Y%'", 1),
    ("run_id IN ('0') AND metrics.`f1-score` > 0", 0),
    ("attributes.status IN ('RUNNING', 'FINISHED')", "INVALID_PARAMETER_VALUE"),
    ("metrics.`f1-score` > 0 OR metrics.x > 0", "INVALID_PARAMETER_VALUE"),
    ("metrics.f1-score > 0", "INVALID_PARAMETER_VALUE"),
]


@pytest.fixture(scope="module")
def family(_world):
    """Two of a Run, and a stranger's in the same experiment that fits every filter as well."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in _world.environment.items():
            patch.setenv(name, value)
        sides = [Side(_world, experiment="filters") for _ in range(2)]
        for side in sides:
            metrics = [point(key, value) for key, value in ODD.items()]
            tags = [{"key": key, "value": value} for key, value in TAGS.items()]
            params = [{"key": "cat dog", "value": "x = 'y'"}]
            logged(side, metrics=metrics, tags=tags, params=params)
        mine = sides[0]
        parent = [{"key": "mlflow.parentRunId", "value": mine.run_id}]
        made = mine.post(f"{V2}/runs/create", {"experiment_id": mine.experiment, "tags": parent})
        child = made.json()["run"]["info"]["run_id"]
        logged(mine, child, metrics=[point("f1-score", 0.1)])
        yield mine, {mine.run_id, child}


def found(answer):
    runs = answer.json().get("runs", [])
    return [run["info"]["run_id"] for run in runs], answer.json().get("error_code")


@pytest.mark.parametrize(("wanted", "expected"), FILTERS)
def test_a_filter_finds_in_a_run_what_mlflow_finds_and_nothing_of_a_strangers(
    world, family, wanted, expected
):
    side, own = family
    body = {
        "experiment_ids": [side.experiment],
        "filter": wanted,
        "order_by": ["metrics.`f1-score` DESC"],
    }
    unbound = bearer(SCIENTIST, **{"X-MLFLOW-WORKSPACE": "team"})

    inside, code = found(side.post(f"{V2}/runs/search", body))
    everything, same_code = found(
        side.send("POST", f"{V2}/runs/search", json=body, headers=unbound)
    )

    assert code == same_code
    assert inside == [run_id for run_id in everything if run_id in own]
    assert (code or len(inside)) == expected
