"""The promoter's write: to the Model that was meant, and to no other."""

from types import SimpleNamespace
from typing import Any

import pytest
from builders import given
from fakes import Clock, FakeKube
from trainyard_operator.engine.errors import Conflict, Retry
from trainyard_operator.engine.plan import Object
from trainyard_operator.models.effects import SetAlias
from trainyard_operator.models.performers import PERFORMERS

MODEL = given.model(stages=[given.stage("staging", "automatic")])


async def promote(kube: FakeKube) -> None:
    call = SetAlias("team", "digits", MODEL["metadata"]["uid"], {"staging": 2})
    tools: Any = SimpleNamespace(kube=kube)
    await PERFORMERS[SetAlias](call, tools, {})


async def test_the_alias_is_written() -> None:
    kube = FakeKube(Clock())
    kube.put(MODEL)

    await promote(kube)

    assert kube.find("Model")[0]["spec"]["aliases"] == {"staging": 2}


async def test_a_model_that_was_deleted_meanwhile_does_not_come_back() -> None:
    kube = FakeKube(Clock())

    await promote(kube)

    assert kube.find("Model") == []


async def test_its_namesake_is_left_alone() -> None:
    kube = FakeKube(Clock())
    kube.put(given.model(metadata={"uid": "another"}))

    await promote(kube)

    assert "aliases" not in kube.find("Model")[0]["spec"]


async def test_an_alias_of_somebody_else_is_told_as_such() -> None:
    class Owned(FakeKube):
        async def apply(self, desired: Object, **_: Any) -> Object:
            raise Conflict("Conflict", 'conflict with "git-sync"')

    kube = Owned(Clock())
    kube.put(MODEL)

    with pytest.raises(Retry, match="git-sync") as caught:
        await promote(kube)

    assert caught.value.reason == "AliasOwnedElsewhere"
