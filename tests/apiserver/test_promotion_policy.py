"""The chart's roles and its policy on promotion, as the API server understands them."""

import time
from collections.abc import Callable, Iterator

import pytest
from builders import given
from builders.chart import of_kind, rendered
from kube_api import Api, Refused, clean
from rows_promotion import ALLOWED, REFUSED, STAGES, Write
from trainyard_api.contract import PROMOTER_MANAGER

OPERATOR = "system:serviceaccount:trainyard-system:trainyard-operator"
TRACKING = "system:serviceaccount:trainyard-system:trainyard-tracking"
CLEAN_UP = "system:serviceaccount:kube-system:namespace-controller"
ROLES = {"ann": "trainyard-scientist", "bob": "trainyard-approver", "eve": "trainyard-viewer"}
PARTS = {OPERATOR: "trainyard-operator", TRACKING: "trainyard-tracking"}
EFFECTIVE_SECONDS = 30


def model(**spec: object) -> given.Object:
    return clean(given.model()) | {"spec": {"stages": STAGES} | spec}


@pytest.fixture(scope="module")
def chart(admin: Api) -> Iterator[None]:
    """The chart's roles and its policy, in force."""
    policy = ("ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding")
    objects = of_kind(rendered(), "ClusterRole", *policy)
    for each in objects:
        admin.create(each)
    _wait_until_in_force(admin)
    yield
    for each in objects:
        admin.delete(each)


def _wait_until_in_force(admin: Api) -> None:
    deadline = time.monotonic() + EFFECTIVE_SECONDS
    while time.monotonic() < deadline:
        try:
            admin.create(model(aliases={"production": 1}), dry=True)
        except Refused as refused:
            if "spec.promoters" in refused.message:
                return
            raise
        time.sleep(0.2)
    raise TimeoutError(f"the policy was not in force after {EFFECTIVE_SECONDS} s")


@pytest.fixture
def team(chart: None, api: Api) -> Api:
    """A namespace in which ann is a scientist, bob an approver and eve a viewer."""
    for user, role in (ROLES | PARTS).items():
        _bind(api, user, role)
    return api


def _bind(api: Api, user: str, role: str) -> None:
    group = "rbac.authorization.k8s.io"
    api.create(
        {
            "apiVersion": f"{group}/v1",
            "kind": "RoleBinding",
            "metadata": {"name": f"{user.rpartition(':')[2]}-{role}"},
            "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": role},
            "subjects": [{"apiGroup": group, "kind": "User", "name": user}],
        }
    )


@pytest.fixture
def promoted(team: Api) -> given.Object:
    """A Model whose production is version 1."""
    aliases = {"production": 1, "staging": 1, "champion": 1}
    return team.create(model(aliases=aliases, promoters={"production": "admin"}))


def _eventually_known(user: Api, body: given.Object) -> None:
    # A new RoleBinding takes a moment to reach the authorizer.
    deadline = time.monotonic() + EFFECTIVE_SECONDS
    while time.monotonic() < deadline:
        try:
            user.get(body)
        except Refused:
            time.sleep(0.05)
        else:
            return


def _eventually_refused(ask: Callable[[], object], says: str) -> None:
    """Ask, dry, until the policy has heard of the Models."""
    deadline = time.monotonic() + EFFECTIVE_SECONDS
    while time.monotonic() < deadline:
        try:
            ask()
        except Refused as refused:
            assert says in refused.message, refused.message  # noqa: PT017  # it is waited for
            return
        time.sleep(0.1)
    raise TimeoutError(f"not refused after {EFFECTIVE_SECONDS} s: {says}")


def _eventually(allowed: Callable[[], object]) -> None:
    deadline = time.monotonic() + EFFECTIVE_SECONDS
    while True:
        try:
            allowed()
        except Refused:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
        else:
            return


@pytest.mark.parametrize("write", ALLOWED, ids=lambda write: write.id)
def test_what_a_role_may_do(team: Api, promoted: given.Object, write: Write) -> None:
    user = team.as_user(write.user)
    _eventually_known(user, promoted)

    assert user.patch(promoted, {"spec": write.change})["metadata"]["generation"] == 2


@pytest.mark.parametrize("write", REFUSED, ids=lambda write: write.id)
def test_what_a_role_may_not_do(team: Api, promoted: given.Object, write: Write) -> None:
    user = team.as_user(write.user)
    _eventually_known(user, promoted)

    with pytest.raises(Refused) as refused:
        user.patch(promoted, {"spec": write.change})

    assert refused.value.code == write.code
    assert write.says in refused.value.message


def test_a_refusal_says_whom_to_ask(team: Api, promoted: given.Object) -> None:
    user = team.as_user("ann")
    _eventually_known(user, promoted)

    with pytest.raises(Refused, match="ask somebody with the role trainyard-approver"):
        user.patch(promoted, {"spec": {"aliases": {"production": 2}}})


def test_a_scientist_makes_a_model_but_not_one_that_is_promoted_already(
    team: Api, promoted: given.Object
) -> None:
    user = team.as_user("ann")
    _eventually_known(user, promoted)
    fresh = model() | {"metadata": {"name": "letters"}}
    user.create(fresh)

    with pytest.raises(Refused, match="ann may not promote other"):
        user.create(
            model(aliases={"production": 1}, promoters={"production": "ann"})
            | {"metadata": {"name": "other"}}
        )

    assert user.delete(fresh)["status"] == "Success"


def test_a_scientist_does_not_delete_a_promoted_model(team: Api, promoted: given.Object) -> None:
    user = team.as_user("ann")
    _eventually_known(user, promoted)

    with pytest.raises(Refused, match="ann may not promote digits"):
        user.delete(promoted)


@pytest.mark.parametrize("held_by", ["wish", "status"])
def test_who_may_not_move_a_stage_does_not_delete_what_it_holds(
    team: Api, promoted: given.Object, held_by: str
) -> None:
    kept, other = (team.create(clean(given.model_version(version=number))) for number in (1, 2))
    if held_by == "status":
        status = {"aliases": {"production": 1}}
        team.patch(promoted, {"status": status}, sub="/status")
        change = {"aliases": {"production": None}, "promoters": {"production": "admin"}}
        team.patch(promoted, {"spec": change})
    ann, bob = team.as_user("ann"), team.as_user("bob")
    _bind(team, "bob", "trainyard-scientist")
    _eventually_known(ann, promoted)
    _eventually_known(bob, promoted)

    _eventually_refused(
        lambda: ann.delete(kept, dry=True),
        "ann may not delete digits-1: stage production of digits",
    )
    ann.delete(other)
    _eventually(lambda: bob.delete(kept))


def test_with_a_model_that_goes_go_the_versions_that_its_stages_hold(
    team: Api, promoted: given.Object
) -> None:
    kept = team.create(clean(given.model_version(version=1)))
    team.patch(promoted, {"metadata": {"finalizers": ["trainyard.dev/versions"]}})
    operator = team.as_user(OPERATOR)
    _eventually_known(operator, promoted)
    _eventually_refused(lambda: operator.delete(kept, dry=True), "may not delete digits-1")

    team.delete(promoted)

    _eventually(lambda: operator.delete(kept))
    team.patch(promoted, {"metadata": {"finalizers": None}})


def test_a_name_in_mlflow_is_of_one_model(team: Api, promoted: given.Object) -> None:
    user = team.as_user("ann")
    _eventually_known(user, promoted)
    other = user.create(model() | {"metadata": {"name": "letters"}})

    def rename() -> None:
        path = user.path(other)
        change = {"spec": {"name": "digits"}}
        user.ask("PATCH", path, change, patch="merge-patch+json", params={"dryRun": "All"})

    _eventually_refused(rename, "'digits' is the name in MLflow of Model digits")
    renamed = user.patch(promoted, {"spec": {"name": "Digits of Hand"}})
    assert renamed["spec"]["name"] == "Digits of Hand"
    _eventually(rename)


def test_a_stage_goes_back_to_what_it_held_by_an_approver_alone(
    team: Api, promoted: given.Object
) -> None:
    _eventually_known(team.as_user("bob"), promoted)
    team.as_user("bob").patch(
        promoted, {"spec": {"aliases": {"production": 2}, "promoters": {"production": "bob"}}}
    )

    with pytest.raises(Refused, match="ann may not promote digits"):
        team.as_user("ann").patch(promoted, {"spec": {"aliases": {"production": 1}}})

    back = team.as_user("bob").patch(promoted, {"spec": {"aliases": {"production": 1}}})
    assert back["spec"]["promoters"] == {"production": "bob"}


def test_a_scientist_sets_up_the_first_stage_with_approval_but_does_not_take_it_away(
    team: Api, promoted: given.Object
) -> None:
    user = team.as_user("ann")
    _eventually_known(user, promoted)
    open_model = user.create(model(stages=[STAGES[0]]) | {"metadata": {"name": "letters"}})

    gated = user.patch(open_model, {"spec": {"stages": STAGES}})

    with pytest.raises(Refused, match="of which production needs approval"):
        user.patch(gated, {"spec": {"stages": []}})


def test_a_stage_is_not_emptied_by_leaving_it_and_its_alias_out(
    team: Api, promoted: given.Object
) -> None:
    user = team.as_user("ann")
    _eventually_known(user, promoted)

    with pytest.raises(Refused, match=r"spec\.aliases\.production is a stage that needs approval"):
        user.patch(promoted, {"spec": {"stages": None, "aliases": None}})


def test_an_old_manifest_that_names_no_alias_changes_nothing(
    team: Api, promoted: given.Object
) -> None:
    user = team.as_user("ann")
    _eventually_known(user, promoted)

    applied = user.apply(clean(model()), manager="kubectl")

    assert applied["spec"]["aliases"] == promoted["spec"]["aliases"]


@pytest.mark.parametrize("user", [OPERATOR, TRACKING])
def test_what_acts_by_itself_moves_no_stage_with_approval(
    team: Api, promoted: given.Object, user: str
) -> None:
    _eventually_known(team.as_user(user), promoted)

    with pytest.raises(Refused, match="may not promote digits"):
        team.as_user(user).patch(
            promoted, {"spec": {"aliases": {"production": 2}, "promoters": {"production": user}}}
        )


def test_the_promoter_moves_an_automatic_stage(team: Api, promoted: given.Object) -> None:
    operator = team.as_user(OPERATOR)
    _eventually_known(operator, promoted)
    fresh = team.create(model() | {"metadata": {"name": "letters"}})

    moved = operator.apply(
        clean(fresh) | {"spec": {"aliases": {"staging": 3}}}, manager=PROMOTER_MANAGER
    )

    assert moved["spec"]["aliases"] == {"staging": 3}


COLLECTOR = "system:serviceaccount:kube-system:generic-garbage-collector"


def _cleaner(team: Api, promoted: given.Object, user: str) -> Api:
    _bind(team, user, "trainyard-scientist")
    cleaner = team.as_user(user, "system:serviceaccounts:kube-system")
    _eventually_known(cleaner, promoted)
    return cleaner


@pytest.mark.parametrize("user", [CLEAN_UP, COLLECTOR])
def test_the_clean_up_of_a_namespace_deletes_promoted_models(
    team: Api, promoted: given.Object, user: str
) -> None:
    cleaner = _cleaner(team, promoted, user)
    kept = team.create(clean(given.model_version(version=1)))
    _eventually_refused(lambda: cleaner.delete(kept, dry=True), "may not delete digits-1")
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": team.namespace}}

    team.delete(namespace)

    # The policy hears of the namespace's end in a moment.
    _eventually(lambda: cleaner.delete(kept))
    _eventually(lambda: cleaner.delete(promoted))


def test_the_garbage_collector_does_not_delete_for_who_names_an_owner_that_is_not_there(
    team: Api, promoted: given.Object
) -> None:
    collector, ann = _cleaner(team, promoted, COLLECTOR), team.as_user("ann")
    _eventually_known(ann, promoted)
    kept = team.create(clean(given.model_version(version=1)))
    owner = {"apiVersion": "v1", "kind": "ConfigMap", "name": "gone", "uid": "0"}
    for each in (promoted, kept):
        ann.patch(each, {"metadata": {"ownerReferences": [owner]}})

    with pytest.raises(Refused, match="may not promote digits"):
        collector.delete(promoted)
    _eventually_refused(lambda: collector.delete(kept, dry=True), "may not delete digits-1")
