"""The order of doing: what comes first, what stops a step, what is looked at anew."""

import contextlib
import dataclasses
from datetime import datetime, timedelta
from typing import Any

import pytest
from builders import given
from builders.stage import Process, Stage, stage_with_run
from trainyard_operator.engine.errors import (
    Conflict,
    NotFound,
    OperatorError,
    Retry,
    Terminal,
    Unavailable,
)
from trainyard_operator.engine.kind import Kind
from trainyard_operator.engine.plan import Event, Object, Plan, Ref
from trainyard_operator.engine.reconcile import merge_patch
from trainyard_operator.engine.world import Key
from trainyard_operator.models import effects
from trainyard_operator.models.performers import PERFORMERS
from trainyard_operator.names import RUNS
from trainyard_operator.runs.effects import FinishRun
from trainyard_operator.runs.kind import KIND as RUN

KEY = Key(RUNS, given.NAMESPACE, "r")


def kind_of(plan: Plan) -> Kind[None]:
    async def observe(resource: Object, world: Any) -> None:
        del resource, world

    def always(resource: Object, observed: None, /, *, now: datetime, settings: Any) -> Plan:
        del resource, observed, now, settings
        return plan

    return Kind(
        resource=RUNS,
        condition="Finished",
        observe=observe,
        plan=always,
        performers={**PERFORMERS, **RUN.performers},
    )


def process(stage: Stage, kind: Kind[Any]) -> Process:
    return Process(stage.kube, stage.tracking, {RUNS: kind})


async def test_status_is_written_last_and_events_after_it() -> None:
    stage = stage_with_run()
    run = stage.kube.find("Run")[0]
    child = given.job("child", of=run)
    del child["metadata"]["uid"]
    event = Event("Normal", "Done", "done")
    plan = Plan({"phase": "X"}, apply=(child,), delete=(Ref.of_child(child),), events=(event,))
    life = process(stage, kind_of(plan))
    await life.reconciler.reconcile(KEY)

    assert stage.kube.writes == ["apply Job/child", "delete Job/child", "status Run/r"]
    assert life.teller.told == [event]


async def test_an_equal_status_is_not_written_and_nothing_is_told() -> None:
    stage = stage_with_run(phase="X")
    event = Event("Normal", "Done", "done")
    life = process(stage, kind_of(Plan({"phase": "X"}, events=(event,))))
    await life.reconciler.reconcile(KEY)

    assert stage.kube.writes == []
    assert life.teller.told == []


@pytest.mark.parametrize(
    ("meanwhile", "after"),
    [
        ({}, timedelta(hours=1)),
        ({"generation": 2}, timedelta(0)),
        ({"deletionTimestamp": given.CREATED}, timedelta(0)),
        ({"labels": {"a": "b"}}, timedelta(hours=1)),
    ],
    ids=["nothing", "its spec", "it is deleted", "a label"],
)
async def test_what_a_write_found_changed_is_looked_at_though_nothing_else_follows(
    meanwhile: Object, after: timedelta
) -> None:
    stage = stage_with_run()
    plan = Plan({"phase": "X"}, is_steady=True, recheck_after=timedelta(hours=1))
    life = process(stage, kind_of(plan))
    run = stage.kube.find("Run")[0]
    stage.kube.on_written = lambda _: None
    stage.kube.put({**run, "metadata": {**run["metadata"], **meanwhile}})

    assert await life.reconciler.reconcile(KEY) == after


async def test_a_failing_call_stops_the_step_and_the_status_says_why() -> None:
    stage = stage_with_run()
    stage.tracking.down = Retry("TrackingUnavailable", "down")
    run = stage.kube.find("Run")[0]
    plan = Plan(
        {},
        effects=(effects.Audit("team", "m", {}, condition=""),),
        create=(given.job("never", of=run),),
    )
    with pytest.raises(Retry):
        await process(stage, kind_of(plan)).reconciler.reconcile(KEY)

    status = stage.kube.find("Run")[0]["status"]
    assert status["conditions"][0]["reason"] == "TrackingUnavailable"
    assert stage.kube.writes == ["status Run/r"]


async def test_a_step_that_fails_leaves_what_is_there_and_not_what_was_planned() -> None:
    stage = stage_with_run(phase="Running")
    stage.tracking.down = Retry("Forbidden", "no")
    plan = Plan({"phase": "Succeeded"}, effects=(effects.Audit("team", "m", {}, condition=""),))
    with pytest.raises(Retry):
        await process(stage, kind_of(plan)).reconciler.reconcile(KEY)

    assert stage.kube.find("Run")[0]["status"]["phase"] == "Running"


async def test_answers_that_arrived_before_the_failure_are_kept() -> None:
    stage = stage_with_run(phase="Running")
    run = stage.kube.find("Run")[0]
    stage.kube.faults.at = (2, "refused")
    finish = FinishRun("team", "id", "FINISHED", 0, {})
    stage.tracking.runs["id"] = {}
    plan = Plan({"phase": "X"}, effects=(finish,), create=(given.job("child", of=run),))
    with pytest.raises(Unavailable):
        await process(stage, kind_of(plan)).reconciler.reconcile(KEY)

    status = stage.kube.find("Run")[0]["status"]
    assert status["phase"] == "Running"
    assert status["metric"] == "accuracy=0.9"


async def test_a_service_that_fails_is_told_once_it_lasts() -> None:
    stage = stage_with_run()
    stage.tracking.down = Unavailable("TrackingUnavailable", "down")
    life = process(
        stage, kind_of(Plan({}, effects=(effects.Audit("team", "m", {}, condition=""),)))
    )
    for _ in range(10):
        with pytest.raises(Unavailable):
            await life.reconciler.reconcile(KEY)
        stage.clock.pass_by(1)
    assert stage.kube.writes == []

    with pytest.raises(Unavailable):
        await life.reconciler.reconcile(KEY)
    assert stage.kube.writes == ["status Run/r"]


async def test_a_service_that_answered_meanwhile_fails_anew() -> None:
    stage = stage_with_run()
    life = process(
        stage, kind_of(Plan({}, effects=(effects.Audit("team", "m", {}, condition=""),)))
    )
    down = Unavailable("TrackingUnavailable", "down")
    for failing in (down, None, down):
        stage.tracking.down = failing
        with contextlib.suppress(Unavailable):
            await life.reconciler.reconcile(KEY)
        stage.clock.pass_by(8)

    assert stage.kube.writes == []


@pytest.mark.parametrize("error", [Unavailable, Retry, Terminal])
async def test_an_error_after_the_end_does_not_undo_it(error: type[OperatorError]) -> None:
    stage = stage_with_run(conditions=[given.condition("Finished")])
    stage.tracking.down = error("APIServerUnavailable", "no")
    plan = Plan({}, effects=(effects.Audit("team", "m", {}, condition=""),))
    kind = dataclasses.replace(kind_of(plan), is_settled=RUN.is_settled, refused=RUN.refused)
    life = process(stage, kind)
    for _ in range(3):
        with contextlib.suppress(Retry):
            await life.reconciler.reconcile(KEY)
        stage.clock.pass_by(20)

    assert stage.kube.writes == []


async def test_a_status_that_is_refused_is_tried_later(monkeypatch: pytest.MonkeyPatch) -> None:
    stage = stage_with_run()
    life = process(stage, kind_of(Plan({"phase": "X"})))

    async def refuse(resource: object, patch: object, **_: object) -> None:
        raise Terminal("InvalidSpec", "too many items")

    monkeypatch.setattr(stage.kube, "patch_status", refuse)
    with pytest.raises(Retry, match="too many items") as raised:
        await life.reconciler.reconcile(KEY)

    assert raised.value.after


@pytest.mark.parametrize("error", [NotFound, Conflict])
async def test_what_is_gone_in_the_middle_of_a_step_is_looked_at_anew(
    error: type[OperatorError], monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = stage_with_run()
    run = stage.kube.find("Run")[0]
    life = process(stage, kind_of(Plan({}, create=(given.job("child", of=run),))))

    async def gone(desired: object) -> None:
        raise error("NamespaceGone", "there is no namespace team")

    monkeypatch.setattr(stage.kube, "create", gone)
    with pytest.raises(Retry, match="no namespace team"):
        await life.reconciler.reconcile(KEY)


async def test_an_applied_child_is_not_applied_again_until_somebody_changes_it() -> None:
    stage = stage_with_run()
    run = stage.kube.find("Run")[0]
    child = given.thing("apps/v1", "Deployment", "d", metadata={"ownerReferences": []})
    child["spec"] = {"replicas": 1}
    child["metadata"] = {"name": "d", "namespace": run["metadata"]["namespace"]}
    life = process(stage, kind_of(Plan({}, apply=(child,))))
    for _ in range(3):
        await life.reconciler.reconcile(KEY)
    assert stage.kube.writes == ["apply Deployment/d"]

    held = stage.kube.find("Deployment")[0]
    meta = {**held["metadata"], "generation": 9}
    stage.kube.put({**held, "metadata": meta, "spec": {"replicas": 0}})
    await life.reconciler.reconcile(KEY)
    assert stage.kube.find("Deployment")[0]["spec"] == {"replicas": 1}


async def test_a_plan_that_cannot_be_made_is_told() -> None:
    stage = Stage()
    stage.add(given.run(runtime="none"))
    life = stage.process()
    await life.look()

    assert stage.kube.find("Run")[0]["status"]["phase"] == "Failed"


async def test_an_object_that_is_gone_is_nothing_to_do() -> None:
    assert await Stage().process().reconciler.reconcile(KEY) is None


async def test_a_namesake_that_came_meanwhile_is_left_alone() -> None:
    stage = stage_with_run()
    life = process(stage, kind_of(Plan({"phase": "X"})))
    stage.kube.on_written = lambda _: None
    stage.kube.objects.clear()
    stage.add(given.run())
    with pytest.raises(Retry):
        await life.reconciler.reconcile(KEY)

    assert "status" not in stage.kube.find("Run")[0]


@pytest.mark.parametrize(
    ("old", "new", "patch"),
    [
        ({"a": 1}, {"a": 1}, {}),
        ({"a": 1}, {"a": 2}, {"a": 2}),
        ({"a": 1}, {}, {"a": None}),
        ({"a": {"b": 1, "c": 2}}, {"a": {"b": 1}}, {"a": {"c": None}}),
        ({"a": [1]}, {"a": [1, 2]}, {"a": [1, 2]}),
        ({}, {"a": {"b": 1}}, {"a": {"b": 1}}),
    ],
)
def test_a_merge_patch_has_what_changed_alone(old: Object, new: Object, patch: Object) -> None:
    assert merge_patch(old, new) == patch
