"""The chart's roles and its policy on promotion, as the API server understands them."""

import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import gen
import pytest
import yaml
from kube_api import Api, Refused, clean
from trainyard_cluster import tools

CHART = Path(__file__).parents[2] / "charts/trainyard"
RBAC = "rbac.authorization.k8s.io/v1"
ROLES = {"ann": "trainyard-scientist", "bob": "trainyard-approver", "eve": "trainyard-viewer"}
STAGES = [gen.stage("staging", "automatic"), gen.stage("production", "approval")]
EFFECTIVE_SECONDS = 30


@dataclass(frozen=True)
class Write:
    """A change of the spec of a Model whose production is version 1, and who makes it."""

    id: str
    user: str
    change: gen.Object
    code: int = 422
    says: str = ""


ALLOWED = [
    Write("a scientist moves a free alias", "ann", {"aliases": {"champion": 2}}),
    Write("a scientist moves an automatic stage", "ann", {"aliases": {"staging": 2}}),
    Write("a scientist describes", "ann", {"description": "x", "tags": {"a": "b"}}),
    Write(
        "an approver promotes in his name",
        "bob",
        {"aliases": {"production": 2}, "promotedBy": "bob"},
    ),
    Write("an approver forces", "bob", {"force": 2}),
    Write("an approver changes the gates", "bob", {"stages": [STAGES[1]]}),
]
REFUSED = [
    Write(
        "a scientist does not promote",
        "ann",
        {"aliases": {"production": 2}, "promotedBy": "ann"},
        403,
        "ann may not promote digits: spec.aliases.production is a stage that needs approval",
    ),
    Write(
        "a scientist does not empty a stage",
        "ann",
        {"aliases": {"production": None}},
        403,
        "ann may not promote digits",
    ),
    Write(
        "a scientist does not lower the gates",
        "ann",
        {"stages": [STAGES[0]]},
        403,
        "ann may not change spec.stages of digits, of which production needs approval",
    ),
    Write("a scientist does not force", "ann", {"force": 2}, 403, "may not set spec.force"),
    Write(
        "an approver does not promote in silence",
        "bob",
        {"aliases": {"production": 2}},
        says="set it to 'bob' in the same write",
    ),
    Write(
        "an approver does not promote in another's name",
        "bob",
        {"aliases": {"production": 2}, "promotedBy": "eve"},
        says="set it to 'bob' in the same write",
    ),
    Write(
        "nobody takes another's name",
        "ann",
        {"promotedBy": "bob"},
        says="spec.promotedBy may only be set to your own name: 'ann', not 'bob'",
    ),
    Write("a viewer writes nothing", "eve", {"description": "x"}, 403, "cannot patch resource"),
]


def model(**spec: object) -> gen.Object:
    return clean(gen.model()) | {"spec": {"stages": STAGES} | spec}


@pytest.fixture(scope="module")
def chart(admin: Api) -> Iterator[None]:
    """The chart's roles and its policy, in force."""
    words = [str(tools.helm()), "template", "trainyard", str(CHART), "-n", "trainyard-system"]
    for template in ("promotion", "roles"):
        words += ["--show-only", f"templates/access/{template}.yaml"]
    rendered = subprocess.run(words, check=True, capture_output=True, text=True).stdout
    objects = [each for each in yaml.safe_load_all(rendered) if each]
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
            if "spec.promotedBy" in refused.message:
                return
            raise
        time.sleep(0.2)
    raise TimeoutError(f"the policy was not in force after {EFFECTIVE_SECONDS} s")


@pytest.fixture
def team(chart: None, api: Api) -> Api:
    """A namespace in which ann is a scientist, bob an approver and eve a viewer."""
    for user, role in ROLES.items():
        api.create(
            {
                "apiVersion": RBAC,
                "kind": "RoleBinding",
                "metadata": {"name": user},
                "roleRef": {
                    "apiGroup": "rbac.authorization.k8s.io",
                    "kind": "ClusterRole",
                    "name": role,
                },
                "subjects": [
                    {"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": user}
                ],
            }
        )
    return api


@pytest.fixture
def promoted(team: Api) -> gen.Object:
    """A Model whose production is version 1."""
    aliases = {"production": 1, "staging": 1, "champion": 1}
    return team.create(model(aliases=aliases, promotedBy="admin"))


def _eventually_known(user: Api, body: gen.Object) -> None:
    # A new RoleBinding takes a moment to reach the authorizer.
    deadline = time.monotonic() + EFFECTIVE_SECONDS
    while time.monotonic() < deadline:
        try:
            user.get(body)
        except Refused:
            time.sleep(0.05)
        else:
            return


@pytest.mark.parametrize("write", ALLOWED, ids=lambda write: write.id)
def test_what_a_role_may_do(team: Api, promoted: gen.Object, write: Write) -> None:
    user = team.as_user(write.user)
    _eventually_known(user, promoted)

    assert user.patch(promoted, {"spec": write.change})["metadata"]["generation"] == 2


@pytest.mark.parametrize("write", REFUSED, ids=lambda write: write.id)
def test_what_a_role_may_not_do(team: Api, promoted: gen.Object, write: Write) -> None:
    user = team.as_user(write.user)
    _eventually_known(user, promoted)

    with pytest.raises(Refused) as refused:
        user.patch(promoted, {"spec": write.change})

    assert refused.value.code == write.code
    assert write.says in refused.value.message


def test_a_refusal_says_whom_to_ask(team: Api, promoted: gen.Object) -> None:
    user = team.as_user("ann")
    _eventually_known(user, promoted)

    with pytest.raises(Refused, match="ask somebody with the role trainyard-approver"):
        user.patch(promoted, {"spec": {"aliases": {"production": 2}}})


def test_a_scientist_makes_a_model_but_not_one_that_is_promoted_already(
    team: Api, promoted: gen.Object
) -> None:
    user = team.as_user("ann")
    _eventually_known(user, promoted)
    fresh = model() | {"metadata": {"name": "letters"}}
    user.create(fresh)

    with pytest.raises(Refused, match="ann may not promote other"):
        user.create(
            model(aliases={"production": 1}, promotedBy="ann") | {"metadata": {"name": "other"}}
        )

    assert user.delete(fresh)["status"] == "Success"


def test_a_scientist_does_not_delete_a_promoted_model(team: Api, promoted: gen.Object) -> None:
    user = team.as_user("ann")
    _eventually_known(user, promoted)

    with pytest.raises(Refused, match="ann may not promote digits"):
        user.delete(promoted)
