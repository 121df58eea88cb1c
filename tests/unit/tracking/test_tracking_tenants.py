"""A namespace is more than its name: one that is not there, one made again, and its Default."""

import hashlib

import pytest
from builders.tracking import OPERATOR, SCIENTIST, STRANGER, bearer
from builders.tracking_side import FILES, V2, Side
from trainyard_tracking.tenants import KEEPS

HEADERS = bearer(SCIENTIST, **{"X-MLFLOW-WORKSPACE": "team"})
WORKSPACE = "X-MLFLOW-WORKSPACE"
PRIVATE = "/api/trainyard/v1/namespaces"


def namespace(world, name, uid, **annotations):
    metadata = {"name": name, "uid": uid, "annotations": annotations}
    world.kube.write(f"/api/v1/namespaces/{name}", {"metadata": metadata})
    world.sync()


def admin(name):
    return bearer(OPERATOR, **{WORKSPACE: name})


def experiments(world, name):
    answer = world.client.post(
        f"{V2}/experiments/search", json={"max_results": 50}, headers=admin(name)
    )
    return {one["name"] for one in answer.json().get("experiments", [])}


@pytest.mark.parametrize("name", ["not-there", "Team", "team/x", "team.x", "..", "a" * 64, "x'y"])
@pytest.mark.parametrize("path", [f"{V2}/experiments/search", f"{V2}/experiments/create"])
def test_a_namespace_that_does_not_exist_is_no_workspace(world, path, name):
    answer = world.client.post(path, json={"max_results": 1, "name": "x"}, headers=admin(name))

    assert answer.status_code == 404
    assert "does not exist" in answer.json()["message"]


def test_whether_a_namespace_exists_is_told_to_those_only_who_may_use_it(world):
    answer = world.client.post(
        f"{V2}/experiments/search",
        json={"max_results": 1},
        headers=bearer(SCIENTIST, **{WORKSPACE: "not-there"}),
    )

    assert answer.status_code == 403


@pytest.mark.parametrize(
    "path",
    ["/version", "/static-files/x", "/api/3.0/mlflow/server-info", "/api/3.0/mlflow/workspaces"],
)
def test_what_is_of_no_namespace_says_the_same_whichever_is_named(world, path):
    asked = [
        world.client.get(path, headers=bearer(STRANGER, **{WORKSPACE: name}))
        for name in ("other", "not-there")
    ]

    assert len({(one.status_code, one.text) for one in asked}) == 1


def test_a_workspace_is_shown_to_those_only_who_may_list_its_runs(world):
    where = "/api/3.0/mlflow/workspaces"
    codes = {
        (who, name): world.client.get(f"{where}/{name}", headers=bearer(who)).status_code
        for who in (STRANGER, SCIENTIST, OPERATOR)
        for name in ("team", "other", "not-there")
    }

    assert codes == {
        (STRANGER, "team"): 403,
        (STRANGER, "other"): 403,
        (STRANGER, "not-there"): 403,
        (SCIENTIST, "team"): 200,
        (SCIENTIST, "other"): 403,
        (SCIENTIST, "not-there"): 403,
        (OPERATOR, "team"): 200,
        (OPERATOR, "other"): 200,
        (OPERATOR, "not-there"): 404,
    }


def test_a_namespace_that_the_watch_has_not_told_of_is_asked_for(world):
    metadata = {"name": "brand-new", "uid": "brand-new"}
    world.kube.write("/api/v1/namespaces/brand-new", {"metadata": metadata})

    assert experiments(world, "brand-new") == {"Default"}
    assert world.record(f"{0x7E01:032x}", "first", namespace="brand-new")


def test_while_the_cluster_is_away_an_unknown_namespace_is_503_and_a_known_one_goes_on(world):
    namespace(world, "known", "known-1")
    world.record(f"{0x7E02:032x}", "goes-on", namespace="known")
    token = world.record(f"{0x7E03:032x}", "goes-on-2", namespace="known")
    world.kube.down = True

    asked = world.client.get(f"{V2}/runs/get?run_id={0x7E03:032x}", headers=bearer(token))

    assert asked.status_code == 200


def test_a_namespace_that_was_made_again_sees_nothing_of_the_old(world):
    namespace(world, "again", "first")
    old = Side(world, namespace="again", experiment="secret")
    path = f"workspaces/again/{old.experiment}/{old.run_id}/artifacts/a.txt"
    assert old.get(f"{FILES}/{path}").status_code == 200

    namespace(world, "again", "second")

    mine = admin("again")
    ask = world.client.get
    assert "secret" not in experiments(world, "again")
    assert {
        "its file": ask(f"{FILES}/{path}", headers=mine).status_code,
        "its folder": ask(f"{FILES}?path={old.experiment}", headers=mine).status_code,
        "its run": ask(f"{V2}/runs/get?run_id={old.run_id}", headers=mine).status_code,
        "its model": ask(f"{V2}/logged-models/{old.model}", headers=mine).status_code,
        "its token": old.get(f"{V2}/runs/get?run_id={old.run_id}").status_code,
        "its log": ask(
            f"/api/trainyard/v1/namespaces/again/runs/{old.run_id}/logs/1", headers=mine
        ).status_code,
        "its summary": ask(
            f"/api/trainyard/v1/namespaces/again/runs/{old.run_id}/summary", headers=mine
        ).status_code,
    } == {
        "its file": 403,
        "its folder": 403,
        "its run": 404,
        "its model": 404,
        "its token": 403,
        "its log": 404,
        "its summary": 404,
    }
    new = Side(world, namespace="again", experiment="secret")
    assert new.experiment != old.experiment


def test_content_and_live_logs_of_the_old_namespace_are_not_the_new_ones(world):
    namespace(world, "content", "first")
    old = Side(world, namespace="content")
    mine, data = admin("content"), b"weights of the old team"
    home = f"{PRIVATE}/content"
    blob = f"{home}/blobs/sha256:{hashlib.sha256(data).hexdigest()}"
    log = f"{home}/runs/{old.run_id}/logs/1"
    ask = world.client.request
    assert ask("PUT", blob, content=data, headers=mine).status_code == 201
    begins = {**mine, "Upload-Offset": "0"}
    assert ask("PATCH", log, content=b"line", headers=begins).status_code == 204
    assert ask("GET", log, headers=mine).content == b"line"

    namespace(world, "content", "second")

    assert {
        "its blob": ask("GET", blob, headers=mine).status_code,
        "whether it is there": ask("GET", f"{blob}/upload", headers=mine).json(),
        "its log": ask("GET", log, headers=mine).status_code,
        "more of its log": ask("PATCH", log, content=b"x", headers=begins).status_code,
    } == {
        "its blob": 404,
        "whether it is there": {"complete": False, "offset": 0},
        "its log": 404,
        "more of its log": 404,
    }
    assert ask("PUT", blob, content=data, headers=mine).status_code == 201
    assert ask("GET", blob, headers=mine).content == data


@pytest.mark.parametrize("call", ["create", "search"])
def test_not_even_the_first_request_of_an_old_token_is_let_in(world, call):
    name = f"once-{call}"
    namespace(world, name, "first")
    old = Side(world, namespace=name, experiment="secret")
    namespace(world, name, "second")
    path = f"{V2}/registered-models/{call}"

    asked = old.post(path, {"name": "planted"}) if call == "create" else old.get(path)

    assert asked.status_code == 403, asked.text
    assert not [key for key in world.kube.objects if key.endswith(f"/{name}/models/planted")]


def test_a_namespace_that_was_restored_keeps_its_records_if_it_says_so(world):
    namespace(world, "restored", "before")
    old = Side(world, namespace="restored", experiment="kept")

    namespace(world, "restored", "after", **{KEEPS: "before"})

    assert "kept" in experiments(world, "restored")
    assert old.get(f"{V2}/runs/get?run_id={old.run_id}").status_code == 200


def test_the_plainest_script_works_in_every_namespace(world):
    post = world.client.post
    made = post(f"{V2}/runs/create", json={"experiment_id": "0"}, headers=HEADERS).json()
    run = made["run"]["info"]
    found = world.client.get(f"{V2}/experiments/get?experiment_id=0", headers=HEADERS).json()
    searched = post(f"{V2}/runs/search", json={"experiment_ids": ["0"]}, headers=HEADERS).json()
    model = post(f"{V2}/logged-models", json={"experiment_id": "0", "name": "m"}, headers=HEADERS)

    assert found["experiment"]["name"] == "Default"
    assert run["experiment_id"] == found["experiment"]["experiment_id"] != "0"
    assert run["run_id"] in [one["info"]["run_id"] for one in searched["runs"]]
    assert model.json()["model"]["info"]["experiment_id"] == run["experiment_id"]


def test_a_default_that_was_deleted_stays_so(world):
    namespace(world, "tidy", "tidy-1")
    post, mine = world.client.post, admin("tidy")
    own = world.client.get(f"{V2}/experiments/get?experiment_id=0", headers=mine).json()
    gone = {"experiment_id": own["experiment"]["experiment_id"]}
    assert post(f"{V2}/experiments/delete", json=gone, headers=mine).status_code == 200

    made = post(f"{V2}/runs/create", json={"experiment_id": "0"}, headers=mine)

    assert made.status_code == 400
    assert "Default" not in experiments(world, "tidy")


def test_default_keeps_experiment_0_in_whatever_cluster_it_is(world):
    namespace(world, "default", "of-another-cluster")
    found = world.client.get(f"{V2}/experiments/get?experiment_id=0", headers=admin("default"))

    assert found.json()["experiment"]["experiment_id"] == "0"


@pytest.mark.parametrize(
    ("method", "path", "words"),
    [
        ("POST", "mpu/create/1/x", "Multipart upload is not supported for the current"),
        ("GET", "presigned/1/x", "Multipart download is not supported for the current"),
    ],
)
@pytest.mark.parametrize("who", ["a scientist", "a Run"])
def test_clients_are_told_in_their_own_words_to_send_and_read_files_whole(
    world, method, path, words, who
):
    headers = HEADERS if who == "a scientist" else Side(world).headers

    answer = world.client.request(method, f"/api/2.0/mlflow-artifacts/{path}", headers=headers)

    assert answer.status_code == 501
    assert answer.json()["message"].startswith(words)
