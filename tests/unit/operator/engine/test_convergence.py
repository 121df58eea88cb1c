"""A process that dies at any of its writes leaves what the next one completes: same end."""

from typing import Any

import pytest
from builders import given
from builders.stage import Stage
from fakes import Killed, versions, without_times
from trainyard_operator.engine.errors import Retry
from trainyard_operator.metrics import FINISHED_RUNS

SCENARIOS: dict[str, tuple[dict[str, Any], dict[int, int]]] = {
    "a Run that succeeds": ({}, {}),
    "a Run that fails": ({}, {1: 3}),
    "a Run that tries again": ({"retry": {"userError": 1}}, {1: 3}),
    "a Run that registers a model": ({"register": {"model": "digits"}}, {}),
    "a Run that is cleaned up": ({"ttlSecondsAfterFinished": 3}, {}),
}


async def reference(name: str) -> tuple[Stage, int]:
    spec, exits = SCENARIOS[name]
    stage = Stage(exits=exits)
    stage.add(given.run(**spec))
    await stage.play(stage.process())
    return stage, len(stage.kube.writes)


def end(stage: Stage) -> Any:
    return {address: without_times(each) for address, each in stage.kube.objects.items()}


async def play_and_die(name: str, write: int, moment: str) -> Stage:
    spec, exits = SCENARIOS[name]
    stage = Stage(exits=exits)
    stage.add(given.run(**spec))
    stage.kube.kill_at = (write, moment)
    with pytest.raises(Killed):
        await stage.play(stage.process())
    stage.kube.kill_at = None
    await stage.play(stage.process())
    return stage


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("name", SCENARIOS)
async def test_dying_at_any_write_leads_to_the_same_end(name: str, moment: str) -> None:
    wanted, writes = await reference(name)

    assert writes >= 4
    for write in range(1, writes + 1):
        stage = await play_and_die(name, write, moment)

        assert end(stage) == end(wanted), f"killed {moment} write {write}"


async def test_a_clean_run_costs_four_writes() -> None:
    stage, _ = await reference("a Run that succeeds")

    (secret,) = (each["metadata"]["name"] for each in stage.kube.find("Secret"))
    assert stage.kube.writes == [
        f"create Secret/{secret}",
        "create Job/r-a1",
        "status Run/r",
        "status Run/r",
    ]


async def test_an_end_is_counted_once_by_its_reason() -> None:
    counted = FINISHED_RUNS.labels("ExitCode")
    before = counted._value.get()

    await reference("a Run that fails")

    assert counted._value.get() == before + 1


async def test_waiting_for_the_last_lines_of_a_log_writes_nothing() -> None:
    stage = Stage()
    stage.add(given.run())
    process = stage.process()
    process.logs.is_complete = lambda call: stage.clock.time.second > 20  # type: ignore[method-assign]
    await stage.play(process)

    assert stage.kube.find("Run")[0]["status"]["logArtifact"] == "logs/attempt-1.log"
    assert len(stage.kube.writes) == 5


async def test_a_service_that_stays_down_is_told_once() -> None:
    stage = Stage()
    stage.add(given.run())
    stage.tracking.down = Retry("TrackingUnavailable", "down")
    await stage.play(stage.process(), rounds=9)

    assert stage.kube.writes == ["status Run/r"]


async def test_a_further_attempt_costs_at_most_four_writes() -> None:
    _, writes = await reference("a Run that tries again")

    assert writes - 5 <= 4


async def test_a_registered_run_has_one_version_however_often_it_is_told() -> None:
    stage, _ = await reference("a Run that registers a model")
    await stage.play(stage.process())

    assert list(versions(stage.kube)) == ["digits-1"]


async def test_two_lives_at_once_make_no_second_job() -> None:
    stage = Stage()
    stage.add(given.run())
    first, second = stage.process(), stage.process()

    await first.look()
    await second.look()

    assert [job["metadata"]["name"] for job in stage.kube.find("Job")] == ["r-a1"]


async def test_a_run_made_anew_waits_for_its_namesakes_job_to_go() -> None:
    stage = Stage()
    stage.cluster.holds = True
    old = stage.add(given.run())
    await stage.play(stage.process(), rounds=4)
    job = stage.kube.find("Job")[0]
    stage.kube.objects.pop(("Run", given.NAMESPACE, "r"))
    new = stage.add(given.run())
    process = stage.process()

    await process.look()
    held = stage.kube.find("Run")[0]
    assert held["status"]["conditions"][0]["reason"] == "JobNameTaken"
    assert stage.kube.find("Job") == [job]

    stage.kube.remove(job)
    stage.cluster.holds = False
    await stage.play(process)
    assert stage.kube.find("Run")[0]["status"]["phase"] == "Succeeded"
    assert (
        stage.kube.find("Job")[0]["metadata"]["ownerReferences"][0]["uid"] == new["metadata"]["uid"]
    )
    assert old["metadata"]["uid"] != new["metadata"]["uid"]
