"""From one version to the next, without a moment in which nothing answers."""

from builders import given
from builders.deployments import applied, child, condition, plan, served, version


def test_the_first_version_gets_service_budget_token_and_child() -> None:
    told = plan(given.model_deployment(), follows=version(1))

    assert [o["kind"] for o in told.create] == ["Service"]
    assert applied(told, "PodDisruptionBudget") == ["digits"]
    assert applied(told, "Secret") == ["digits-11111111-token"]
    assert applied(told, "Deployment") == ["digits-11111111"]
    assert told.status["updating"] == served(1)
    assert told.status["phase"] == "Pending"
    assert condition(told, "Available")["status"] == "False"
    assert told.status["endpoint"] == "http://digits.team.svc"


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

    assert [(r.kind, r.name) for r in told.delete] == [
        ("Deployment", "digits-11111111"),
        ("Secret", "digits-11111111-token"),
    ]
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
