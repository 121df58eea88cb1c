"""Any one call fails, or its answer is lost, and the process lives on: the same end as ever.

For every scenario and every call that it makes: to the API server, for reading or writing, and
to the tracking service. On the way, what has ended never looks as if it had not.
"""

import pytest
from builders.scenarios import SCENARIOS, end, made, play, records
from trainyard_operator.engine.conditions import is_true
from trainyard_operator.engine.errors import Conflict, OperatorError, Retry, Unavailable


async def test_a_run_whose_record_is_lost_is_recorded_and_cleaned_up_all_the_same() -> None:
    scenario = SCENARIOS["a Run whose record is lost while it runs"]
    stage = await play(scenario)
    (run,) = stage.kube.find("Run")

    assert is_true(run["status"], "Recorded")
    assert [each["status"] for each in stage.tracking.runs.values()] == ["FINISHED"]
    assert not stage.kube.find("Job")


async def test_the_record_of_a_run_that_tries_again_is_of_its_last_attempt() -> None:
    scenario = SCENARIOS["a Run that tries again"]
    stage = await play(scenario)
    ((run_id, record),) = stage.tracking.runs.items()

    assert record["attempt"] == 2
    assert stage.tracking.earlier[run_id, 1]["status"] == "FAILED"


@pytest.mark.parametrize("error", [Unavailable, Conflict, Retry], ids=lambda e: e.__name__)
@pytest.mark.parametrize("moment", ["refused", "lost"])
@pytest.mark.parametrize("name", SCENARIOS)
async def test_any_call_may_fail_once(name: str, moment: str, error: type[OperatorError]) -> None:
    scenario = SCENARIOS[name]
    told = error("APIServerUnavailable", "it does not answer")
    wanted = await play(scenario)

    assert len(wanted.faults.calls) >= 2
    for number, call in enumerate(wanted.faults.calls, 1):
        stage = await play(scenario, at=(number, moment), error=told)

        assert end(stage) == end(wanted), f"call {number}, {call}, {moment}"
        assert made(stage) == made(wanted), f"call {number}, {call}, {moment}"
        assert records(stage) == records(wanted), f"call {number}, {call}, {moment}"


@pytest.mark.parametrize("moment", ["refused", "lost"])
@pytest.mark.parametrize("name", SCENARIOS)
async def test_calls_may_fail_for_long_enough_to_be_told(name: str, moment: str) -> None:
    scenario = SCENARIOS[name]
    wanted = await play(scenario)

    for number, call in enumerate(wanted.faults.calls, 1):
        stage = await play(scenario, at=(number, moment), lasts=15)

        assert end(stage) == end(wanted), f"from call {number}, {call}, {moment}"
        assert made(stage) == made(wanted), f"from call {number}, {call}, {moment}"
        assert records(stage) == records(wanted), f"from call {number}, {call}, {moment}"
