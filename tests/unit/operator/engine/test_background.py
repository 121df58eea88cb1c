"""A background task that ends takes the process with it."""

import asyncio

import pytest
from trainyard_operator.engine import sweep
from trainyard_operator.engine.background import Background
from trainyard_operator.engine.errors import LeaseLost


async def _raise(error: Exception) -> None:
    raise error


async def _end() -> None:
    """End at once."""


async def _for_ever() -> None:
    await asyncio.Event().wait()


class Deaths:
    def __init__(self) -> None:
        self.told: list[tuple[str, BaseException | None]] = []

    def __call__(self, why: str, exc: BaseException | None) -> None:
        self.told.append((why, exc))


@pytest.mark.parametrize("error", [LeaseLost("LeaseLost", "lost"), KeyError("a bug")])
async def test_a_task_that_fails_ends_the_process(error: Exception) -> None:
    deaths = Deaths()
    background = Background(deaths)
    background.start("sweep", _raise(error))
    assert background.is_alive()
    await asyncio.sleep(0.001)

    assert deaths.told == [("the background task 'sweep' ended", error)]
    assert not background.is_alive()


async def test_a_task_that_just_ends_ends_the_process() -> None:
    deaths = Deaths()
    Background(deaths).start("recorder", _end())
    await asyncio.sleep(0.001)

    assert len(deaths.told) == 1


async def test_a_task_that_is_stopped_ends_nothing() -> None:
    deaths = Deaths()
    background = Background(deaths)
    background.start("sweep", _for_ever())
    await background.stop()

    assert deaths.told == []
    assert background.is_alive()


async def test_a_lease_that_is_lost_while_draining_ends_the_process() -> None:
    deaths = Deaths()
    background = Background(deaths)
    background.expect_end()
    background.start("lease", _raise(LeaseLost("LeaseLost", "lost")))
    await asyncio.sleep(0.001)

    assert len(deaths.told) == 1


async def test_a_bug_in_the_sweep_ends_the_process() -> None:
    async def buggy() -> None:
        raise KeyError("a proxy's page")

    deaths = Deaths()
    background = Background(deaths)
    background.start("sweep", sweep.sweep_for_ever(buggy))
    await asyncio.sleep(0.01)

    assert [why for why, _ in deaths.told] == ["the background task 'sweep' ended"]
