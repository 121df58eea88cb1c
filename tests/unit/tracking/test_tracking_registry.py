"""Models and versions in MLflow's registry API: the resources that calls write and show."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from builders.tracking import SCIENTIST
from builders.tracking_registry import NAMES, ROOT, Registry, error, refusing
from mlflow import MlflowClient
from trainyard_tracking.kube import KubeError
from trainyard_tracking.registry.failures import still_going


def test_a_model_is_a_resource_written_with_the_callers_own_token(world, registry):
    assert registry.stored()["spec"] == {}
    assert world.kube.tokens_seen[-1] == SCIENTIST


def test_a_name_that_no_resource_can_have_gets_a_slug(world):
    registry = Registry(world)
    registry.name = f"Größe (v{next(NAMES)})"

    assert registry.create(description="d").status_code == 200

    shown = registry.call("GET", "registered-models/get", name=registry.name).json()
    assert shown["registered_model"]["name"] == registry.name
    assert registry.add().json()["model_version"]["name"] == registry.name


def test_a_taken_name_is_refused_as_mlflow_does(registry):
    answer = registry.create()

    assert error(answer) == "RESOURCE_ALREADY_EXISTS"
    assert f"Registered Model (name={registry.name}) already exists" in answer.json()["message"]


def test_a_model_that_is_not_there_is_not_found_as_mlflow_says_it(world):
    answer = Registry(world).call("GET", "registered-models/get", name="nobody")

    assert (answer.status_code, error(answer)) == (404, "RESOURCE_DOES_NOT_EXIST")
    assert "not found" in answer.json()["message"]


def test_versions_count_from_one_and_a_taken_number_is_skipped(world, registry):
    registry.add()
    # Somebody else makes the next one, and our cache has not heard of it.
    taken = world.kube.objects[f"{ROOT}/modelversions/{registry.name}-1"]
    world.kube.objects[f"{ROOT}/modelversions/{registry.name}-2"] = {
        **taken,
        "spec": {**taken["spec"], "version": 2},
    }

    third = registry.add().json()["model_version"]

    assert third["version"] == "3"
    assert third["status"] == "READY"


def test_a_number_is_never_used_again(world, registry):
    registry.add()
    registry.add()
    registry.call("DELETE", "model-versions/delete", name=registry.name, version="2")
    gone = registry.call("GET", "model-versions/get", name=registry.name, version="2")
    # The operator retires the number and lets the finalizer go.
    changed = registry.stored()
    changed["status"] = {"retired": 2}
    world.kube.write(f"{ROOT}/models/{registry.name}", changed)
    del world.kube.objects[f"{ROOT}/modelversions/{registry.name}-2"]
    world.sync()

    assert error(gone) == "RESOURCE_DOES_NOT_EXIST"
    assert registry.add().json()["model_version"]["version"] == "3"


def test_a_version_is_held_until_its_number_is_retired(world, registry):
    registry.add(tags=[{"key": "a", "value": "b"}])

    made = world.kube.objects[f"{ROOT}/modelversions/{registry.name}-1"]
    assert made["metadata"]["finalizers"] == ["trainyard.dev/retire"]
    assert "ownerReferences" not in made["metadata"]
    assert made["spec"]["tags"] == {"a": "b"}


def test_a_copy_of_a_version_has_its_source(world, registry):
    registry.add(source="s3://models/first")

    copy = registry.add(source=f"models:/{registry.name}/1").json()["model_version"]

    made = world.kube.objects[f"{ROOT}/modelversions/{registry.name}-2"]
    assert copy["source"] == f"models:/{registry.name}/1"
    assert made["spec"]["source"] == {"uri": "s3://models/first"}


def test_deleting_a_model_is_one_write_and_takes_its_versions_along(world, registry):
    registry.add()
    before = len(world.kube.tokens_seen)

    registry.call("DELETE", "registered-models/delete", name=registry.name)

    held = world.kube.objects[f"{ROOT}/models/{registry.name}"]
    assert len(world.kube.tokens_seen) == before + 1
    # The operator deletes the versions, and lets the Model go after them.
    assert held["metadata"]["finalizers"] == ["trainyard.dev/versions"]
    assert "deletionTimestamp" in held["metadata"]
    for path in ("registered-models/get", "model-versions/get"):
        answer = registry.call("GET", path, name=registry.name, version="1")
        assert error(answer) == "RESOURCE_DOES_NOT_EXIST"


def test_a_model_that_may_not_be_deleted_keeps_its_versions(world, registry):
    registry.add()
    registry.point("best", 1)
    world.kube.refuses = refusing("delete", "/models/")

    answer = registry.call("DELETE", "registered-models/delete", name=registry.name)

    assert (answer.status_code, error(answer)) == (403, "PERMISSION_DENIED")
    assert "deletionTimestamp" not in registry.version(1)["metadata"]
    assert registry.held("best").json()["model_version"]["version"] == "1"


def test_a_version_that_may_not_be_deleted_keeps_its_aliases(world, registry):
    registry.add()
    registry.point("best", 1)
    before = registry.stored()
    world.kube.refuses = refusing("delete", "/modelversions/")

    answer = registry.call("DELETE", "model-versions/delete", name=registry.name, version="1")

    assert (answer.status_code, error(answer)) == (403, "PERMISSION_DENIED")
    assert registry.stored() == before


def test_a_version_whose_stage_may_not_be_emptied_is_not_deleted(world, registry):
    registry.add()
    registry.point("production", 1)
    world.kube.refuses = refusing("patch", "/models/")

    answer = registry.call("DELETE", "model-versions/delete", name=registry.name, version="1")

    assert error(answer) == "PERMISSION_DENIED"
    assert "deletionTimestamp" not in registry.version(1)["metadata"]


def test_a_name_is_free_once_the_deleted_model_is_gone(world, registry):
    registry.call("DELETE", "registered-models/delete", name=registry.name)
    del world.kube.objects[f"{ROOT}/models/{registry.name}"]

    assert registry.create().status_code == 200
    assert "deletionTimestamp" not in registry.stored()["metadata"]


def test_a_name_that_becomes_free_in_the_same_moment_is_taken(world, registry, monkeypatch):
    registry.call("DELETE", "registered-models/delete", name=registry.name)
    look = world.kube.get

    def let_go(path):
        world.kube.objects.pop(f"{ROOT}/models/{registry.name}", None)
        return look(path)

    monkeypatch.setattr(world.kube, "get", let_go)

    assert registry.create().status_code == 200


def test_who_wants_the_name_of_a_model_that_is_not_gone_yet_is_told_when_to_ask_again(registry):
    registry.call("DELETE", "registered-models/delete", name=registry.name)

    answer = registry.create()

    # MLflow's client asks again after a 429, and as late as the header says.
    assert (answer.status_code, error(answer)) == (429, "TEMPORARILY_UNAVAILABLE")
    assert 1 <= int(answer.headers["Retry-After"]) <= 30
    assert "not gone yet" in answer.json()["message"]


@pytest.mark.parametrize(("lasts", "again"), [(-600, 1), (0, 1), (4, 4), (3600, 30)])
def test_it_is_asked_again_after_as_long_as_the_deletion_lasts_already(lasts, again):
    since = datetime(2026, 1, 1, tzinfo=UTC)

    assert still_going("digits", since, since + timedelta(seconds=lasts)).again == again


def test_the_client_of_mlflow_waits_for_a_deleted_model_to_be_gone(world, registry, monkeypatch):
    registry.call("DELETE", "registered-models/delete", name=registry.name)
    asked = []
    make = world.kube.create

    def create(path, body, **more):
        if body["kind"] == "Model":
            asked.append(body)
            if len(asked) == 2:
                del world.kube.objects[f"{ROOT}/models/{registry.name}"]
        return make(path, body, **more)

    waited = []
    monkeypatch.setattr(world.kube, "create", create)
    monkeypatch.setattr("urllib3.util.retry.time.sleep", waited.append)
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", SCIENTIST)
    monkeypatch.setenv("MLFLOW_WORKSPACE", "team")

    client = MlflowClient(tracking_uri=world.url, registry_uri=world.url)

    assert client.create_registered_model(registry.name).name == registry.name
    assert len(waited) == 1
    assert 1 <= waited[0] <= 30


def test_tags_and_descriptions_are_the_resources(registry):
    registry.add()
    version = {"name": registry.name, "version": "1"}

    registry.call("POST", "registered-models/set-tag", name=registry.name, key="a/b", value="1")
    registry.call("PATCH", "registered-models/update", name=registry.name, description="good")
    registry.call("POST", "model-versions/set-tag", key="c", value="2", **version)
    registry.call("PATCH", "model-versions/update", description="better", **version)
    registry.call("DELETE", "model-versions/delete-tag", key="c", **version)

    shown = registry.call("GET", "model-versions/get", **version).json()["model_version"]
    assert registry.stored()["spec"] == {"tags": {"a/b": "1"}, "description": "good"}
    assert shown["description"] == "better"
    assert "tags" not in shown


@pytest.mark.parametrize("kind", ["registered-models", "model-versions"])
def test_tags_that_are_set_at_once_all_stay(registry, kind):
    registry.add()
    more = {"name": registry.name} | ({"version": "1"} if kind == "model-versions" else {})

    with ThreadPoolExecutor(16) as pool:
        answers = list(
            pool.map(
                lambda n: registry.call("POST", f"{kind}/set-tag", key=f"k{n}", value="v", **more),
                range(16),
            )
        )

    stored = registry.stored() if kind == "registered-models" else registry.version(1)
    assert {answer.status_code for answer in answers} == {200}
    assert set(stored["spec"]["tags"]) == {f"k{n}" for n in range(16)}


def test_a_tag_keeps_those_that_the_cache_has_not_heard_of(world, registry):
    changed = registry.stored()
    changed["spec"]["tags"] = {"from": "a manifest"}
    world.kube.write(f"{ROOT}/models/{registry.name}", changed)

    registry.call("POST", "registered-models/set-tag", name=registry.name, key="k", value="v")

    assert registry.stored()["spec"]["tags"] == {"from": "a manifest", "k": "v"}


def test_a_write_that_meets_another_is_tried_again(world, registry):
    left = [1, 2, 3]

    def conflict(verb, path, change):
        if left:
            left.pop()
            raise KubeError(409, "Conflict", "the object has been modified")

    world.kube.refuses = conflict

    answer = registry.call(
        "POST", "registered-models/set-tag", name=registry.name, key="k", value="v"
    )

    assert (answer.status_code, left) == (200, [])


def test_versions_that_are_made_at_once_get_all_numbers_without_a_gap(registry):
    with ThreadPoolExecutor(32) as pool:
        made = list(pool.map(lambda _: registry.add(), range(32)))

    numbers = sorted(int(one.json()["model_version"]["version"]) for one in made)
    assert numbers == list(range(1, 33))


def test_a_cache_that_is_far_behind_does_not_stop_anybody(world, registry):
    registry.add()
    first = registry.version(1)
    for number in range(2, 200):
        taken = {**first, "spec": {**first["spec"], "version": number}}
        world.kube.objects[f"{ROOT}/modelversions/{registry.name}-{number}"] = taken
    # The operator has seen them.
    changed = registry.stored()
    changed["status"] = {"latestVersion": 199}
    world.kube.write(f"{ROOT}/models/{registry.name}", changed)

    assert registry.add().json()["model_version"]["version"] == "200"


def test_a_number_is_not_used_again_while_only_the_deletion_was_heard_of(world, registry):
    registry.add()
    path = f"{ROOT}/modelversions/{registry.name}-1"
    gone = world.kube.objects.pop(path)
    # The watch of versions is ahead of that of Models, as they are two.
    world.service.resources.versions.remove(gone)
    changed = world.kube.get(f"{ROOT}/models/{registry.name}")
    changed["status"] = {"retired": 1}
    world.kube.write(f"{ROOT}/models/{registry.name}", changed)

    assert registry.add().json()["model_version"]["version"] == "2"


def test_times_are_of_the_call_to_the_millisecond_and_the_operator_moves_none(world, registry):
    before = int(datetime.now(UTC).timestamp() * 1000)
    made = registry.add().json()["model_version"]
    changed = registry.version(1)
    changed["metadata"]["managedFields"] = [
        {"manager": "operator", "subresource": "status", "time": "2036-01-01T00:00:00Z"}
    ]
    world.kube.write(f"{ROOT}/modelversions/{registry.name}-1", changed)
    world.sync()

    shown = registry.call("GET", "model-versions/get", name=registry.name, version="1").json()

    assert made["creation_timestamp"] >= before
    assert shown["model_version"]["last_updated_timestamp"] == made["creation_timestamp"]


def test_what_was_made_otherwise_has_its_time_of_creation(world, registry):
    changed = registry.stored()
    changed["metadata"]["annotations"] = {"trainyard.dev/created-ms": "9" * 5000}
    world.kube.write(f"{ROOT}/models/{registry.name}", changed)
    world.sync()

    shown = registry.call("GET", "registered-models/get", name=registry.name).json()

    assert shown["registered_model"]["creation_timestamp"] == 1_795_521_600_000


def test_a_renamed_model_is_found_by_its_new_name_and_its_old_one_is_free(world, registry):
    registry.add()
    old, new = registry.name, f"Renamed {registry.name}"

    renamed = registry.call("POST", "registered-models/rename", name=old, new_name=new)
    again = registry.create()
    registry.add()

    assert renamed.json()["registered_model"]["name"] == new
    assert again.status_code == 200
    for name in (old, new):
        found = registry.call("GET", "model-versions/get", name=name, version="1")
        assert found.json()["model_version"]["name"] == name
    assert world.kube.objects[f"{ROOT}/models/{old}"]["spec"]["name"] == new


def test_a_model_is_not_renamed_to_a_name_that_is_taken(world, registry):
    other = Registry(world)
    other.create()

    answer = registry.call(
        "POST", "registered-models/rename", name=registry.name, new_name=other.name
    )

    assert error(answer) == "RESOURCE_ALREADY_EXISTS"
    assert registry.stored()["spec"] == {}
