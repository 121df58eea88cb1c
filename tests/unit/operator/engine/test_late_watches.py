"""Watches are late, each by its own time: the same end as ever, and nothing is done twice."""

import pytest
from builders.scenarios import SCENARIOS, end, made, play, records
from trainyard_operator.engine.objects import CHILDREN, JOBS, OWN_RESOURCES, PODS

LAGS = {
    "all": dict.fromkeys((*OWN_RESOURCES, *CHILDREN), 3),
    "pods": {PODS: 8},
    "Jobs": {JOBS: 8},
    "ours": dict.fromkeys(OWN_RESOURCES, 6),
}
READS = ("read", "list", "tracking")


@pytest.mark.parametrize("late", LAGS)
@pytest.mark.parametrize("name", SCENARIOS)
async def test_what_is_seen_late_ends_the_same_way(name: str, late: str) -> None:
    scenario = SCENARIOS[name]
    wanted, stage = (
        await play(scenario, rounds=120),
        await play(scenario, lag=LAGS[late], rounds=120),
    )

    assert end(stage) == end(wanted)
    assert made(stage) == made(wanted)
    assert records(stage) == records(wanted)


@pytest.mark.parametrize("late", ["all", "pods"])
@pytest.mark.parametrize("name", SCENARIOS)
async def test_a_write_whose_answer_is_lost_may_be_seen_late(name: str, late: str) -> None:
    scenario, lag = SCENARIOS[name], LAGS[late]
    wanted = await play(scenario, lag=lag, rounds=120)

    for number, call in enumerate(wanted.faults.calls, 1):
        if call.startswith(READS):
            continue
        stage = await play(scenario, at=(number, "lost"), lag=lag, rounds=120)
        assert end(stage) == end(wanted), f"call {number}, {call}"
        assert made(stage) == made(wanted), f"call {number}, {call}"
        assert records(stage) == records(wanted), f"call {number}, {call}"
