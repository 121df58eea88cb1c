"""Promotion: gates, rollback, pins, concurrent moves, rights, and who sees what holds."""

import json
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import pytest
from on_cluster.models import model, stage, train
from on_cluster.runs import Kubectl, Object, command

STAGING = stage("staging", "automatic", threshold=0.5)
PRODUCTION = stage("production", "approval", betterThan="production", margin=0.01)


@pytest.fixture(scope="module")
def versions(kube: Kubectl) -> Kubectl:
    """Four versions: good, weak, better, best."""
    kube.apply(model("m", STAGING, PRODUCTION))
    train(kube, "m", [0.6, 0.4, 0.7, 0.9])
    return kube


def held(kube: Kubectl, alias: str, version: int) -> Object:
    return kube.wait(
        "model",
        "m",
        lambda seen: seen["status"].get("aliases", {}).get(alias) == version,
        seconds=60,
    )


def moves(seen: Object) -> list[tuple[int, int]]:
    """Return from where to where production moved, oldest first; 0 is no version."""
    history = [move for move in seen["status"]["history"] if move["stage"] == "production"]
    return [(move.get("from", 0), move.get("to", 0)) for move in history]


def test_the_newest_good_version_reaches_the_automatic_stage(versions: Kubectl) -> None:
    held(versions, "staging", 4)


def test_a_worse_version_is_refused_with_both_figures(versions: Kubectl) -> None:
    versions.trainyard("promote", "m", "1", "--to", "production")
    held(versions, "production", 1)

    refusal = versions.trainyard("promote", "m", "2", "--to", "production", expect=1)

    assert "0.4" in refusal
    assert "0.6" in refusal
    held(versions, "production", 1)


def test_rollback_is_setting_the_old_value(versions: Kubectl) -> None:
    versions.trainyard("promote", "m", "3", "--to", "production")
    held(versions, "production", 3)

    versions.trainyard("promote", "m", "1", "--to", "production")

    assert moves(held(versions, "production", 1))[-1] == (3, 1)


def test_an_old_manifest_without_aliases_leaves_the_pointers_alone(versions: Kubectl) -> None:
    before = versions.get("model", "m")["spec"]["aliases"]

    versions.apply(model("m", STAGING, PRODUCTION))

    assert versions.get("model", "m")["spec"]["aliases"] == before


def test_of_two_concurrent_promotions_none_is_lost_and_one_version_holds(
    versions: Kubectl,
) -> None:
    def promote(version: int) -> int:
        return subprocess.run(
            [
                "trainyard",
                "promote",
                "-n",
                versions.namespace,
                "m",
                str(version),
                "--to",
                "production",
            ],
            env=versions.environment,
            capture_output=True,
            check=False,
        ).returncode

    with ThreadPoolExecutor(2) as pool:
        codes = list(pool.map(promote, [3, 4]))
    seen = versions.get("model", "m")
    wanted, holds = seen["spec"]["aliases"]["production"], moves(seen)

    assert 0 in codes
    assert wanted in (3, 4)
    held(versions, "production", wanted)
    assert all(left[1] == right[0] for left, right in pairwise(holds)), holds


@pytest.fixture
def scientist(versions: Kubectl) -> Iterator[str]:
    """A service account that may write Models but not promote."""
    name = versions.namespace
    versions("create", "serviceaccount", "scientist")
    versions(
        "create",
        "rolebinding",
        "scientist",
        "--clusterrole=trainyard-scientist",
        f"--serviceaccount={name}:scientist",
    )
    yield f"system:serviceaccount:{name}:scientist"
    versions("delete", "rolebinding,serviceaccount", "scientist")


def test_who_lacks_promote_is_refused_with_the_right_that_is_missing(
    versions: Kubectl, scientist: str
) -> None:
    holds = versions.get("model", "m")["spec"]["aliases"]["production"]
    wished = {"aliases": {"production": 7 - holds}, "promoters": {"production": scientist}}
    patch = json.dumps({"spec": wished})
    words = ("-n", versions.namespace, "patch", "model", "m", "--type=merge", "-p", patch)

    refusal = command(versions.environment, "kubectl", f"--as={scientist}", *words, expect=1)

    assert "promote" in refusal


def test_who_lacks_promote_may_move_an_ungated_alias(versions: Kubectl, scientist: str) -> None:
    patch = json.dumps({"spec": {"aliases": {"favourite": 1}}})
    words = ("-n", versions.namespace, "patch", "model", "m", "--type=merge", "-p", patch)

    command(versions.environment, "kubectl", f"--as={scientist}", *words)

    held(versions, "favourite", 1)


def test_nobody_promotes_in_anothers_name(versions: Kubectl) -> None:
    current = versions.get("model", "m")["status"]["aliases"]["production"]
    wished = {"aliases": {"production": 7 - current}, "promoters": {"production": "another"}}
    patch = json.dumps({"spec": wished})

    refusal = versions("patch", "model", "m", "--type=merge", "-p", patch, expect=1)

    assert "promoters" in refusal


def test_numbers_are_never_reused(versions: Kubectl) -> None:
    versions("delete", "modelversion", "m-2", "--wait", "--timeout=60s")
    train(versions, "m", [0.95], first=5)

    names = {version["metadata"]["name"] for version in versions.list("modelversions")}
    assert "m-5" in names
    assert "m-2" not in names


def test_a_pin_holds_until_it_is_taken_out(versions: Kubectl) -> None:
    pin = json.dumps({"spec": {"aliases": {"staging": 3}}})
    versions("patch", "model", "m", "--type=merge", "-p", pin)
    held(versions, "staging", 3)
    train(versions, "m", [0.97], first=6)

    told = versions.wait(
        "model",
        "m",
        lambda seen: any(
            each["reason"] == "AliasOwnedElsewhere" for each in seen["status"]["conditions"]
        ),
        seconds=60,
    )
    message = next(
        each["message"]
        for each in told["status"]["conditions"]
        if each["reason"] == "AliasOwnedElsewhere"
    )
    versions.apply(model("m", STAGING, PRODUCTION))
    held(versions, "staging", 3)

    assert "kubectl-patch" in message
    assert '{"op":"remove","path":"/spec/aliases/staging"}' in message
    unpin = json.dumps([{"op": "remove", "path": "/spec/aliases/staging"}])
    versions("patch", "model", "m", "--type=json", "-p", unpin)
    held(versions, "staging", 6)


def test_a_model_takes_its_versions_along_and_a_backup_brings_them_back(kube: Kubectl) -> None:
    kube.apply(model("saved", stage("live", "automatic", threshold=0.1)))
    train(kube, "saved", [0.6])
    of_it = "trainyard.dev/model=saved"
    saved = [kube.get("model", "saved"), *kube.list("modelversions", of_it)]
    kube("delete", "model", "saved", "--timeout=60s")
    assert kube.list("modelversions", of_it) == []

    kube.apply(*map(as_a_backup_has_it, reversed(saved)))

    restored = kube.wait("model", "saved", lambda seen: versions_of(seen) == 1)
    kept = kube.get("modelversion", "saved-1")
    assert restored["metadata"]["uid"] != saved[0]["metadata"]["uid"]
    assert "ownerReferences" not in kept["metadata"]
    # The garbage collector looks for owners within seconds.
    time.sleep(5)
    assert kube.get("modelversion", "saved-1")["metadata"]["uid"] == kept["metadata"]["uid"]


def versions_of(seen: Object) -> int | None:
    number: int | None = seen.get("status", {}).get("versions")
    return number


def as_a_backup_has_it(resource: Object) -> Object:
    """Return a resource with its metadata and spec, but for what names one life of it."""
    kept = ("name", "labels", "annotations", "finalizers", "ownerReferences")
    metadata = {key: value for key, value in resource["metadata"].items() if key in kept}
    return {**{key: resource[key] for key in ("apiVersion", "kind", "spec")}, "metadata": metadata}
