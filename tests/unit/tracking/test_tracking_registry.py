"""MLflow's registry API on the resources: what it writes, what it shows, what it refuses."""

import itertools
import time
from typing import Any

import pytest
from gen_tracking import SCIENTIST, VIEWER, FakeKube, bearer

V2 = "/api/2.0/mlflow"
ROOT = "/apis/trainyard.dev/v1alpha1/namespaces/team"
_NAMES = itertools.count(1)


class Registry:
    """MLflow's registry API as a scientist of namespace `team` uses it."""

    def __init__(self, world, who=SCIENTIST):
        self.world = world
        self.name = f"model-{next(_NAMES)}"
        self.headers = bearer(who, **{"X-MLFLOW-WORKSPACE": "team"})

    def call(self, method: str, path: str, **fields: Any):
        sent = {"params": fields} if method == "GET" else {"json": fields}
        return self.world.client.request(method, f"{V2}/{path}", headers=self.headers, **sent)

    def create(self, **fields: Any):
        return self.call("POST", "registered-models/create", **{"name": self.name, **fields})

    def add(self, **fields: Any):
        fields = {"name": self.name, "source": "s3://models/one", **fields}
        return self.call("POST", "model-versions/create", **fields)

    def point(self, alias: str, version: int):
        return self.call(
            "POST", "registered-models/alias", name=self.name, alias=alias, version=str(version)
        )

    def held(self, alias: str):
        return self.call("GET", "registered-models/alias", name=self.name, alias=alias)

    def stored(self) -> dict[str, Any]:
        return self.world.kube.objects[f"{ROOT}/models/{self.name}"]

    def gated(self, *stages: dict[str, Any]) -> None:
        """Give the model stages, as kubectl would."""
        changed = self.world.kube.objects[f"{ROOT}/models/{self.name}"]
        changed["spec"]["stages"] = list(stages)
        self.world.kube.write(f"{ROOT}/models/{self.name}", changed)
        self.world.sync()


@pytest.fixture
def registry(world):
    found = Registry(world)
    assert found.create().status_code == 200
    return found


def error(answer) -> str:
    return answer.json()["error_code"]


def gates(*, refuse: str = ""):
    """Make a stand-in for the operator that decides at once about all stages."""

    def decide(kube: FakeKube, model: dict[str, Any]) -> None:
        wanted = model["spec"].get("aliases", {})
        stages = []
        for stage in model["spec"].get("stages", []):
            version = wanted.get(stage["name"])
            refusal = {"version": version, "reason": "GateRefused", "message": refuse}
            stages.append(
                {
                    "name": stage["name"],
                    **({"refusal": refusal} if refuse else {"version": version}),
                }
            )
        held = {one["name"]: one["version"] for one in stages if one.get("version")}
        model["status"] = {
            "observedGeneration": model["metadata"]["generation"],
            "stages": stages,
            "aliases": held,
        }
        namespace, name = model["metadata"]["namespace"], model["metadata"]["name"]
        written = kube.write(f"{ROOT}/models/{name}", model)
        assert namespace == "team"
        kube.seen.put(written)

    return decide


@pytest.fixture
def deciding(world):
    """Let the cache hear of the stand-in's writes, as a watch would."""
    world.kube.seen = world.service.resources.models
    return world.kube


def test_a_model_is_a_resource_written_with_the_callers_own_token(world, registry):
    assert registry.stored()["spec"] == {}
    assert world.kube.tokens_seen[-1] == SCIENTIST


def test_a_name_that_no_resource_can_have_gets_a_slug(world):
    registry = Registry(world)
    registry.name = f"Größe (v{next(_NAMES)})"

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
    assert made["metadata"]["ownerReferences"][0]["kind"] == "Model"
    assert made["spec"]["tags"] == {"a": "b"}


def test_a_copy_of_a_version_has_its_source(world, registry):
    registry.add(source="s3://models/first")

    copy = registry.add(source=f"models:/{registry.name}/1").json()["model_version"]

    made = world.kube.objects[f"{ROOT}/modelversions/{registry.name}-2"]
    assert copy["source"] == f"models:/{registry.name}/1"
    assert made["spec"]["source"] == {"uri": "s3://models/first"}


def test_an_alias_without_a_policy_holds_at_once(registry):
    registry.add()

    assert registry.point("best", 1).status_code == 200
    assert registry.held("best").json()["model_version"]["version"] == "1"
    shown = registry.call("GET", "registered-models/get", name=registry.name).json()
    assert shown["registered_model"]["aliases"] == [{"alias": "best", "version": "1"}]


def test_an_alias_that_is_not_there_is_a_bad_parameter_as_in_mlflow(registry):
    answer = registry.held("nothing")

    assert error(answer) == "INVALID_PARAMETER_VALUE"
    assert answer.json()["message"] == "Registered model alias nothing not found."


def test_deleting_an_alias_twice_is_harmless(registry):
    registry.add()
    registry.point("best", 1)

    for _ in range(2):
        answer = registry.call(
            "DELETE", "registered-models/alias", name=registry.name, alias="best"
        )
        assert answer.status_code == 200
    assert registry.stored()["spec"]["aliases"] == {}


def test_a_stage_that_passes_its_gate_is_held_and_says_who_moved_it(registry, deciding):
    registry.add()
    registry.gated({"name": "production", "promotion": "approval"})
    deciding.operator = gates()

    answer = registry.point("production", 1)

    assert answer.status_code == 200
    assert registry.stored()["spec"]["promotedBy"] == "scientist"
    assert registry.held("production").json()["model_version"]["current_stage"] == "Production"


def test_a_refused_stage_says_why_and_does_not_move(registry, deciding):
    registry.add()
    registry.gated({"name": "production", "promotion": "approval"})
    deciding.operator = gates(refuse="val_accuracy 0.8 is below 0.9")

    begun = time.monotonic()
    answer = registry.point("production", 1)

    assert (answer.status_code, error(answer)) == (409, "INVALID_STATE")
    assert "val_accuracy 0.8 is below 0.9" in answer.json()["message"]
    assert time.monotonic() - begun < 3
    assert error(registry.held("production")) == "INVALID_STATE"


def test_a_stage_transition_moves_the_stage_of_that_name(registry, deciding):
    registry.add()
    registry.gated({"name": "staging", "promotion": "automatic"})
    deciding.operator = gates()
    fields = {"name": registry.name, "version": "1", "archive_existing_versions": False}

    moved = registry.call("POST", "model-versions/transition-stage", stage="Staging", **fields)
    other = registry.call("POST", "model-versions/transition-stage", stage="Archived", **fields)

    assert moved.json()["model_version"]["current_stage"] == "Staging"
    assert "promotedBy" not in registry.stored()["spec"]
    assert error(other) == "NOT_IMPLEMENTED"


def test_two_moves_at_once_are_one_move_and_one_conflict(world, registry, deciding):
    registry.add()
    registry.add()
    registry.point("best", 1)
    get, path = world.kube.get, f"{ROOT}/models/{registry.name}"

    def and_somebody_is_faster(asked: str):
        found = get(asked)
        if asked == path and registry.stored()["spec"]["aliases"]["best"] == 1:
            changed = get(path)
            changed["spec"]["aliases"]["best"] = 7
            world.kube.write(path, changed)
        return found

    world.kube.get = and_somebody_is_faster
    try:
        answer = registry.point("best", 2)
    finally:
        world.kube.get = get

    assert error(answer) == "RESOURCE_CONFLICT"
    assert "version 7" in answer.json()["message"]


def test_a_status_written_in_the_same_moment_is_no_conflict(world, registry):
    registry.add()
    get, path, left = world.kube.get, f"{ROOT}/models/{registry.name}", [1, 2]

    def and_the_operator_writes(asked: str):
        found = get(asked)
        if asked == path and left:
            left.pop()
            world.kube.write(path, get(path))
        return found

    world.kube.get = and_the_operator_writes
    try:
        answer = registry.point("best", 1)
    finally:
        world.kube.get = get

    assert answer.status_code == 200
    assert registry.stored()["spec"]["aliases"] == {"best": 1}


def test_deleting_a_version_takes_its_aliases_along(registry):
    registry.add()
    registry.point("best", 1)

    registry.call("DELETE", "model-versions/delete", name=registry.name, version="1")

    assert registry.stored()["spec"]["aliases"] == {}


def test_deleting_a_model_takes_its_versions_along(world, registry):
    registry.add()

    registry.call("DELETE", "registered-models/delete", name=registry.name)

    assert f"{ROOT}/models/{registry.name}" not in world.kube.objects
    going = world.kube.objects[f"{ROOT}/modelversions/{registry.name}-1"]
    assert "deletionTimestamp" in going["metadata"]


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


def test_searches_use_mlflows_filters_and_pages(registry):
    for value in ("x", "y", "y"):
        registry.add(tags=[{"key": "k", "value": value}])

    wanted = f"name = '{registry.name}' AND tags.k = 'y'"
    first = registry.call("GET", "model-versions/search", filter=wanted, max_results=1).json()
    rest = registry.call(
        "GET",
        "model-versions/search",
        filter=wanted,
        max_results=5,
        page_token=first["next_page_token"],
    ).json()
    models = registry.call("GET", "registered-models/search", filter=f"name = '{registry.name}'")

    found = [one["version"] for one in first["model_versions"] + rest["model_versions"]]
    assert sorted(found) == ["2", "3"]
    assert len(models.json()["registered_models"]) == 1


def test_latest_versions_are_by_stage(registry, deciding):
    registry.add()
    registry.add()
    registry.gated({"name": "production"})
    deciding.operator = gates()
    registry.point("production", 1)

    latest = registry.call(
        "POST", "registered-models/get-latest-versions", name=registry.name
    ).json()["model_versions"]

    assert {one["current_stage"]: one["version"] for one in latest} == {
        "Production": "1",
        "None": "2",
    }


def test_files_outside_of_the_store_are_never_fetched_with_the_services_keys(registry):
    registry.add(source="s3://somebody-elses/secrets")

    answer = registry.call(
        "GET", "model-versions/get-download-uri", name=registry.name, version="1"
    )

    assert error(answer) == "INVALID_STATE"


def test_a_viewer_reads_and_does_not_write(world, registry):
    viewer = Registry(world, VIEWER)
    viewer.name = registry.name

    assert viewer.call("GET", "registered-models/get", name=viewer.name).status_code == 200
    assert viewer.add().status_code == 403


def test_while_the_cluster_is_away_reads_answer_and_writes_are_503(world, registry):
    registry.add()
    world.kube.down = True

    read = registry.call("GET", "model-versions/get", name=registry.name, version="1")
    write = registry.point("best", 1)

    assert (read.status_code, write.status_code) == (200, 503)


@pytest.mark.parametrize(
    ("method", "path", "fields"),
    [
        pytest.param("POST", "registered-models/rename", {"new_name": "x"}, id="renaming"),
        pytest.param(
            "POST",
            "registered-models/create",
            {"name": "prompt", "tags": [{"key": "mlflow.prompt.is_prompt", "value": "true"}]},
            id="prompts",
        ),
    ],
)
def test_what_is_not_supported_says_so(registry, method, path, fields):
    answer = registry.call(method, path, **{"name": registry.name, **fields})

    assert error(answer) == "NOT_IMPLEMENTED"
    assert answer.status_code < 500 or answer.status_code == 501
