"""When the tracking service is asked for a version's metrics."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest
from builders import given
from builders.registry import NOW
from builders.versions import FINISHED_RUN, MODEL, RESULT, attempt, ended, version
from trainyard_operator.engine.errors import NotFound, Retry
from trainyard_operator.engine.plan import Object
from trainyard_operator.versions import plan as kind


class Tracking:
    def __init__(self, answer: Mapping[str, Any] | Exception) -> None:
        self.answer, self.asked = answer, 0

    async def summary(self, namespace: str, run_id: str) -> Mapping[str, Any]:
        self.asked += 1
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


class World:
    def __init__(self, tracking: Any, *objects: Object) -> None:
        self.tracking, self.objects = tracking, objects

    def get(self, resource: str, namespace: str, name: str) -> Object | None:
        kinds = {"models": "Model", "runs": "Run"}
        found = (o for o in self.objects if o["kind"] == kinds[resource])
        return next(found, None)

    def list(self, resource: str, namespace: str, **how: Any) -> Sequence[Object]:
        kinds = {"jobs": "Job", "pods": "Pod"}
        return [o for o in self.objects if o["kind"] == kinds[resource]]

    def now(self) -> datetime:
        return NOW + timedelta(days=1)


def world_with(answer: Mapping[str, Any] | Exception, *objects: Object) -> Any:
    return World(Tracking(answer), MODEL, FINISHED_RUN, *objects)


async def test_metrics_are_read_once_the_result_is_there() -> None:
    resource = version()
    done = attempt(resource, main=[ended("publish", message=RESULT)])
    world = world_with({"metrics": {"a": "1"}}, *done)

    seen = await kind.observe(resource, world)

    assert seen.summary == {"metrics": {"a": "1"}}


@pytest.mark.parametrize("resource", [version(), version(status=given.published())])
async def test_before_and_long_after_the_tracking_service_is_not_asked(resource: Object) -> None:
    world = world_with({}, *attempt(resource))

    await kind.observe(resource, world)

    assert world.tracking.asked == 0


async def test_a_run_that_tracking_does_not_know_has_no_metrics() -> None:
    resource = version()
    done = attempt(resource, main=[ended("publish", message=RESULT)])

    seen = await kind.observe(resource, world_with(NotFound("NotFound", "gone"), *done))

    assert seen.summary == {}


async def test_a_version_is_not_published_without_the_metrics_that_gates_read() -> None:
    resource = version()
    done = attempt(resource, main=[ended("publish", message=RESULT)])

    with pytest.raises(Retry):
        await kind.observe(resource, world_with(Retry("TrackingUnavailable", "x"), *done))
