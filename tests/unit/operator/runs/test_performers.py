"""Calls that a plan describes, performed: versions, finalizers, logs."""

import pytest
from builders import given
from builders.stage import Stage
from trainyard_operator.deployments import effects as deployments_effects
from trainyard_operator.engine.errors import NotFound, Retry, Terminal
from trainyard_operator.engine.performing import perform
from trainyard_operator.engine.plan import Effect, Object, Ref
from trainyard_operator.finalizers import effects as finalizers_effects
from trainyard_operator.kinds import KINDS
from trainyard_operator.models import effects as models_effects
from trainyard_operator.runs import effects as runs_effects

PERFORMERS = {call: who for kind in KINDS.values() for call, who in kind.performers.items()}


def test_every_call_has_a_performer() -> None:
    described = {
        each
        for module in (deployments_effects, finalizers_effects, models_effects, runs_effects)
        for each in vars(module).values()
        if isinstance(each, type) and issubclass(each, Effect) and each is not Effect
    }

    assert described == set(PERFORMERS)


async def test_a_run_registers_once_with_the_next_number() -> None:
    stage = Stage()
    life = stage.process()
    stage.add(given.model(status={"retired": 4}))
    stage.add(given.model_version(version=2))
    call = runs_effects.CreateVersion("team", "digits", "r", "uid-r", "model")
    first = await perform(call, PERFORMERS, life.reconciler.tools, {})
    again = await perform(call, PERFORMERS, life.reconciler.tools, {})

    assert first == again == {"name": "digits-5"}


async def test_a_number_that_another_takes_meanwhile_is_passed_over() -> None:
    stage = Stage()
    life = stage.process()
    stage.add(given.model())
    stage.kube.on_written = lambda _: None
    stage.add(given.model_version(version=1))
    call = runs_effects.CreateVersion("team", "digits", "r", "uid-r", "model")

    assert await perform(call, PERFORMERS, life.reconciler.tools, {}) == {"name": "digits-2"}


async def test_a_version_that_no_watch_has_shown_is_not_made_again() -> None:
    stage = Stage()
    life = stage.process()
    stage.add(given.model())
    call = runs_effects.CreateVersion("team", "digits", "r", "uid-r", "model")
    stage.kube.on_written = lambda _: None
    stage.add(runs_effects.version_object(call, 1, "model"))
    # Another Run's version has come since: the next number would be free.
    life.written(stage.add(given.model_version(version=2)))

    assert await perform(call, PERFORMERS, life.reconciler.tools, {}) == {"name": "digits-1"}


async def test_a_model_that_is_being_deleted_does_not_come_back_without_its_gates() -> None:
    stage = Stage()
    life = stage.process()
    stage.add(given.model(metadata={"deletionTimestamp": given.CREATED}))
    call = runs_effects.CreateVersion("team", "digits", "r", "uid-r", "model")

    with pytest.raises(Terminal, match="trainyard register r --as digits") as refused:
        await perform(call, PERFORMERS, life.reconciler.tools, {})
    assert refused.value.reason == "ModelDeleted"


@pytest.mark.parametrize(
    ("models", "reason"),
    [
        ([], "NoModelLogged"),
        ([{"artifactPath": "a"}, {"artifactPath": "b"}], "SeveralModelsLogged"),
    ],
)
async def test_what_to_register_must_be_clear(models: list[Object], reason: str) -> None:
    stage = Stage()
    call = runs_effects.CreateVersion("team", "digits", "r", "uid-r")
    answers = {"FinishRun": {"models": models}}
    with pytest.raises(Terminal) as raised:
        await perform(call, PERFORMERS, stage.process().reconciler.tools, answers)

    assert raised.value.reason == reason


async def test_a_finalizer_is_released_once() -> None:
    stage = Stage()
    tools = stage.process().reconciler.tools
    held = stage.add(given.run(metadata={"finalizers": ["x/y"]}))
    ref = Ref.of(held)
    for _ in range(2):
        release = finalizers_effects.ReleaseFinalizer(ref, "x/y")
        await perform(release, PERFORMERS, tools, {})
    assert stage.kube.find("Run")[0]["metadata"]["finalizers"] == []
    assert len(stage.kube.writes) == 1


async def test_a_log_that_is_still_read_is_waited_for_in_the_same_words() -> None:
    life = Stage().process()
    life.logs.is_complete = lambda call: False  # type: ignore[method-assign]
    log = runs_effects.FollowLog("team", "r", "id", 1, "p", "u")
    done = runs_effects.FinishRun("team", "id", "FINISHED", 0, {}, (log,))
    with pytest.raises(Retry) as raised:
        await perform(done, PERFORMERS, life.reconciler.tools, {})

    assert raised.value.reason == "Recording"


class TestARecordThatIsGone:
    RECORD = runs_effects.RecordRun("team", "id", "r", "digits", {"depth": 3}, {}, 0, attempt=2)
    FINISH = runs_effects.FinishRun("team", "id", "FAILED", 0, {}, anew=RECORD)

    async def test_it_is_made_anew_and_finished(self) -> None:
        stage = Stage()
        await perform(self.FINISH, PERFORMERS, stage.process().reconciler.tools, {})

        assert stage.tracking.runs["id"]["status"] == "FAILED"
        assert stage.tracking.runs["id"]["attempt"] == 2

    async def test_one_that_is_there_is_not_made_again(self) -> None:
        stage = Stage()
        stage.tracking.runs["id"] = {}
        await perform(self.FINISH, PERFORMERS, stage.process().reconciler.tools, {})

        assert stage.faults.calls == ["tracking finish_run"]

    async def test_one_that_cannot_be_made_anew_is_told_and_not_tried_for_ever(self) -> None:
        stage = Stage()

        async def forget(*_: object) -> Object:
            return {}

        stage.tracking.put_run = forget  # type: ignore[method-assign]
        with pytest.raises(Terminal) as raised:
            await perform(self.FINISH, PERFORMERS, stage.process().reconciler.tools, {})

        assert raised.value.reason == "TrackingRefused"

    async def test_its_models_are_not_asked_for_for_ever(self) -> None:
        life = Stage().process()

        async def summary(*_: object) -> Object:
            raise NotFound("NotFound", "no such run")

        life.reconciler.tools.tracking.summary = summary
        with pytest.raises(Terminal) as raised:
            await perform(
                runs_effects.AskModels("team", "id"), PERFORMERS, life.reconciler.tools, {}
            )

        assert raised.value.reason == "NoModelLogged"
