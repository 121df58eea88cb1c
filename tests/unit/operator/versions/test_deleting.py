"""A version goes once its number is retired."""

import pytest
from builders import given
from builders.versions import observed, plan, version
from trainyard_operator.engine.plan import Object
from trainyard_operator.finalizers.effects import ReleaseFinalizer


def deleting() -> Object:
    return version(metadata={"deletionTimestamp": given.CREATED})


def test_it_stays_until_its_number_is_retired() -> None:
    assert plan(deleting(), observed()).effects == ()


@pytest.mark.parametrize(
    "model",
    [
        pytest.param(given.model(status={"retired": 1, "retiredVersions": [1]}), id="retired"),
        pytest.param(None, id="its model is gone"),
        pytest.param(
            given.model(metadata={"deletionTimestamp": given.CREATED}), id="its model is going"
        ),
    ],
)
def test_then_it_goes(model: Object | None) -> None:
    (release,) = plan(deleting(), observed(model=model)).effects

    assert isinstance(release, ReleaseFinalizer)
