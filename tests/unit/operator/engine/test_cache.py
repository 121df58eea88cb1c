"""What is held of the cluster's objects, and how children are found in it."""

from typing import Any

import pytest
from builders import given
from builders.stage import attempt_job, attempt_pod
from trainyard_operator import names
from trainyard_operator.engine.cache import Cache, name_of, version_of
from trainyard_operator.engine.objects import JOBS, PODS
from trainyard_operator.engine.plan import Object
from trainyard_operator.engine.trimming import trim
from trainyard_operator.names import RUNS


def versioned(made: Object, version: int, **meta: Any) -> Object:
    return {**made, "metadata": {**made["metadata"], "resourceVersion": str(version), **meta}}


def drop(cache: Cache, resource: str, gone: Object) -> None:
    cache.drop(resource, name_of(gone), gone["metadata"]["uid"], version_of(gone))


def test_an_older_object_never_replaces_a_newer_one() -> None:
    cache = Cache()
    cache.remember(RUNS, versioned(given.run(status={"phase": "Running"}), 5))

    assert not cache.remember(RUNS, versioned(given.run(), 4))
    assert (cache.get(RUNS, "team", "r") or {})["status"] == {"phase": "Running"}


def test_a_change_of_what_nobody_reads_is_no_news_but_is_remembered() -> None:
    cache = Cache(packed=[PODS])
    pod = attempt_pod(given.run(), 1, conditions=[given.condition("PodScheduled", "True")])
    cache.remember(PODS, versioned(pod, 5))
    sandbox = given.condition("PodReadyToStartContainers", "True")
    told = {**pod["status"], "conditions": [*pod["status"]["conditions"], sandbox]}
    marked = versioned({**pod, "status": told}, 7, finalizers=["batch.kubernetes.io/job-tracking"])

    assert not cache.remember(PODS, marked)
    assert not cache.remember(PODS, versioned({**pod, "status": {"phase": "Failed"}}, 6))
    assert cache.remember(PODS, versioned({**pod, "status": {"phase": "Failed"}}, 8))


def test_a_namesake_is_news_however_like_it_is() -> None:
    cache = Cache(packed=[PODS])
    pod = attempt_pod(given.run(), 1)
    cache.remember(PODS, versioned(pod, 5))

    assert cache.remember(PODS, versioned(pod, 6, uid="another"))


def test_what_was_deleted_does_not_come_back_with_a_late_answer() -> None:
    cache = Cache()
    run = versioned(given.run(), 9)
    cache.remember(RUNS, run)
    drop(cache, RUNS, run)

    assert not cache.remember(RUNS, versioned(run, 8))
    assert cache.get(RUNS, "team", "r") is None


def test_what_was_taken_for_gone_comes_back_when_it_is_seen_anew() -> None:
    cache = Cache()
    run = versioned(given.run(), 9)
    cache.remember(RUNS, run)
    drop(cache, RUNS, run)

    assert cache.remember(RUNS, versioned(run, 10))


def test_what_was_made_after_a_list_is_not_gone_because_the_list_lacks_it() -> None:
    cache = Cache()
    cache.remember(RUNS, versioned(given.run(), 12))

    assert cache.drop(RUNS, ("team", "r"), given.run()["metadata"]["uid"], 11) is None
    assert cache.get(RUNS, "team", "r") is not None


def test_a_namesake_is_not_dropped_with_its_predecessor() -> None:
    cache = Cache()
    cache.remember(RUNS, versioned(given.run(), 9, uid="new"))
    drop(cache, RUNS, given.run())

    assert cache.get(RUNS, "team", "r") is not None


def test_children_are_found_by_their_controller() -> None:
    cache = Cache()
    run = given.run()
    cache.remember(JOBS, attempt_job(run))
    cache.remember(JOBS, given.job("other"))
    found = cache.list(JOBS, "team", owner=run["metadata"]["uid"])

    assert [job["metadata"]["name"] for job in found] == ["r-a1"]
    drop(cache, JOBS, attempt_job(run))
    assert cache.list(JOBS, "team", owner=run["metadata"]["uid"]) == []


def test_an_index_finds_what_a_kind_says_and_follows_every_change() -> None:
    cache = Cache({RUNS: {"phase": lambda run: [(run.get("status") or {}).get("phase", "")]}})
    for name in ("b", "a", "c"):
        cache.remember(RUNS, versioned(given.run(name, status={"phase": "Running"}), 5))
    cache.remember(RUNS, versioned(given.run("b", status={"phase": "Failed"}), 6))
    running = cache.list(RUNS, "team", by=("phase", "Running"))

    assert [run["metadata"]["name"] for run in running] == ["a", "c"]
    assert len(cache.list(RUNS, "team", by=("phase", "Running"), limit=1)) == 1
    assert cache.count(RUNS, "team", by=("phase", "Failed")) == 1
    assert cache.count(RUNS, "elsewhere", by=("phase", "Failed")) == 0
    drop(cache, RUNS, versioned(given.run("b"), 7))
    assert cache.count(RUNS, "team", by=("phase", "Failed")) == 0


@pytest.mark.parametrize(
    ("status", "is_over"),
    [
        ({}, False),
        ({"phase": "Running"}, False),
        ({"conditions": [given.condition("Complete", "False")]}, False),
        ({"conditions": [given.condition("Complete", "True")]}, True),
        ({"phase": "Failed"}, True),
        ({"phase": "Cancelled", "completionTime": "2026-01-01T00:00:00Z"}, True),
    ],
)
def test_what_is_packed_is_read_as_it_was_seen_and_is_small_once_it_is_over(
    status: Object, is_over: bool
) -> None:
    run = given.run(metadata={"annotations": {"note": "x" * 1000}}, status=status)
    cache = Cache(packed={RUNS})
    cache.remember(RUNS, run)

    assert cache.get(RUNS, "team", "r") == run
    assert list(cache.all(RUNS)) == [run]
    (held,) = cache._held[RUNS].values()
    assert (len(held.content) < 1000) == is_over


def test_children_are_found_by_label() -> None:
    cache = Cache()
    cache.remember(PODS, attempt_pod(given.run()))

    assert len(cache.list(PODS, "team", labels={names.RUN: "r"})) == 1
    assert len(cache.list(PODS, "team", labels={names.RUN: "s"})) == 0
    assert len(cache.list(PODS, "elsewhere")) == 0
    assert len(list(cache.all(PODS))) == 1


def test_a_pod_is_held_without_what_nobody_reads() -> None:
    pod = attempt_pod(given.run(), conditions=[{"type": "Ready", "status": "True", "x": 1}])
    pod["metadata"]["managedFields"] = [{"manager": "kubelet"}]
    pod["spec"]["volumes"] = [{"name": "v"}]
    held = trim(PODS, pod)

    assert "managedFields" not in held["metadata"]
    assert "volumes" not in held["spec"]
    assert held["status"]["conditions"] == [{"type": "Ready", "status": "True"}]


def test_a_suspended_job_keeps_who_suspended_it() -> None:
    job = attempt_job(given.run())
    job["spec"]["suspend"] = True
    job["metadata"]["managedFields"] = [
        {"manager": "trainyard-operator", "fieldsV1": {"f:spec": {"f:backoffLimit": {}}}},
        {"manager": "kueue", "fieldsV1": {"f:spec": {"f:suspend": {}}}},
    ]
    cache = Cache()
    cache.remember(JOBS, job)

    assert (cache.get(JOBS, "team", "r-a1") or {})["spec"] == {
        "suspend": True,
        "suspendedBy": "kueue",
        "completions": 1,
    }


def test_a_pod_keeps_its_grace_time_and_which_init_containers_are_sidecars() -> None:
    pod = attempt_pod(given.run())
    pod["metadata"]["deletionGracePeriodSeconds"] = 30
    pod["spec"]["initContainers"] = [{"name": "proxy", "restartPolicy": "Always", "env": []}]
    held = trim(PODS, pod)

    assert held["metadata"]["deletionGracePeriodSeconds"] == 30
    assert held["spec"]["initContainers"] == [{"name": "proxy", "restartPolicy": "Always"}]


def test_a_model_keeps_who_owns_its_aliases() -> None:
    fields = [{"manager": "trainyard-promoter"}]
    held = trim("models", given.model(metadata={"managedFields": fields}), whole=True)

    assert held["metadata"]["managedFields"] == fields


def test_a_run_keeps_annotations_but_not_its_manifest_twice() -> None:
    notes = {"kubectl.kubernetes.io/last-applied-configuration": "{}", "a": "b"}
    held = trim(RUNS, given.run(metadata={"annotations": notes}))

    assert held["metadata"]["annotations"] == {"a": "b"}
