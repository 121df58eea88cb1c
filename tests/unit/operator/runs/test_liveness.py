"""Which pods still live, and which logs are over: also of a node that says no more."""

from types import SimpleNamespace
from typing import Any

import pytest
from builders import given
from builders.stage import NOW, RUNNING, Stage, World, attempt_pod, ended
from trainyard_operator.engine.objects import PODS
from trainyard_operator.engine.plan import Object
from trainyard_operator.process import Operator
from trainyard_operator.runs.liveness import is_given_up
from trainyard_operator.runs.recording import follow_log

RUN = given.run()


def pod(state: Object, **meta: Any) -> Object:
    held = attempt_pod(RUN, state=state, phase="Running")
    held["metadata"] |= meta
    return held


@pytest.mark.parametrize(
    ("state", "deleted", "given_up"),
    [
        pytest.param(RUNNING, "2026-11-24T12:59:00Z", True, id="well past its grace time"),
        pytest.param(RUNNING, "2026-11-24T12:59:40Z", False, id="just past it"),
        pytest.param(ended(0), "2026-11-24T12:00:00Z", False, id="it has stopped"),
    ],
)
def test_a_pod_that_does_not_stop_is_given_up(state: Object, deleted: str, given_up: bool) -> None:
    assert is_given_up(pod(state, deletionTimestamp=deleted), now=NOW) is given_up


def test_a_pod_that_nobody_deleted_is_never_given_up() -> None:
    assert not is_given_up(pod(RUNNING), now=NOW)


@pytest.mark.parametrize(
    ("held", "over"),
    [
        (pod(RUNNING), False),
        (pod(ended(0)), True),
        (pod(RUNNING, deletionTimestamp="2020-01-01T00:00:00Z"), True),
        (pod(RUNNING, uid="another"), True),
    ],
    ids=["runs", "stopped", "on a dead node", "of another pod of its name"],
)
def test_a_log_is_over_with_its_pod(held: Object, over: bool) -> None:
    stage = Stage()
    world = World(stage.kube, stage.tracking)
    world.cache.remember(PODS, held)
    process: Any = SimpleNamespace(world=world, clock=lambda: NOW)

    assert Operator._is_over(process, follow_log(RUN, 1, attempt_pod(RUN))) is over
