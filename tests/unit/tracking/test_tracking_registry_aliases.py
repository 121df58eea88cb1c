"""Aliases and stages in MLflow's registry API: what moves, what is refused, what conflicts."""

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Semaphore

import pytest
from builders.tracking_registry import ROOT, error, gates
from mlflow.server.handlers import _get_model_registry_store


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


@pytest.mark.parametrize("is_there", [False, True], ids=["for the first time", "again"])
def test_aliases_that_are_set_at_once_all_succeed(registry, is_there):
    registry.add()
    registry.add()
    for n in range(16 if is_there else 0):
        registry.point(f"a{n}", 2)

    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda n: registry.point(f"a{n}", 1), range(16)))

    assert {answer.status_code for answer in answers} == {200}
    assert registry.stored()["spec"]["aliases"] == {f"a{n}": 1 for n in range(16)}


def test_dropping_an_approved_alias_is_signed_as_moving_it_is(registry, deciding):
    registry.add()
    registry.gated({"name": "production", "promotion": "approval"})
    deciding.operator = gates()
    registry.point("production", 1)
    signed = registry.stored()
    signed["spec"]["promoters"] = {"production": "somebody"}

    registry.call("DELETE", "registered-models/alias", name=registry.name, alias="production")

    assert registry.stored()["spec"]["aliases"] == {}
    assert registry.stored()["spec"]["promoters"] == {"production": "scientist"}


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
    assert registry.stored()["spec"]["promoters"] == {"production": "scientist"}
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


def test_where_many_wait_for_their_gates_the_next_is_answered_without(registry, monkeypatch):
    registry.add()
    registry.gated({"name": "production", "promotion": "approval"})
    store = _get_model_registry_store()
    waited = []
    seldom = replace(store.pointers, sleep=waited.append, waiting=Semaphore(0))
    monkeypatch.setattr(store, "pointers", seldom)

    assert registry.point("production", 1).status_code == 200
    assert waited == []
    assert registry.stored()["spec"]["aliases"] == {"production": 1}


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
