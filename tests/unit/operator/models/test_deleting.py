"""A Model that is deleted takes its versions along; one that is merely missing does not."""

from datetime import UTC, datetime

import pytest
from builders import given
from builders.stage import Stage
from trainyard_api import contract
from trainyard_operator.engine.plan import Plan, Ref
from trainyard_operator.finalizers.effects import Hold, ReleaseFinalizer
from trainyard_operator.kinds import KINDS
from trainyard_operator.models.plan import Observed, plan
from trainyard_operator.settings import Settings

VERSIONS = contract.VERSIONS_FINALIZER
GOING = {"deletionTimestamp": given.CREATED}
FIRST, SECOND = given.model_version(version=1), given.model_version(version=2)
ROUNDS = 12


def look(metadata: dict[str, object], *versions: dict[str, object]) -> Plan:
    now = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
    resource = given.model(metadata=metadata)
    return plan(resource, Observed(versions), now=now, settings=Settings())


def test_one_that_nothing_holds_yet_is_held() -> None:
    told = look({"finalizers": []})

    assert told.effects == (Hold(Ref.of(given.model()), VERSIONS),)


def test_its_versions_go_first() -> None:
    leaving = given.model_version(version=2, metadata=GOING)

    told = look(GOING, FIRST, leaving)

    assert told.delete == (Ref.of(FIRST),)
    assert told.effects == ()


def test_then_it_goes() -> None:
    told = look(GOING)

    assert told.effects == (ReleaseFinalizer(Ref.of(given.model()), VERSIONS),)


def test_held_by_another_alone_it_has_taken_them_along() -> None:
    told = look({**GOING, "finalizers": ["a/b"]}, SECOND)

    assert told.delete == ()
    assert told.effects == ()


@pytest.mark.parametrize("finalizers", [[], [VERSIONS]], ids=["applied now", "held already"])
async def test_deleted_all_of_it_is_gone(finalizers: list[str]) -> None:
    stage = Stage()
    model = stage.add(given.model(metadata={"finalizers": finalizers}))
    stage.add(given.model_version(status=given.published()))
    process = stage.process(KINDS)
    await stage.play(process, rounds=ROUNDS)

    stage.kube.remove(model)
    assert stage.kube.find("ModelVersion") != []
    await stage.play(process, rounds=ROUNDS)

    assert stage.kube.find("Model") == []
    assert stage.kube.find("ModelVersion") == []


async def test_what_an_earlier_operator_made_survives_a_backup_with_new_uids() -> None:
    stage = Stage()
    model = stage.add(given.model(metadata={"finalizers": []}))
    owned = {"ownerReferences": [given.owner(model)]}
    stage.add(given.model_version(status=given.published(), metadata=owned))
    await stage.play(stage.process(KINDS), rounds=ROUNDS)

    (version,) = stage.kube.find("ModelVersion")
    stage.kube.objects.clear()
    stage.add(version)
    await stage.play(stage.process(KINDS), rounds=ROUNDS)
    restored = stage.add(given.model())
    await stage.play(stage.process(KINDS), rounds=ROUNDS)

    (kept,) = stage.kube.find("ModelVersion")
    assert restored["metadata"]["uid"] != model["metadata"]["uid"]
    assert not kept["metadata"].get("ownerReferences")
    assert "deletionTimestamp" not in kept["metadata"]
    assert stage.kube.find("Model")[0]["status"]["versions"] == 1
