"""MLflow's stages: those a Model has a policy for, and those that are notes on it."""

import pytest
from builders.tracking_registry import error, gates

APPROVAL = {"name": "production", "promotion": "approval"}
AUTOMATIC = {"name": "staging", "promotion": "automatic"}


def move(registry, version: int, stage: str, *, archive: bool = False):
    return registry.call(
        "POST",
        "model-versions/transition-stage",
        name=registry.name,
        version=str(version),
        stage=stage,
        archive_existing_versions=archive,
    )


def stage_of(registry, version: int) -> str:
    found = registry.call("GET", "model-versions/get", name=registry.name, version=str(version))
    return found.json()["model_version"]["current_stage"]


@pytest.fixture
def gated(registry, deciding):
    """Give a model of two versions whose stages hold what is wanted of them."""
    registry.add()
    registry.add()
    registry.gated(AUTOMATIC, APPROVAL)
    deciding.operator = gates()
    return registry


def test_a_stage_transition_moves_the_stage_of_that_name(gated):
    moved = move(gated, 1, "Production")

    assert moved.json()["model_version"]["current_stage"] == "Production"
    assert gated.stored()["spec"]["aliases"] == {"production": 1}
    assert gated.stored()["spec"]["promoters"] == {"production": "scientist"}


def test_an_automatic_stage_is_moved_without_a_signature(gated):
    assert move(gated, 1, "Staging").status_code == 200
    assert "promoters" not in gated.stored()["spec"]


def test_what_a_stage_held_is_archived_in_the_same_write_if_that_is_asked(gated, world):
    move(gated, 1, "Production")
    before = len(world.kube.tokens_seen)

    move(gated, 2, "Production", archive=True)

    assert len(world.kube.tokens_seen) == before + 1
    assert (stage_of(gated, 1), stage_of(gated, 2)) == ("Archived", "Production")


def test_what_a_stage_held_is_in_none_if_it_is_not_archived(gated):
    move(gated, 1, "Production")
    move(gated, 2, "Production")

    assert (stage_of(gated, 1), stage_of(gated, 2)) == ("None", "Production")


@pytest.mark.parametrize("stage", ["None", "Archived"])
def test_a_version_leaves_its_stage_in_the_name_of_who_took_it_out(gated, stage):
    move(gated, 1, "Production")

    assert move(gated, 1, stage).json()["model_version"]["current_stage"] == stage
    assert gated.stored()["spec"]["aliases"] == {}
    assert gated.stored()["spec"]["promoters"] == {"production": "scientist"}


def test_what_an_automatic_stage_holds_stays_and_the_refusal_says_why(gated):
    move(gated, 1, "Staging")
    before = gated.stored()["spec"]

    answer = move(gated, 1, "Archived")

    assert (answer.status_code, error(answer)) == (409, "INVALID_STATE")
    assert "stays in stage staging, which is automatic" in answer.json()["message"]
    assert gated.stored()["spec"] == before


def test_a_stage_that_is_not_there_is_a_bad_parameter_that_names_those_that_are(gated):
    answer = move(gated, 1, "Canary")

    assert (answer.status_code, error(answer)) == (400, "INVALID_PARAMETER_VALUE")
    assert "one of None, Staging, Production, Archived" in answer.json()["message"]


def test_only_what_is_served_is_archived_by_a_move(gated):
    answer = move(gated, 1, "Archived", archive=True)

    assert (answer.status_code, error(answer)) == (400, "INVALID_PARAMETER_VALUE")
    assert "not an Active stage" in answer.json()["message"]


def test_a_gate_refuses_a_transition_too(gated, deciding):
    deciding.operator = gates(refuse="val_accuracy 0.8 is below 0.9")

    answer = move(gated, 1, "Production")

    assert error(answer) == "INVALID_STATE"
    assert stage_of(gated, 1) == "None"


def test_a_version_that_goes_is_shown_as_long_as_a_stage_serves_it(gated, world):
    gated.point("production", 1)
    going = gated.version(1)
    going["metadata"]["deletionTimestamp"] = "2026-11-24T12:00:00Z"
    world.sync()

    assert gated.held("production").json()["model_version"]["version"] == "1"
    move(gated, 2, "Production")
    answer = gated.call("GET", "model-versions/get", name=gated.name, version="1")
    assert error(answer) == "RESOURCE_DOES_NOT_EXIST"
