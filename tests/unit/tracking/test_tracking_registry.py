"""Models and versions in MLflow's registry API: the resources that calls write and show."""

from datetime import UTC, datetime, timedelta

import pytest
from builders.tracking import SCIENTIST
from builders.tracking_registry import NAMES, ROOT, Registry, error
from mlflow import MlflowClient
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


def test_deleting_a_model_takes_its_versions_along(world, registry):
    registry.add()

    registry.call("DELETE", "registered-models/delete", name=registry.name)

    held = world.kube.objects[f"{ROOT}/models/{registry.name}"]
    assert held["metadata"]["finalizers"] == ["trainyard.dev/versions"]
    assert "deletionTimestamp" in held["metadata"]
    assert error(registry.call("GET", "registered-models/get", name=registry.name)) == (
        "RESOURCE_DOES_NOT_EXIST"
    )
    going = world.kube.objects[f"{ROOT}/modelversions/{registry.name}-1"]
    assert "deletionTimestamp" in going["metadata"]


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

    # MLflow's client asks again after a 503, and as late as the header says.
    assert (answer.status_code, error(answer)) == (503, "TEMPORARILY_UNAVAILABLE")
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
