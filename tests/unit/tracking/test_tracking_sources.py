"""From a version to its files: by what it knows of its MLflow run, then by its Run's name."""

import itertools

import pytest
from builders.tracking import bearer, token
from builders.tracking_registry import ROOT
from builders.tracking_side import Side
from trainyard_tracking.watching import Cache

_NAMES = itertools.count(1)
NAME = "fit-again"
RUN = f"{ROOT}/runs/{NAME}"


def uid(side):
    """Give the UID whose digits are the id of a Run's MLflow run."""
    digits = side.run_id
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


class Yard:
    """Two Runs that had one name, one after the other, and a version of one of them."""

    def __init__(self, world):
        self.world = world
        self.first, self.second = Side(world), Side(world)

    def apply(self, side, **status):
        """Let the name be that of a Run."""
        meta = {"name": NAME, "namespace": "team", "uid": uid(side)}
        self.world.kube.write(RUN, {"metadata": meta, "status": {"runID": side.run_id} | status})

    def delete(self):
        self.world.kube.objects.pop(RUN, None)

    def source(self, *, label="", status=None, source=None):
        """Make a version and resolve its source as its publishing Job does."""
        name = f"again-{next(_NAMES)}"
        meta = {"name": name, "namespace": "team", "uid": "uid"}
        meta["labels"] = {"trainyard.dev/run-uid": label} if label else {}
        spec = {"model": "again", "version": 1, "source": source or {"run": {"name": NAME}}}
        version = {"metadata": meta, "spec": spec, "status": status or {}}
        self.world.kube.write(f"{ROOT}/modelversions/{name}", version)
        own = bearer(token(f"modelversion:team/{name}:uid", name))
        path = f"/api/trainyard/v1/namespaces/team/modelversions/{name}/source"
        return self.world.client.get(path, headers=own)


@pytest.fixture
def yard(world):
    found = Yard(world)
    yield found
    found.delete()


def test_a_version_whose_runs_name_is_anothers_by_now_keeps_its_run(yard):
    yard.apply(yard.second)

    for known in ({"label": uid(yard.first)}, {"status": {"runID": yard.first.run_id}}):
        assert yard.source(**known).json()["runID"] == yard.first.run_id


def test_the_files_of_a_run_that_is_deleted_are_a_good_source(yard):
    yard.delete()

    found = yard.source(label=uid(yard.first)).json()

    assert found["uri"] == f"models:/{yard.first.model}"
    assert [one["path"] for one in found["files"]] == ["MLmodel"]


def test_without_a_mark_the_name_tells_the_run(yard):
    yard.apply(yard.second)

    assert yard.source().json()["runID"] == yard.second.run_id


def test_what_the_operator_found_goes_before_who_registered_it(yard):
    status = {"runID": yard.first.run_id}

    assert yard.source(label=uid(yard.second), status=status).json()["runID"] == yard.first.run_id


def test_a_run_that_was_restored_has_a_new_uid_and_its_old_record(yard):
    yard.apply(yard.second, runID=yard.first.run_id)

    assert yard.source(label=uid(yard.second)).json()["runID"] == yard.first.run_id


def test_a_lost_record_is_not_replaced_by_that_of_the_same_name(yard):
    yard.apply(yard.second)
    lost = "00000000-0000-4000-8000-00000000dead"

    answer = yard.source(label=lost)

    assert answer.status_code == 404
    assert lost.replace("-", "") in answer.json()["message"]


def test_an_unmarked_version_of_a_run_that_is_gone_has_no_source(yard):
    assert yard.source().json()["message"] == f"Run team/{NAME} is not recorded"


def test_a_copy_of_a_version_keeps_its_run(world, registry, yard):
    registry.add()
    made = world.kube.objects[f"{ROOT}/modelversions/{registry.name}-1"]
    made["spec"]["source"] = {"run": {"name": NAME}}
    made["metadata"]["labels"]["trainyard.dev/run-uid"] = uid(yard.first)
    made["metadata"]["annotations"] = {}
    world.kube.write(f"{ROOT}/modelversions/{registry.name}-1", made)
    world.sync()
    yard.apply(yard.second)

    version = {"name": registry.name, "version": "1"}
    shown = registry.call("GET", "model-versions/get", **version).json()["model_version"]
    uri = registry.call("GET", "model-versions/get-download-uri", **version).json()["artifact_uri"]
    registry.add(source=f"models:/{registry.name}/1")

    copy = world.kube.objects[f"{ROOT}/modelversions/{registry.name}-2"]
    assert shown["run_id"] == yard.first.run_id
    assert yard.first.model in uri
    assert copy["spec"]["source"] == {"uri": f"models:/{yard.first.model}"}
    assert yard.source(source={"uri": f"models:/{registry.name}/1"}).json()["runID"] == (
        yard.first.run_id
    )


@pytest.fixture(params=["its source", "its annotation"])
def odd(request, world):
    """A version of somebody's, applied with kubectl, whose source only looks like a URI."""
    uri = "mlflow-artifacts://[x"
    is_said = request.param == "its annotation"
    meta = {"name": "odd-1", "namespace": "other", "uid": "uid"}
    meta["annotations"] = {"trainyard.dev/mlflow-source": uri} if is_said else {}
    source = {"uri": "s3://b/x" if is_said else uri}
    path = f"{ROOT.replace('/team', '/other')}/modelversions/odd-1"
    spec = {"model": "odd", "version": 1, "source": source}
    world.kube.write(path, {"metadata": meta, "spec": spec, "status": {}})
    yield meta
    world.kube.objects.pop(path)


def test_one_odd_source_costs_no_other_namespace_its_registry(world, registry, odd):
    world.sync()

    registry.add()
    found = registry.call("GET", "model-versions/search", filter=f"name = '{registry.name}'")
    assert len(found.json()["model_versions"]) == 1


def test_a_source_that_is_no_uri_is_the_versions_fault(yard):
    answer = yard.source(source={"uri": "mlflow-artifacts://[x"})

    assert answer.status_code == 422
    assert "is no URI" in answer.json()["message"]


@pytest.mark.parametrize("more", ["#2", "?x=1"])
def test_a_source_is_never_cut_to_another_folders(yard, more):
    answer = yard.source(source={"uri": f"runs:/{yard.first.run_id}/model{more}"})

    assert answer.status_code == 422
    assert "no plain path" in answer.json()["message"]


def test_a_resource_whose_keys_cant_be_told_costs_no_other_one_its_own():
    def keys(one):
        return (one["spec"]["key"],)

    cache = Cache("things", keys=keys)
    told = {"metadata": {"namespace": "a", "name": "told"}, "spec": {"key": "k"}}
    cache.replace([{"metadata": {"namespace": "a", "name": "odd"}, "spec": {}}, told], 1)

    assert cache.by("a", "k") == [told]
    assert cache.get("a", "odd") is not None
