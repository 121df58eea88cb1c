"""A version stays until its number is retired, and the garbage collector never takes it."""

from types import SimpleNamespace
from typing import Any

import pytest
from builders import given
from builders.versions import observed, plan, version
from fakes import Clock, FakeKube
from trainyard_api import contract
from trainyard_operator.engine.errors import Conflict, Unavailable
from trainyard_operator.engine.plan import Object, Ref
from trainyard_operator.finalizers.effects import Hold
from trainyard_operator.finalizers.performers import PERFORMERS

MODEL = given.model()
OLD = {"metadata": {"finalizers": []}}
NAMESAKE = given.model(metadata={"uid": "before-the-backup"})


def owned(by: Object, **more: Any) -> Object:
    return version(metadata={"ownerReferences": [given.owner(by)]}, **more)


def hold(disown: tuple[str, ...] = ()) -> Hold:
    return Hold(Ref.of(version()), contract.RETIRE_FINALIZER, disown)


@pytest.mark.parametrize(
    ("resource", "model", "effects"),
    [
        pytest.param(version(), MODEL, (), id="one that is held"),
        pytest.param(version(**OLD), MODEL, (hold(),), id="one applied by hand"),
        pytest.param(version(**OLD), None, (hold(),), id="one without a Model"),
        pytest.param(
            owned(MODEL), MODEL, (hold((MODEL["metadata"]["uid"],)),), id="an earlier operator's"
        ),
        pytest.param(
            owned(MODEL, status={"phase": "Rejected"}),
            MODEL,
            (hold((MODEL["metadata"]["uid"],)),),
            id="an earlier operator's, rejected",
        ),
        pytest.param(
            owned(MODEL), given.model(**OLD), (), id="its Model is not held yet: it stays its own"
        ),
        pytest.param(
            owned(NAMESAKE), given.model(**OLD), (hold(("before-the-backup",)),), id="restored"
        ),
        pytest.param(
            owned(given.run()), MODEL, (), id="what somebody else made its owner is theirs"
        ),
    ],
)
def test_what_holds_it(resource: Object, model: Object | None, effects: tuple[Hold, ...]) -> None:
    assert plan(resource, observed(model=model)).effects == effects


async def perform(kube: FakeKube, call: Hold) -> None:
    tools: Any = SimpleNamespace(kube=kube)
    await PERFORMERS[Hold](call, tools, {})


async def test_the_reference_goes_and_others_stay() -> None:
    kube = FakeKube(Clock())
    owners = [given.owner(MODEL), {**given.owner(given.run()), "controller": False}]
    kube.put(version(metadata={"finalizers": ["a/b"], "ownerReferences": owners}))

    await perform(kube, hold((MODEL["metadata"]["uid"],)))

    (held,) = kube.find("ModelVersion")
    assert held["metadata"]["ownerReferences"] == owners[1:]
    assert held["metadata"]["finalizers"] == ["a/b", contract.RETIRE_FINALIZER]


@pytest.mark.parametrize(
    "found",
    [
        pytest.param(version(metadata={"uid": "another", "finalizers": []}), id="a namesake"),
        pytest.param(
            version(metadata={"deletionTimestamp": given.CREATED, "finalizers": []}),
            id="one that is being deleted",
        ),
    ],
)
async def test_what_is_not_meant_is_left_alone(found: Object) -> None:
    kube = FakeKube(Clock())
    kube.put(found)

    await perform(kube, hold())

    assert kube.writes == []


async def test_an_edit_in_the_same_moment_is_no_news() -> None:
    class Edited(FakeKube):
        async def patch(self, ref: Ref, patch: Object) -> Object:
            assert patch["metadata"]["resourceVersion"]
            raise Conflict("Conflict", "the object has been modified")

    kube = Edited(Clock())
    kube.put(version(**OLD))

    with pytest.raises(Unavailable):
        await perform(kube, hold())
