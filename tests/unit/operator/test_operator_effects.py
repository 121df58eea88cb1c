"""Calls that a plan describes, performed: versions, finalizers, logs."""

import gen
import pytest
from gen_operator import Stage
from trainyard_operator import calls, effects
from trainyard_operator.errors import Retry, Terminal
from trainyard_operator.plan import Effect, Object, Ref


def test_every_call_has_a_performer() -> None:
    described = {
        each
        for each in vars(calls).values()
        if isinstance(each, type) and issubclass(each, Effect) and each is not Effect
    }

    assert described == effects.performed()


async def test_a_run_registers_once_with_the_next_number() -> None:
    stage = Stage()
    life = stage.process()
    stage.add(gen.model(status={"retired": 4}))
    stage.add(gen.model_version(version=2))
    call = calls.CreateVersion("team", "digits", "r", "uid-r", "model")
    first = await effects.perform(call, life.reconciler.tools, {})
    again = await effects.perform(call, life.reconciler.tools, {})

    assert first == again == {"name": "digits-5"}


async def test_a_number_that_another_takes_meanwhile_is_passed_over() -> None:
    stage = Stage()
    life = stage.process()
    stage.add(gen.model())
    stage.kube.on_written = lambda _: None
    stage.add(gen.model_version(version=1))
    call = calls.CreateVersion("team", "digits", "r", "uid-r", "model")

    assert await effects.perform(call, life.reconciler.tools, {}) == {"name": "digits-2"}


@pytest.mark.parametrize(
    ("models", "reason"),
    [
        ([], "NoModelLogged"),
        ([{"artifactPath": "a"}, {"artifactPath": "b"}], "SeveralModelsLogged"),
    ],
)
async def test_what_to_register_must_be_clear(models: list[Object], reason: str) -> None:
    stage = Stage()
    call = calls.CreateVersion("team", "digits", "r", "uid-r")
    answers = {"FinishRun": {"models": models}}
    with pytest.raises(Terminal) as raised:
        await effects.perform(call, stage.process().reconciler.tools, answers)

    assert raised.value.reason == reason


async def test_a_finalizer_is_added_and_released_once() -> None:
    stage = Stage()
    tools = stage.process().reconciler.tools
    held = stage.add(gen.run())
    ref = Ref.of(held)
    for _ in range(2):
        await effects.perform(calls.AddFinalizer(ref, "x/y"), tools, {})
    assert stage.kube.find("Run")[0]["metadata"]["finalizers"] == ["x/y"]

    for _ in range(2):
        await effects.perform(calls.ReleaseFinalizer(ref, "x/y"), tools, {})
    assert stage.kube.find("Run")[0]["metadata"]["finalizers"] == []
    assert len(stage.kube.writes) == 2


async def test_a_log_that_is_still_read_is_waited_for_in_the_same_words() -> None:
    life = Stage().process()
    life.logs.is_complete = lambda call: False  # type: ignore[method-assign]
    log = calls.FollowLog("team", "r", "id", 1, "p", "u")
    with pytest.raises(Retry) as raised:
        await effects.perform(calls.ArchiveLog(log), life.reconciler.tools, {})

    assert raised.value.reason == "Recording"
