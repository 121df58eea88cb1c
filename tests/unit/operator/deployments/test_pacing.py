"""An upgrade of the operator restarts one model server after the other; a wish goes at once."""

import asyncio
import dataclasses
from typing import Any

import pytest
from builders import deployments, given
from builders.deployments import RUNTIME, applied, child, condition, digest, plan, served, version
from builders.stage import SETTINGS, Process, Stage
from fakes import Killed
from trainyard_operator.deployments import children, pacing
from trainyard_operator.deployments.effects import Restart
from trainyard_operator.deployments.pacing import Change
from trainyard_operator.deployments.rollout import Target
from trainyard_operator.engine.errors import Unavailable
from trainyard_operator.engine.plan import Object
from trainyard_operator.kinds import KINDS

UPGRADED = dataclasses.replace(RUNTIME, serving_image="serving:2")
RESOURCE = given.model_deployment(replicas=2, status={"stable": served(1)})


def wanted(resource: Object = RESOURCE, *, number: int = 1, upgraded: bool = False) -> Object:
    target = Target(number, digest(1))
    runtime = UPGRADED if upgraded else RUNTIME
    made = children.serving_deployment(
        resource, target, runtime=runtime, settings=deployments.SETTINGS
    )
    return pacing.marked(made, resource, target, present=None)


def edited(**spec: Any) -> Object:
    return given.model_deployment(**{"replicas": 2, **spec})


PRESENT = child(RESOURCE, 1, ready=2)
LARGER = {"limits": {"memory": "4Gi"}}


@pytest.mark.parametrize(
    ("desired", "present", "change"),
    [
        pytest.param(wanted(), None, Change.AT_ONCE, id="there is none yet"),
        pytest.param(wanted(), PRESENT, Change.AT_ONCE, id="nothing changed"),
        pytest.param(wanted(upgraded=True), PRESENT, Change.IN_TURN, id="another operator"),
        pytest.param(
            wanted(upgraded=True),
            child(RESOURCE, 1, ready=2, annotations={}),
            Change.IN_TURN,
            id="an operator that set no marks made it",
        ),
        pytest.param(
            wanted(upgraded=True),
            child(RESOURCE, 1),
            Change.AT_ONCE,
            id="one that serves nothing has nothing to lose",
        ),
        pytest.param(
            wanted(edited(resources=LARGER)), PRESENT, Change.AT_ONCE, id="other resources"
        ),
        pytest.param(
            wanted(edited(resources=LARGER), upgraded=True),
            PRESENT,
            Change.AT_ONCE,
            id="other resources, while it waits for its turn",
        ),
        pytest.param(
            wanted(edited(batching=False)), PRESENT, Change.AT_ONCE, id="requests are not joined"
        ),
        pytest.param(
            wanted(edited(batching=True), upgraded=True),
            PRESENT,
            Change.IN_TURN,
            id="what was so before is nothing new",
        ),
        pytest.param(
            wanted(edited(maxBodyBytes=1 << 26), upgraded=True),
            PRESENT,
            Change.AT_ONCE,
            id="a longer body",
        ),
        pytest.param(
            wanted(edited(runtime="large"), upgraded=True),
            PRESENT,
            Change.AT_ONCE,
            id="another runtime",
        ),
        pytest.param(
            wanted(number=2, upgraded=True),
            PRESENT,
            Change.AT_ONCE,
            id="another version of the same digest",
        ),
        pytest.param(
            wanted(edited(replicas=3), upgraded=True),
            PRESENT,
            Change.IN_TURN,
            id="scaling is no reason to restart",
        ),
    ],
)
def test_what_goes_at_once(desired: Object, present: Object | None, change: Change) -> None:
    assert pacing.decide(desired, present) is change


def paced(reason: str = "ReplicaSetUpdated", *, seen: int = 2, **more: Any) -> Object:
    """Return a child that was told to restart, and how far its controller says it is."""
    made = pacing.in_turn(child(RESOURCE, 1, ready=2, generation=2))
    told = [given.condition("Progressing", reason=reason)]
    return {**made, "status": {"observedGeneration": seen, "conditions": told}, **more}


UNASKED = child(RESOURCE, 1, generation=2)
STOPPED = {**UNASKED["spec"], "paused": True}
LEAVING = {**paced()["metadata"], "deletionTimestamp": given.CREATED}


@pytest.mark.parametrize(
    ("other", "free"),
    [
        pytest.param(paced(), False, id="it has new pods and old ones"),
        pytest.param(paced("NewReplicaSetAvailable", seen=1), False, id="it has just been told"),
        pytest.param(paced(status={}), False, id="its controller has not seen it yet"),
        pytest.param(paced("NewReplicaSetAvailable"), True, id="it is done"),
        pytest.param(paced("ProgressDeadlineExceeded"), True, id="it does not come up"),
        pytest.param(
            paced("ReplicaSetCreateError", seen=1),
            True,
            id="its controller can make no pods for it",
        ),
        pytest.param(paced(spec=STOPPED), True, id="somebody paused it"),
        pytest.param(paced(metadata=LEAVING), True, id="it is being deleted"),
        pytest.param(UNASKED, True, id="it rolls out what somebody asked for"),
    ],
)
def test_whose_turn_it_is(other: Object, free: bool) -> None:
    assert pacing.is_free([PRESENT, other]) is free


def test_it_says_that_it_is_at_it_until_something_is_asked_for() -> None:
    target = Target(1, digest(1))
    asked = edited(resources=LARGER)

    assert pacing.marked(wanted(), RESOURCE, target, present=paced()) == pacing.in_turn(wanted())
    again = pacing.marked(wanted(asked), asked, target, present=paced())
    assert again == wanted(asked)


def test_one_that_waits_keeps_its_template_and_its_token() -> None:
    present = child(RESOURCE, 1, ready=2, annotations={})

    told = plan(RESOURCE, present, follows=version(1))

    assert applied(told, "Deployment") == []
    (restart,) = told.effects
    assert isinstance(restart, Restart)
    assert restart.secret is None
    assert told.recheck_after is not None


def test_one_that_waits_is_scaled_all_the_same() -> None:
    present = child(RESOURCE, 1, ready=2)
    present["spec"] = {**present["spec"], "template": {"spec": {"containers": []}}}

    scaled = pacing.meanwhile(wanted(edited(replicas=3), upgraded=True), present)

    assert scaled is not None
    assert scaled["spec"]["replicas"] == 3
    assert scaled["spec"]["template"] == present["spec"]["template"]
    assert scaled["metadata"]["annotations"] == present["metadata"]["annotations"]


def test_waiting_is_told_in_words_that_do_not_change() -> None:
    told = plan(RESOURCE, child(RESOURCE, 1, ready=2, annotations={}), follows=version(1))
    (restart,) = told.effects

    once = restart.fold(told.status, {"waits": True})

    assert "others" in condition(dataclasses.replace(told, status=once), "Progressing")["message"]
    assert restart.fold(once, {"waits": True}) == once
    assert restart.fold(told.status, {}) == told.status


async def upgrading(names: str = "abc") -> tuple[Stage, Process]:
    """Return a cluster with a Deployment of each name that serves, and a new operator on it."""
    stage = Stage()
    stage.add(given.model(aliases={"production": 1}, status={"aliases": {"production": 1}}))
    stage.add(given.model_version(status=given.published()))
    for name in names:
        stage.add(given.model_deployment(name=name))
    await stage.play(stage.process(KINDS), rounds=8)
    return stage, upgraded(stage)


def upgraded(stage: Stage) -> Process:
    process = stage.process(KINDS)
    runtime = dataclasses.replace(SETTINGS.runtimes["sklearn"], serving_image="serving:2")
    settings = dataclasses.replace(SETTINGS, runtimes={"sklearn": runtime})
    process.reconciler.settings = settings
    return process


def servers(stage: Stage) -> list[Object]:
    return [each for each in stage.kube.find("Deployment") if each["apiVersion"] == "apps/v1"]


def images(stage: Stage) -> list[str]:
    return [e["spec"]["template"]["spec"]["containers"][0]["image"] for e in servers(stage)]


def restarting(stage: Stage) -> int:
    seen = [
        (e["metadata"]["generation"], e["status"]["observedGeneration"]) for e in servers(stage)
    ]
    return sum(generation > observed for generation, observed in seen)


async def test_an_upgrade_restarts_one_after_the_other() -> None:
    stage, process = await upgrading()
    assert images(stage) == ["serving:1"] * 3

    for done in range(1, 4):
        await process.look()
        assert restarting(stage) == 1
        assert images(stage).count("serving:2") == done
        stage.cluster.step()

    await process.look()
    assert restarting(stage) == 0


async def test_one_that_was_asked_for_something_does_not_wait() -> None:
    stage, process = await upgrading()
    await process.look()
    waits = stage.kube.objects["Deployment", given.NAMESPACE, "c"]
    stage.kube.put({**waits, "spec": {**waits["spec"], "resources": LARGER}})

    await process.look()

    assert images(stage) == ["serving:2", "serving:1", "serving:2"]


async def test_one_that_waits_writes_nothing_once_it_has_said_so() -> None:
    stage, process = await upgrading()
    await process.look()
    await process.look()
    written = len(stage.kube.writes)

    await process.look()

    assert stage.kube.writes[written:] == []


@pytest.mark.parametrize("moment", ["before", "after"])
async def test_an_operator_that_dies_lets_no_two_go(moment: str) -> None:
    stage, process = await upgrading()
    stage.kube.kill_at = (len(stage.kube.writes) + 1, moment)
    with pytest.raises(Killed):
        await process.look()
    stage.kube.kill_at = None

    await upgraded(stage).look()

    assert restarting(stage) == 1


async def test_two_workers_let_no_two_go() -> None:
    stage, process = await upgrading("ab")
    (tools, kube) = (process.reconciler.tools, stage.kube)
    apply = kube.apply

    async def slow(desired: Object, **more: Any) -> Object:
        if desired["kind"] == "Deployment":
            assert tools.turn.locked()
            kube.apply = apply  # type: ignore[method-assign]  # the others look meanwhile
            async with asyncio.timeout(5):
                await process.look()
            assert images(stage) == ["serving:1"] * 2
        return await apply(desired, **more)

    kube.apply = slow  # type: ignore[method-assign]
    await process.look()

    assert images(stage) == ["serving:2", "serving:1"]


async def test_a_turn_whose_call_fails_is_given_up() -> None:
    stage, process = await upgrading("a")
    stage.kube.faults.at = (len(stage.kube.faults.calls) + 1, "refused")
    stage.kube.faults.error = Unavailable("APIServerUnavailable", "down")
    await process.look()
    assert not process.reconciler.tools.turn.locked()

    await process.look()

    assert images(stage) == ["serving:2"]


async def test_a_restart_whose_answer_is_lost_and_that_no_watch_has_shown_keeps_the_turn() -> None:
    stage, process = await upgrading()
    stage.kube.on_written = lambda _: None
    calls = stage.faults.calls
    calls.clear()
    await process.look()
    first = next(n for n, call in enumerate(calls, 1) if call.startswith("apply Deployment"))

    stage, process = await upgrading()
    stage.kube.on_written = lambda _: None
    stage.faults.calls.clear()
    stage.faults.at = (first, "lost")
    await process.look()

    assert restarting(stage) == 1
