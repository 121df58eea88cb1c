"""From one version to the next, without a moment in which nothing answers."""

import pytest
from builders import given
from builders.deployments import applied, child, condition, plan, pod, served, version
from trainyard_operator import names
from trainyard_operator.deployments import children
from trainyard_operator.engine.plan import Ref
from trainyard_operator.tokens import MOUNTING


def test_the_first_version_gets_service_budget_token_and_child() -> None:
    told = plan(given.model_deployment(), follows=version(1))

    assert [o["kind"] for o in told.create] == ["Service", "Secret"]
    assert applied(told, "PodDisruptionBudget") != ["digits"]
    (made,) = (o for o in told.apply if o["kind"] == "Deployment")
    assert children.mounts(made, told.create[1])
    assert applied(told, "Deployment") == ["digits-11111111"]
    assert told.status["updating"] == served(1)
    assert told.status["phase"] == "Pending"
    assert condition(told, "Available")["status"] == "False"
    assert told.status["endpoint"] == "http://digits.team.svc"


@pytest.mark.parametrize("placed", ["2026-11-24T11:00:00Z", None], ids=["long ago", "untold"])
def test_a_token_that_somebody_deleted_is_made_again(placed: str | None) -> None:
    resource = given.model_deployment(status={"stable": served(1)})
    container = given.container_status("server", waiting={"reason": "ContainerCreating"})
    scheduled = given.condition("PodScheduled", lastTransitionTime=placed)
    waits = pod(1, conditions=[scheduled], containerStatuses=[container])

    settled = plan(resource, child(resource, 1, ready=1), follows=version(1))
    told = plan(resource, child(resource, 1), follows=version(1), pods=(waits,))

    assert [o["kind"] for o in settled.create] == ["Service"]
    assert [o["kind"] for o in told.create] == ["Service", "Secret"]
    assert told.recheck_after == MOUNTING


def test_a_budget_of_the_plain_name_goes_and_its_own_stays() -> None:
    resource = given.model_deployment()
    owned = {"ownerReferences": [given.owner(resource)]}
    old, own = (
        given.thing("policy/v1", "PodDisruptionBudget", name, metadata=owned)
        for name in ("digits", names.disruption_budget(resource))
    )
    told = plan(resource, follows=version(1), budgets=(old, own))

    assert told.delete == (Ref.of(old),)


def test_ready_it_is_stable_and_available() -> None:
    resource = given.model_deployment(status={"updating": served(1)})
    told = plan(resource, child(resource, 1, ready=1), follows=version(1))

    assert told.status["stable"] == served(1)
    assert "updating" not in told.status
    assert told.status["phase"] == "Available"
    assert condition(told, "Progressing")["reason"] == "Complete"
    assert [e.reason for e in told.events] == ["RolledOut"]


def test_settled_it_is_left_alone() -> None:
    resource = given.model_deployment()
    children = (child(resource, 1, ready=1),)
    first = plan(resource, *children, follows=version(1))

    again = plan({**resource, "status": first.status}, *children, follows=version(1))

    assert again.status == first.status
    assert again.events == ()
    assert again.apply == first.apply


def test_a_new_version_starts_beside_the_old_one() -> None:
    resource = given.model_deployment(replicas=2, status={"stable": served(1)})
    told = plan(resource, child(resource, 1, ready=2), follows=version(2))

    assert applied(told, "Deployment") == ["digits-11111111", "digits-22222222"]
    assert told.delete == ()
    assert told.status["phase"] == "Progressing"
    assert condition(told, "Available")["status"] == "True"


def test_the_old_one_goes_with_its_token_once_the_new_one_is_ready() -> None:
    resource = given.model_deployment(replicas=2, status={"stable": served(1)})
    told = plan(
        resource,
        child(resource, 1, ready=2),
        child(resource, 2, ready=2),
        follows=version(2),
    )

    assert [r.kind for r in told.delete] == ["Secret", "Deployment"]
    assert told.delete[1].name == "digits-11111111"
    assert told.delete[0].owner == resource["metadata"]["uid"]
    assert told.status["stable"] == served(2)


def test_a_child_that_has_not_seen_its_new_spec_does_not_count() -> None:
    resource = given.model_deployment(replicas=1, status={"stable": served(1)})
    told = plan(
        resource,
        child(resource, 1, ready=1),
        child(resource, 2, ready=1, generation=2),
        follows=version(2),
    )

    assert told.status["stable"] == served(1)


def test_scaled_to_zero_nothing_answers_and_it_says_so() -> None:
    resource = given.model_deployment(replicas=0)
    told = plan(resource, child(resource, 1), follows=version(1))

    assert condition(told, "Available")["reason"] == "ScaledToZero"
    assert told.status["phase"] == "Pending"
