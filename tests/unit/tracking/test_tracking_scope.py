"""What the token of a Run may touch: its own, and nothing of anybody else's."""

import pytest
from builders.tracking import OPERATOR, SCIENTIST, bearer
from builders.tracking_side import FILES, V2, Side

V3 = "/api/3.0/mlflow"


def metric(**more):
    return {"key": "m", "value": 1, "timestamp": 1, "step": 0, **more}


REFUSED = {
    "read another run": lambda s, o: s.get(f"{V2}/runs/get?run_id={o.run_id}"),
    "read another run by its old name": lambda s, o: s.get(f"{V2}/runs/get?run_uuid={o.run_id}"),
    "read one of two runs": lambda s, o: s.get(
        f"{V2}/runs/get?run_id={s.run_id}&run_id={o.run_id}"
    ),
    "read another run's history": lambda s, o: s.get(
        f"{V2}/metrics/get-history?run_id={o.run_id}&metric_key=m"
    ),
    "write a metric of another run": lambda s, o: s.post(
        f"{V2}/runs/log-metric", {"run_id": o.run_id, **metric()}
    ),
    "write a metric of another run in the other spelling": lambda s, o: s.post(
        f"{V2}/runs/log-metric", {"runId": o.run_id, **metric()}
    ),
    "write a metric of another model": lambda s, o: s.post(
        f"{V2}/runs/log-batch", {"run_id": s.run_id, "metrics": [metric(model_id=o.model)]}
    ),
    "write a metric of another model in the other spelling": lambda s, o: s.post(
        f"{V2}/runs/log-batch", {"run_id": s.run_id, "metrics": [metric(modelId=o.model)]}
    ),
    "end another run": lambda s, o: s.post(
        f"{V2}/runs/update", {"run_id": o.run_id, "status": "FAILED"}
    ),
    "delete another run": lambda s, o: s.post(f"{V2}/runs/delete", {"run_id": o.run_id}),
    "delete its own record": lambda s, o: s.post(f"{V2}/runs/delete", {"run_id": s.run_id}),
    "make a child of another run": lambda s, o: s.post(
        f"{V2}/runs/create", {"tags": [{"key": "mlflow.parentRunId", "value": o.run_id}]}
    ),
    "move itself below another run": lambda s, o: s.post(
        f"{V2}/runs/set-tag",
        {"run_id": s.run_id, "key": "mlflow.parentRunId", "value": o.run_id},
    ),
    "write a tag of the platform": lambda s, o: s.post(
        f"{V2}/runs/set-tag", {"run_id": s.run_id, "key": "trainyard.dev/run", "value": "x"}
    ),
    "read another experiment": lambda s, o: s.get(f"{V2}/experiments/get?experiment_id=987"),
    "delete its experiment": lambda s, o: s.post(
        f"{V2}/experiments/delete", {"experiment_id": s.experiment}
    ),
    "read another model": lambda s, o: s.get(f"{V2}/logged-models/{o.model}"),
    "tag another model": lambda s, o: s.send(
        "PATCH", f"{V2}/logged-models/{o.model}/tags", json={"tags": []}
    ),
    "log a model in another's name": lambda s, o: s.post(
        f"{V2}/logged-models", {"name": "m", "source_run_id": o.run_id}
    ),
    "list another run's artifacts": lambda s, o: s.get(f"{V2}/artifacts/list?run_id={o.run_id}"),
    "read another run's artifact": lambda s, o: s.get(f"{o.files}/{o.run_id}/artifacts/a.txt"),
    "read another run's artifact by the UI's path": lambda s, o: s.get(
        f"{o.files}/{o.run_id}/artifacts/a.txt".replace("/api/", "/ajax-api/")
    ),
    "read another run's artifact around a corner": lambda s, o: s.get(
        f"{s.files}/{s.run_id}/artifacts/%2e%2e/%2e%2e/{o.run_id}/artifacts/a.txt"
    ),
    "read another run's artifact, encoded twice": lambda s, o: s.get(
        f"{s.files}/{s.run_id}/artifacts/%252e%252e/%252e%252e/{o.run_id}/artifacts/a.txt"
    ),
    "write another run's artifact": lambda s, o: s.send(
        "PUT", f"{o.files}/{o.run_id}/artifacts/a.txt", content=b"mine"
    ),
    "delete another run's artifact": lambda s, o: s.send(
        "DELETE", f"{o.files}/{o.run_id}/artifacts/a.txt"
    ),
    "read another model's file": lambda s, o: s.get(
        f"{o.files}/models/{o.model}/artifacts/MLmodel"
    ),
    "list the root of the store": lambda s, o: s.get(f"{FILES}?path="),
    "list another run's folder": lambda s, o: s.get(
        f"{FILES}?path={o.experiment}/{o.run_id}/artifacts"
    ),
    "register another run's model": lambda s, o: s.post(
        f"{V2}/model-versions/create",
        {"name": "m", "source": f"models:/{o.model}", "model_id": o.model},
    ),
    "register another run's folder": lambda s, o: s.post(
        f"{V2}/model-versions/create", {"name": "m", "source": f"runs:/{o.run_id}/model"}
    ),
    "register what is not in the store": lambda s, o: s.post(
        f"{V2}/model-versions/create", {"name": "m", "source": "s3://bucket/model"}
    ),
    "move a stage": lambda s, o: s.post(
        f"{V2}/model-versions/transition-stage",
        {"name": "m", "version": "1", "stage": "Production"},
    ),
    "see another run's log": lambda s, o: s.get(
        f"/api/trainyard/v1/namespaces/team/runs/{o.run_id}/logs/1"
    ),
    "see another run's summary": lambda s, o: s.get(
        f"/api/trainyard/v1/namespaces/team/runs/{o.run_id}/summary"
    ),
    "fetch a blob of another namespace": lambda s, o: s.get(
        f"/api/trainyard/v1/namespaces/other/blobs/sha256:{'0' * 64}"
    ),
    "ask by GraphQL": lambda s, o: s.post("/graphql", {"query": "{}"}),
    "use the gateway": lambda s, o: s.get(f"{V3}/gateway/secrets/list"),
    "start a job": lambda s, o: s.post("/ajax-api/3.0/jobs/", {}),
    "add a webhook": lambda s, o: s.post(f"{V2}/webhooks", {}),
}


@pytest.mark.parametrize("attempt", REFUSED.values(), ids=REFUSED.keys())
def test_the_code_of_a_run_may_not(attempt, mine, theirs):
    assert attempt(mine, theirs).status_code == 403


def test_a_get_can_not_smuggle_its_question_in_the_body(mine, theirs):
    answer = mine.send("GET", f"{V2}/runs/get", json={"run_id": theirs.run_id})

    assert theirs.run_id not in answer.text


def test_the_workspace_is_that_of_the_token_whatever_the_header_says(mine):
    answer = mine.send(
        "GET", f"{V2}/runs/get?run_id={mine.run_id}", headers={"X-MLFLOW-WORKSPACE": "other"}
    )

    assert answer.status_code == 200


def test_a_run_of_another_namespace_is_refused(world, mine):
    foreign = Side(world, namespace="other")

    assert mine.get(f"{V2}/runs/get?run_id={foreign.run_id}").status_code == 403
    assert mine.get(f"{foreign.files}/{foreign.run_id}/artifacts/a.txt").status_code == 403


@pytest.mark.parametrize("name", ["digits", "another name", "Default"])
def test_every_experiment_name_is_the_runs_own(mine, name):
    found = mine.get(f"{V2}/experiments/get-by-name?experiment_name={name}").json()
    made = mine.post(f"{V2}/experiments/create", {"name": name}).json()

    assert found["experiment"]["experiment_id"] == made["experiment_id"] == mine.experiment


def test_a_search_can_not_be_widened(mine, theirs):
    for asked in ("metrics.m > 0", "params.x != 'a' AND attributes.run_id != 'x", None):
        answer = mine.post(
            f"{V2}/runs/search", {"experiment_ids": ["0", "1", "2"], "filter": asked}
        )

        assert theirs.run_id not in answer.text


def test_its_own_it_may_read_and_write(mine):
    assert mine.get(f"{mine.files}/{mine.run_id}/artifacts/a.txt").content == b"a"
    assert mine.get(f"{mine.files}/models/{mine.model}/artifacts/MLmodel").content == b"m"
    assert mine.get(f"{V2}/logged-models/{mine.model}").status_code == 200
    body = {"run_id": mine.run_id, "metrics": [metric(model_id=mine.model)]}
    assert mine.post(f"{V2}/runs/log-batch", body).status_code == 200


def test_finishing_starts_the_last_ten_minutes_of_a_token(world, mine):
    path = f"/api/trainyard/v1/namespaces/team/runs/{mine.run_id}/finish"
    world.client.post(path, json={"status": "FINISHED", "endTime": 5}, headers=bearer(OPERATOR))

    assert mine.get(f"{V2}/runs/get?run_id={mine.run_id}").status_code == 200


def below(side, path):
    return f"{side.files}/{side.run_id}/{path}"


@pytest.mark.parametrize("folder", ["artifacts", "a2/artifacts"])
@pytest.mark.parametrize("name", ["attempt-1.log", "attempt-12-3.log", "attempt-1.log/x"])
def test_the_log_of_an_attempt_is_the_operators_to_write(mine, folder, name):
    path = below(mine, f"{folder}/logs/{name}")

    assert mine.send("PUT", path, content=b"mine").status_code == 403
    assert mine.send("DELETE", path).status_code == 403


@pytest.mark.parametrize("folder", ["artifacts", "artifacts/logs", "a2", "a2/artifacts/logs"])
def test_logs_do_not_go_with_their_folder(mine, folder):
    assert mine.send("DELETE", below(mine, folder)).status_code == 403


def test_the_code_of_a_run_does_not_get_ahead_of_its_log(world, mine):
    log = f"/api/trainyard/v1/namespaces/team/runs/{mine.run_id}"
    artifact = below(mine, "artifacts/logs/attempt-1.log")
    operator = bearer(OPERATOR)
    mine.send("PUT", artifact, content=b"nothing to see")
    at = {**operator, "Upload-Offset": "0"}
    appended = world.client.patch(f"{log}/logs/1", content=b"printed\n", headers=at)
    ended = {"status": "FINISHED", "endTime": 5, "logs": [1]}
    world.client.post(f"{log}/finish", json=ended, headers=operator)
    mine.send("DELETE", artifact)

    assert appended.status_code == 204
    assert mine.get(f"{log}/logs/1").text == "printed\n"
    assert mine.get(artifact).text == "printed\n"


@pytest.mark.parametrize("path", ["artifacts/logs/epoch-1.log", "artifacts/attempt-1.log"])
def test_logs_of_its_own_the_code_of_a_run_may_write_and_delete(mine, path):
    assert mine.send("PUT", below(mine, path), content=b"x").status_code == 200
    assert mine.send("DELETE", below(mine, path)).status_code == 200


@pytest.mark.parametrize("whose", ["mine", "theirs"])
def test_a_client_of_mlflow_2_registers_a_folder_of_its_run_by_its_place(mine, theirs, whose):
    side = mine if whose == "mine" else theirs
    shown = mine.world.client.get(f"{V2}/runs/get?run_id={side.run_id}", headers=side.headers)
    source = f"{shown.json()['run']['info']['artifact_uri']}/model"
    mine.post(f"{V2}/registered-models/create", {"name": mine.name})

    body = {"name": mine.name, "source": source, "run_id": mine.run_id}
    made = mine.post(f"{V2}/model-versions/create", body)

    assert source.startswith("mlflow-artifacts:/")
    assert made.status_code == (200 if whose == "mine" else 403), made.text


def test_files_of_a_version_that_was_registered_by_its_place_are_readable_by_other_runs(
    mine, theirs
):
    shown = mine.world.client.get(f"{V2}/runs/get?run_id={mine.run_id}", headers=mine.headers)
    source = f"{shown.json()['run']['info']['artifact_uri']}/model"
    for name in ("model/MLmodel", "model-2/MLmodel"):
        mine.send("PUT", below(mine, f"artifacts/{name}"), content=b"x")
    mine.post(f"{V2}/registered-models/create", {"name": mine.name})

    body = {"name": mine.name, "source": source, "run_id": mine.run_id}
    made = mine.post(f"{V2}/model-versions/create", body)
    mine.world.sync()

    assert made.status_code == 200, made.text
    assert theirs.get(below(mine, "artifacts/model/MLmodel")).status_code == 200
    assert theirs.get(below(mine, "artifacts/model-2/MLmodel")).status_code == 403


@pytest.mark.parametrize("what", ["run", "model"])
def test_a_trace_with_the_name_of_anothers_run_or_model_opens_neither(mine, theirs, what):
    name = theirs.run_id if what == "run" else theirs.model
    mine.trace(name)
    assert mine.get(f"/api/3.0/mlflow/traces/{name}").status_code == 200

    assert mine.get(f"{V2}/runs/get?run_id={theirs.run_id}").status_code == 403
    assert mine.get(f"{V2}/logged-models/{theirs.model}").status_code == 403
    assert mine.send("PUT", f"{theirs.files}/{name}/artifacts/x", content=b"x").status_code == 403


@pytest.mark.parametrize("below", ["/artifacts?", "/artifacts#", "/../THEIRS/artifacts?"])
@pytest.mark.parametrize("who", ["a scientist", "a Run"])
def test_the_id_of_a_trace_leads_to_the_files_of_no_other(world, mine, theirs, who, below):
    """MLflow has the files of a trace in a folder of its id."""
    victim = f"tr-{theirs.run_id}"
    theirs.trace(victim)
    theirs.send("PUT", f"{theirs.files}/traces/{victim}/artifacts/traces.json", content=b"secret")
    name = f"{victim}{below.replace('THEIRS', victim)}"
    location = {"mlflow_experiment": {"experiment_id": mine.experiment}}
    info = {
        "trace_id": name,
        "trace_location": {"type": "MLFLOW_EXPERIMENT", **location},
        "request_time": "2026-11-27T00:00:00Z",
        "state": "OK",
    }
    side = {**bearer(SCIENTIST), "X-MLFLOW-WORKSPACE": "team"}
    headers = mine.headers if who == "a Run" else side
    body = {"trace": {"trace_info": info}}

    made = world.client.post("/api/3.0/mlflow/traces", json=body, headers=headers)

    path = "/ajax-api/3.0/mlflow/get-trace-artifact"
    read = world.client.get(path, params={"request_id": name}, headers=headers)
    assert "secret" not in read.text
    assert made.status_code == 400, made.text
