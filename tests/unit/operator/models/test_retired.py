"""Numbers stay spent when a backup brings a Model back without its status."""

import pytest
from builders import given
from builders.registry import NOW
from builders.stage import Stage
from trainyard_operator import names
from trainyard_operator.engine.plan import Object, Plan, Ref
from trainyard_operator.kinds import KINDS
from trainyard_operator.models.effects import NoteRetired
from trainyard_operator.models.plan import Observed, plan
from trainyard_operator.settings import Settings

GOING = given.model_version(version=2, metadata={"deletionTimestamp": given.CREATED})


def look(*versions: Object, note: str = "", **status: int) -> Plan:
    notes = {"annotations": {names.RETIRED: note}} if note else {}
    resource = given.model(metadata=notes, status=status)
    return plan(resource, Observed(versions), now=NOW, settings=Settings())


def test_the_number_is_noted_before_the_status_lets_its_version_go() -> None:
    told = look(GOING)

    assert told.effects == (NoteRetired(Ref.of(given.model()), 2),)
    assert told.status["retired"] == 2


@pytest.mark.parametrize("note", ["2", "7"])
def test_what_is_noted_is_not_noted_again(note: str) -> None:
    told = look(GOING, note=note)

    assert told.effects == ()
    assert told.status["retired"] == int(note)


@pytest.mark.parametrize("note", ["", "-1", "two", "9999999999", "٣"])
def test_what_is_no_number_is_written_anew(note: str) -> None:
    told = look(note=note, retired=3)

    assert told.effects == (NoteRetired(Ref.of(given.model()), 3),)
    assert told.status["retired"] == 3


async def test_restored_without_status_the_next_version_has_the_next_number() -> None:
    stage = Stage()
    model = stage.add(given.model())
    doomed = stage.add(given.model_version(version=2, status=given.published()))
    process = stage.process(KINDS)
    await stage.play(process, rounds=5)
    stage.kube.remove(doomed)
    await stage.play(process, rounds=5)

    (saved,) = stage.kube.find("Model")
    stage.kube.objects.clear()
    restored = stage.add({**saved, "status": {}})
    stage.add(given.run(register={"model": "digits"}))
    await stage.play(stage.process(KINDS))

    assert restored["metadata"]["uid"] != model["metadata"]["uid"]
    assert [each["metadata"]["name"] for each in stage.kube.find("ModelVersion")] == ["digits-3"]
