"""Somebody wipes a status by hand (`kubectl patch --subresource=status`): it becomes true again."""

from typing import Any

import pytest
from builders import given
from builders.scenarios import MODEL, VERSION, made
from builders.stage import Process, Stage
from trainyard_operator.engine.plan import Object
from trainyard_operator.kinds import KINDS


def wipe(stage: Stage, kind: str) -> Object:
    """Take away the status; return what it said."""
    (found,) = stage.kube.find(kind)
    stage.kube.put({**found, "status": {}})
    return dict(found["status"])


def begun(exits: dict[int, int], *objects: Object) -> tuple[Stage, Process]:
    stage = Stage(exits=exits)
    for each in objects:
        stage.add(each)
    return stage, stage.process(KINDS)


@pytest.mark.parametrize(
    ("spec", "exits"), [({}, {}), ({}, {1: 3}), ({"retry": {"userError": 1}}, {1: 3})]
)
async def test_a_finished_run_has_its_end_again_and_trains_no_more(
    spec: dict[str, Any], exits: dict[int, int]
) -> None:
    stage, process = begun(exits, given.run(**spec))
    await stage.play(process)
    said, before = wipe(stage, "Run"), made(stage)
    await stage.play(process)

    (run,) = stage.kube.find("Run")
    assert (run["status"]["phase"], made(stage)) == (said["phase"], before)
    assert run["status"]["attemptCount"] == said["attemptCount"]


@pytest.mark.parametrize("is_first_gone", [False, True])
async def test_a_later_attempt_that_runs_goes_on_and_no_earlier_one_is_made_anew(
    is_first_gone: bool,
) -> None:
    stage, process = begun({1: 3}, given.run(retry={"userError": 1}))
    while len(made(stage)) < 2:
        await stage.play(process, rounds=1)
    stage.cluster.holds = True
    await stage.play(process, rounds=5)
    wipe(stage, "Run")
    if is_first_gone:
        stage.kube.remove(stage.kube.find("Job")[0])
    await stage.play(process, rounds=10)
    (run,) = stage.kube.find("Run")
    assert (run["status"]["phase"], run["status"]["attemptCount"]) == ("Running", 2)

    stage.cluster.holds = False
    await stage.play(process)
    (run,) = stage.kube.find("Run")
    assert (run["status"]["phase"], made(stage)) == ("Succeeded", ["Job/r-a1", "Job/r-a2"])


@pytest.mark.parametrize("is_job_gone", [False, True])
async def test_a_published_version_is_published_under_the_same_digest(is_job_gone: bool) -> None:
    stage, process = begun({}, MODEL, VERSION)
    await stage.play(process)
    said = wipe(stage, "ModelVersion")
    if is_job_gone:
        stage.kube.remove(stage.kube.find("Job")[0])
    await stage.play(process)

    (version,) = stage.kube.find("ModelVersion")
    assert said["phase"] == version["status"]["phase"] == "Ready"
    assert version["status"]["digest"] == said["digest"]
