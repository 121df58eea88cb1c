"""A version goes once its number is retired."""

import gen
import pytest
from gen_version import observed, plan, version
from trainyard_operator.calls import ReleaseFinalizer
from trainyard_operator.plan import Object


def deleting() -> Object:
    return version(metadata={"deletionTimestamp": gen.CREATED})


def test_it_stays_until_its_number_is_retired() -> None:
    assert plan(deleting(), observed()).effects == ()


@pytest.mark.parametrize(
    "model",
    [
        pytest.param(gen.model(status={"retired": 1, "retiredVersions": [1]}), id="retired"),
        pytest.param(None, id="its model is gone"),
        pytest.param(
            gen.model(metadata={"deletionTimestamp": gen.CREATED}), id="its model is going"
        ),
    ],
)
def test_then_it_goes(model: Object | None) -> None:
    (release,) = plan(deleting(), observed(model=model)).effects

    assert isinstance(release, ReleaseFinalizer)
