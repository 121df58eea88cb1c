"""Which run a version is of, whatever has its Run's name by now."""

import pytest
from builders import given
from builders.stage import Stage
from builders.versions import observed, plan, version
from trainyard_operator import names
from trainyard_operator.engine.plan import Object
from trainyard_operator.kinds import KINDS
from trainyard_operator.versions import lineage

FIRST, SECOND = "1" * 32, "2" * 32
UID = "11111111-1111-1111-1111-111111111111"


def registered(**status: str) -> Object:
    """Return a version that the operator made of what the first Run logged."""
    return version(metadata={"labels": {names.RUN_UID: UID}}, status=status)


def run(uid: str, **status: str) -> Object:
    return given.run(metadata={"uid": uid}, status=status)


@pytest.mark.parametrize(
    ("resource", "named", "is_own"),
    [
        pytest.param(version(), run(SECOND), True, id="by hand: it goes by the name"),
        pytest.param(version(status={"runID": FIRST}), run(SECOND), False, id="by hand, noted"),
        pytest.param(version(status={"runID": FIRST}), run(FIRST), True, id="by hand, the same"),
        pytest.param(registered(), run(UID), True, id="the one that was registered"),
        pytest.param(registered(), run(SECOND), False, id="another Run of that name"),
        pytest.param(registered(), run(SECOND, runID=FIRST), True, id="restored with its status"),
        pytest.param(registered(), run(UID, runID=SECOND), True, id="registered once restored"),
        pytest.param(registered(runID=SECOND), run(SECOND), True, id="status before label"),
        pytest.param(registered(), None, False, id="no Run of that name"),
    ],
)
def test_whether_a_run_is_the_versions_own(
    resource: Object, named: Object | None, *, is_own: bool
) -> None:
    assert (lineage.own_run(resource, named) is not None) is is_own


@pytest.mark.parametrize(
    ("resource", "own", "run_id"),
    [
        pytest.param(registered(), None, FIRST, id="its Run is gone, its record is not"),
        pytest.param(registered(runID=SECOND), None, SECOND, id="status before label"),
        pytest.param(registered(), run(UID, runID=SECOND), SECOND, id="as its Run says"),
        pytest.param(version(), None, "", id="nobody knows"),
    ],
)
def test_the_mlflow_run(resource: Object, own: Object | None, run_id: str) -> None:
    assert lineage.run_id(resource, own) == run_id


def test_a_registered_version_is_published_though_its_run_is_gone() -> None:
    told = plan(registered(), observed(run=None))

    assert [each["kind"] for each in told.create] == ["Secret", "Job"]
    assert told.status["runID"] == FIRST


async def test_a_run_that_is_made_anew_is_none_of_its_versions_business() -> None:
    stage = Stage()
    process = stage.process(KINDS)
    first = stage.add(given.run(register={"model": "digits"}))
    while not stage.kube.find("ModelVersion"):
        await stage.play(process, rounds=1)

    stage.kube.remove(first)
    second = stage.add(given.run(register={"model": "digits"}))
    await stage.play(process)

    made = {v["metadata"]["name"]: v["status"]["runID"] for v in stage.kube.find("ModelVersion")}
    assert made == {"digits-1": names.run_id(first), "digits-2": names.run_id(second)}
