"""Two steps that one write tells of: the second must take no time, or the first is told alone."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from builders import given
from builders.stage import Process, Stage, stage_with_run
from trainyard_operator.engine import reconcile
from trainyard_operator.engine.errors import NotYet, OperatorError, Retry, Terminal, Unavailable
from trainyard_operator.engine.kind import Kind
from trainyard_operator.engine.plan import Effect, Event, Object, Plan
from trainyard_operator.engine.world import Key
from trainyard_operator.names import RUNS

KEY = Key(RUNS, given.NAMESPACE, "r")
ENDED, STORED = Event("Warning", "Ended", "it ended"), Event("Normal", "Stored", "it is stored")
FIRST = Plan({"phase": "Failed"}, events=(ENDED,))
NEARLY = NotYet("Recording", "nearly", after=timedelta(seconds=1))


@dataclass(frozen=True, slots=True)
class Store(Effect):
    """What the second step asks for."""


@dataclass
class Shelf:
    """Answers what is asked of it by failing, by being silent, or by doing it."""

    error: OperatorError | None = None
    seconds: float = 0
    stored: int = 0

    async def take(self, call: Store, tools: Any, answers: Mapping[str, Any]) -> Mapping[str, Any]:
        del call, tools, answers
        await asyncio.sleep(self.seconds)
        if self.error is not None:
            raise self.error
        self.stored += 1
        return {}


def process(stage: Stage, shelf: Shelf, first: Plan = FIRST) -> Process:
    async def observe(resource: Object, world: Any) -> None:
        del resource, world

    def plan(resource: Object, observed: None, /, *, now: datetime, settings: Any) -> Plan:
        del observed, now, settings
        status = resource.get("status") or {}
        second = Plan(
            {"phase": "Failed", "metric": "kept"},
            effects=(Store(condition="Recorded"),),
            events=(STORED,),
            recheck_after=timedelta(hours=1),
        )
        return replace(second, then=None) if status.get("phase") else replace(first, then=second)

    kind: Kind[None] = Kind(
        resource=RUNS,
        condition="Finished",
        observe=observe,
        plan=plan,
        performers={Store: shelf.take},
    )
    return Process(stage.kube, stage.tracking, {RUNS: kind})


def told(stage: Stage) -> Object:
    status: Object = stage.kube.find("Run")[0].get("status") or {}
    return status


async def test_one_write_tells_of_a_step_and_of_the_one_that_follows_at_once() -> None:
    stage, shelf = stage_with_run(), Shelf()
    life = process(stage, shelf)

    assert await life.reconciler.reconcile(KEY) == timedelta(hours=1)
    assert stage.kube.writes == ["status Run/r"]
    assert told(stage) == {"phase": "Failed", "metric": "kept"}
    assert life.teller.told == [ENDED, STORED]


async def test_what_is_nearly_there_is_waited_for_and_nothing_is_told_until_then() -> None:
    stage, shelf = stage_with_run(), Shelf(NEARLY)
    life = process(stage, shelf)
    with pytest.raises(NotYet):
        await life.reconciler.reconcile(KEY)
    assert told(stage) == {}

    shelf.error = None
    await life.reconciler.reconcile(KEY)

    assert stage.kube.writes == ["status Run/r"]
    assert life.teller.told == [ENDED, STORED]


async def test_what_is_nearly_there_for_long_delays_nothing() -> None:
    stage, shelf = stage_with_run(), Shelf(NEARLY)
    life = process(stage, shelf)
    with pytest.raises(NotYet):
        await life.reconciler.reconcile(KEY)
    stage.clock.pass_by(reconcile.NEAR.total_seconds())
    await life.reconciler.reconcile(KEY)

    assert told(stage) == {"phase": "Failed"}
    assert life.teller.told == [ENDED]
    with pytest.raises(NotYet):
        await life.reconciler.reconcile(KEY)
    assert stage.kube.writes == ["status Run/r"]


@pytest.mark.parametrize("error", [Unavailable, Retry, Terminal])
async def test_a_second_step_that_fails_takes_nothing_from_the_first(
    error: type[OperatorError],
) -> None:
    stage, shelf = stage_with_run(), Shelf(error("TrackingUnavailable", "down"))
    life = process(stage, shelf)
    await life.reconciler.reconcile(KEY)

    assert told(stage) == {"phase": "Failed"}
    assert life.teller.told == [ENDED]


async def test_a_second_step_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reconcile, "TOGETHER", timedelta(seconds=0.05))
    stage, shelf = stage_with_run(), Shelf(seconds=30)
    life = process(stage, shelf)
    await asyncio.wait_for(life.reconciler.reconcile(KEY), timeout=5)

    assert told(stage) == {"phase": "Failed"}
    assert shelf.stored == 0


async def test_a_first_step_that_fails_is_not_followed_by_the_second() -> None:
    stage, shelf = stage_with_run(), Shelf()
    run = stage.kube.find("Run")[0]
    stage.kube.faults.at = (1, "refused")
    life = process(stage, shelf, replace(FIRST, create=(given.job("child", of=run),)))
    with pytest.raises(Unavailable):
        await life.reconciler.reconcile(KEY)

    assert shelf.stored == 0
    assert told(stage) == {}
