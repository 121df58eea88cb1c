"""Promotion: the patch that is written, and what the answer means."""

import threading
from typing import Any

import pytest
import trainyard as ty
from builders.sdk import USER, FakeCluster, condition, model_object
from trainyard.client import Client
from trainyard.kinds import parse
from trainyard.promotion import alias_patch, check_stage, outcome


def model(**fields: Any) -> ty.Model:
    return parse(ty.Model, model_object("digits", **fields))


GATED = [{"name": "production", "promotion": "approval"}]


def test_the_patch_tests_the_old_value() -> None:
    promoters = {"production": "bob"}
    signed = model(aliases={"production": 1}, promoters=promoters, stages=GATED)

    patch = alias_patch(signed, "production", 2, user="ada")

    assert patch == [
        {"op": "test", "path": "/spec/aliases/production", "value": 1},
        {"op": "add", "path": "/spec/aliases/production", "value": 2},
        {"op": "add", "path": "/spec/promoters/production", "value": "ada"},
    ]


@pytest.mark.parametrize("version", [2, None])
def test_a_stage_that_needs_approval_is_signed_also_for_taking_it_away(version: int | None) -> None:
    body = model_object("digits", aliases={"production": 1}, stages=GATED)
    body["metadata"]["resourceVersion"] = "41"

    patch = alias_patch(parse(ty.Model, body), "production", version, user="ada")

    assert patch[0] == {"op": "test", "path": "/metadata/resourceVersion", "value": "41"}
    assert patch[-1] == {"op": "add", "path": "/spec/promoters", "value": {"production": "ada"}}


@pytest.mark.parametrize("version", [2, None])
@pytest.mark.parametrize("stages", [[], [{"name": "free", "promotion": "automatic"}]])
@pytest.mark.parametrize("promoters", [None, {"production": "bob"}])
def test_a_free_alias_is_signed_by_nobody(
    version: int | None, stages: list[Any], promoters: Any
) -> None:
    free = model(aliases={"free": 1}, promoters=promoters, stages=[*GATED, *stages])

    assert not [
        each
        for each in alias_patch(free, "free", version, user="ada")
        if each["path"].startswith("/spec/promoters")
    ]


def test_a_name_beside_a_free_alias_goes_with_the_next_move() -> None:
    left = model(aliases={"free": 1}, promoters={"free": "bob"}, stages=GATED)

    assert alias_patch(left, "free", None, user="ada")[-2:] == [
        {"op": "test", "path": "/spec/promoters/free", "value": "bob"},
        {"op": "remove", "path": "/spec/promoters/free"},
    ]


@pytest.mark.parametrize(
    ("fields", "path", "value"),
    [
        pytest.param({}, "/spec/aliases", {"production": 2}, id="the first alias at all"),
        pytest.param({"aliases": {"x": 1}}, "/spec/aliases/production", 2, id="another one"),
    ],
)
def test_a_first_value_is_written_only_if_nothing_changed(
    fields: dict[str, Any], path: str, value: object
) -> None:
    body = model_object("digits", **fields)
    body["metadata"]["resourceVersion"] = "41"
    patch = alias_patch(parse(ty.Model, body), "production", 2, user="ada", force=True)

    assert patch[0] == {"op": "test", "path": "/metadata/resourceVersion", "value": "41"}
    assert patch[1] == {"op": "add", "path": path, "value": value}
    assert patch[-1] == {"op": "add", "path": "/spec/force", "value": 2}


REFUSAL = {"version": 2, "reason": "GateRefused", "message": "val_accuracy 0.5 < 0.9"}
READY = condition("Ready", "True", "AllStagesHeld")


def stage(**fields: Any) -> dict[str, Any]:
    return {"stages": [{"name": "production", **fields}], "conditions": [READY]}


@pytest.mark.parametrize(
    ("status", "refused", "held"),
    [
        pytest.param(stage(version=2), "", 2, id="it holds"),
        pytest.param(
            stage(version=1, refusal=REFUSAL), "GateRefused: val_accuracy 0.5 < 0.9", 1, id="a gate"
        ),
        pytest.param(
            {"conditions": [condition("Ready", "False", "VersionNotPublished", "2 is pending")]},
            "VersionNotPublished: 2 is pending",
            None,
            id="the Model cannot judge",
        ),
        pytest.param({"aliases": {"production": 2}}, "", 2, id="an alias without policy"),
    ],
)
def test_the_answer_is_read_from_the_status(
    status: dict[str, Any], refused: str, held: int | None
) -> None:
    found = outcome(model(status=status), "production", 2, generation=1)

    assert found is not None
    assert (found.refused, found.held) == (refused, held)


@pytest.mark.parametrize(
    ("status", "generation"),
    [
        pytest.param(stage(version=2), 2, id="an older wish was judged"),
        pytest.param(stage(version=1), 1, id="not judged at all"),
        pytest.param(stage(version=1, refusal={**REFUSAL, "version": 1}), 1, id="another refusal"),
    ],
)
def test_there_is_no_answer_yet(status: dict[str, Any], generation: int) -> None:
    assert outcome(model(status=status), "production", 2, generation=generation) is None


def test_a_slip_of_the_keyboard_is_caught() -> None:
    with pytest.raises(ty.InvalidInput) as error:
        check_stage(model(), "prodution")
    assert "Did you mean production?" in error.value.fix


def test_an_alias_that_is_like_no_stage_is_made() -> None:
    check_stage(model(), "canary")


def operator(cluster: FakeCluster, answer: dict[str, Any]) -> threading.Thread:
    """Answer the first change of the Model, as the operator does."""

    def act() -> None:
        with cluster.changed:
            cluster.changed.wait_for(
                lambda: cluster.objects["models", "digits"]["metadata"]["generation"] > 1, 10
            )
        latest = cluster.objects["models", "digits"]
        cluster.put("models", {**latest, "status": {"observedGeneration": 2, **answer}})

    thread = threading.Thread(target=act)
    thread.start()
    return thread


def prepare(cluster: FakeCluster, **fields: Any) -> None:
    cluster.put("models", model_object("digits", **fields))
    spec = {"model": "digits", "version": 2, "source": {"uri": "s3://x/y"}}
    cluster.put("modelversions", {"metadata": {"name": "digits-2"}, "spec": spec})
    served = {"model": {"name": "digits", "alias": "production"}}
    cluster.put("modeldeployments", {"metadata": {"name": "api"}, "spec": served})


def test_a_promotion_waits_and_names_who_follows(client: Client, cluster: FakeCluster) -> None:
    prepare(cluster, aliases={"production": 1})
    thread = operator(cluster, stage(version=2))
    found = ty.promote("digits", 2, stage="production", timeout=10, client=client)
    thread.join()

    assert (found.held, found.refused, found.followers) == (2, "", ("api",))
    assert cluster.objects["models", "digits"]["spec"]["promoters"] == {"production": USER}


def test_a_version_that_is_not_there_lists_those_that_are(
    client: Client, cluster: FakeCluster
) -> None:
    prepare(cluster)

    with pytest.raises(ty.NotFound) as error:
        ty.promote("digits", 7, stage="production", client=client)
    assert "It has 2" in error.value.fix


def test_of_two_promotions_at_once_one_is_a_conflict(client: Client, cluster: FakeCluster) -> None:
    prepare(cluster, aliases={"production": 1})
    real = client.patch

    def too_late(*args: Any, **options: Any) -> ty.Model:
        cluster.put("models", model_object("digits", aliases={"production": 3}))
        return real(*args, **options)

    client.patch = too_late  # type: ignore[method-assign]  # somebody is faster, exactly here

    with pytest.raises(ty.Conflict, match="to version 3 meanwhile"):
        ty.promote("digits", 2, stage="production", client=client)
