"""What no values file may undo: restricted pods, least privilege, keys where they belong."""

from pathlib import Path

import pytest
from builders.chart import Object, containers, named, of_kind, pods, rendered
from trainyard_api.contract import CLAIM_AUDIENCE

VALUES = sorted((Path(__file__).parent / "values").glob("*.yaml"))
EACH = pytest.mark.parametrize("values", VALUES, ids=[path.stem for path in VALUES])
ROLES = ("Role", "ClusterRole")
MAKES_POWER = {"escalate", "bind", "impersonate"}


def rules(objects: tuple[Object, ...], name: str = "") -> list[Object]:
    return [
        rule
        for role in of_kind(objects, *ROLES)
        if not name or role["metadata"]["name"] == name
        for rule in role["rules"]
    ]


def granted(objects: tuple[Object, ...], role: str, resource: str) -> set[str]:
    """Return the verbs that a role gives on a resource."""
    return {
        verb
        for rule in rules(objects, role)
        if resource in rule["resources"]
        for verb in rule["verbs"]
    }


@EACH
def test_every_container_is_restricted(values: Path) -> None:
    for name, container in containers(rendered(values)):
        security = container["securityContext"]
        assert security["allowPrivilegeEscalation"] is False, name
        assert security["readOnlyRootFilesystem"] is True, name
        assert security["capabilities"] == {"drop": ["ALL"]}, name


@EACH
def test_every_pod_is_restricted(values: Path) -> None:
    for name, pod in pods(rendered(values)):
        spec = pod["spec"]
        assert spec["securityContext"]["runAsNonRoot"] is True, name
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, name
        assert spec["enableServiceLinks"] is False, name
        assert not {"hostNetwork", "hostPID", "hostIPC"} & set(spec), name
        assert not any("hostPath" in volume for volume in spec.get("volumes", [])), name


@EACH
def test_every_container_has_requests_and_a_limit_of_memory(values: Path) -> None:
    for name, container in containers(rendered(values)):
        assert {"cpu", "memory"} <= set(container["resources"]["requests"]), name
        assert "memory" in container["resources"]["limits"], name


@EACH
def test_every_server_has_all_three_probes(values: Path) -> None:
    for item in of_kind(rendered(values), "Deployment"):
        for container in item["spec"]["template"]["spec"]["containers"]:
            probes = {"startupProbe", "livenessProbe", "readinessProbe"}
            assert probes <= set(container), item["metadata"]["name"]


@EACH
def test_no_right_is_a_wildcard_or_makes_more_rights(values: Path) -> None:
    for rule in rules(rendered(values)):
        words = [*rule["apiGroups"], *rule["resources"], *rule["verbs"]]
        assert "*" not in words, rule
        assert not MAKES_POWER & set(rule["verbs"]), rule
        assert not {"pods/exec", "pods/attach"} & set(rule["resources"]), rule


@EACH
def test_nobody_lists_or_changes_secrets_and_the_operator_alone_looks_one_up(values: Path) -> None:
    objects = rendered(values)
    for role in of_kind(objects, *ROLES):
        for rule in role["rules"]:
            if "secrets" in rule["resources"]:
                assert set(rule["verbs"]) <= {"create", "get", "delete"}, rule
                assert role["metadata"]["name"] == "trainyard-operator"


@EACH
def test_only_approvers_may_promote(values: Path) -> None:
    objects = rendered(values)
    may = [
        r["metadata"]["name"]
        for r in of_kind(objects, *ROLES)
        for rule in r["rules"]
        if "promote" in rule["verbs"]
    ]

    assert set(may) <= {"trainyard-approver"}


def test_only_the_operator_may_operate() -> None:
    may = [
        r["metadata"]["name"]
        for r in of_kind(rendered(), *ROLES)
        for rule in r["rules"]
        if "operate" in rule["verbs"]
    ]

    assert may == ["trainyard-operator-cluster"]


@pytest.mark.parametrize(
    ("role", "verbs"),
    [
        ("trainyard-viewer", {"get", "list", "watch"}),
        (
            "trainyard-scientist",
            {"get", "list", "watch", "create", "update", "patch", "delete", "deletecollection"},
        ),
        ("trainyard-approver", {"get", "list", "watch", "update", "patch", "promote"}),
    ],
)
def test_a_role_gives_these_verbs_on_models(role: str, verbs: set[str]) -> None:
    assert granted(rendered(), role, "models") == verbs


def test_no_role_of_people_writes_status() -> None:
    for role in ("trainyard-viewer", "trainyard-scientist", "trainyard-approver"):
        assert granted(rendered(), role, "models/status") <= {"get"}


def test_roles_join_the_cluster_s_own_by_value() -> None:
    def aggregated(objects: tuple[Object, ...]) -> set[str]:
        return {
            label.rpartition("/")[2]
            for role in of_kind(objects, "ClusterRole")
            for label in role["metadata"]["labels"]
            if label.startswith("rbac.authorization.k8s.io/")
        }

    assert aggregated(rendered()) == {"aggregate-to-view", "aggregate-to-edit"}
    assert aggregated(rendered(None, "roles.aggregate=false")) == set()


def test_the_operator_of_some_namespaces_has_rights_in_these_alone() -> None:
    objects = rendered(Path(__file__).parent / "values" / "namespaces.yaml")

    everywhere = [
        binding["roleRef"]["name"]
        for binding in of_kind(objects, "ClusterRoleBinding")
        if binding["subjects"][0]["name"] == "trainyard-operator"
    ]
    here = [
        binding["metadata"]["namespace"]
        for binding in of_kind(objects, "RoleBinding")
        if binding["roleRef"]["name"] == "trainyard-operator"
    ]
    assert everywhere == ["trainyard-operator-cluster"]
    assert here == ["team-a", "team-b"]


@EACH
def test_every_binding_is_of_a_role_that_is_there_and_a_known_account(values: Path) -> None:
    objects = rendered(values)
    roles = {(r["kind"], r["metadata"]["name"]) for r in of_kind(objects, *ROLES)}
    accounts = {a["metadata"]["name"] for a in of_kind(objects, "ServiceAccount")}

    for binding in of_kind(objects, "RoleBinding", "ClusterRoleBinding"):
        assert (binding["roleRef"]["kind"], binding["roleRef"]["name"]) in roles
        for subject in binding["subjects"]:
            assert subject["kind"] != "ServiceAccount" or subject["name"] in accounts


def mounted_keys(name: str) -> dict[str, set[str]]:
    spec = named(rendered(), "Deployment", name)["spec"]["template"]["spec"]
    secrets = [volume["secret"] for volume in spec["volumes"] if "secret" in volume]
    return {each["secretName"]: {item["key"] for item in each["items"]} for each in secrets}


def test_who_verifies_tokens_cannot_make_them() -> None:
    assert mounted_keys("trainyard-tracking")["trainyard-signing"] == {"tls.crt"}
    assert mounted_keys("trainyard-operator") == {"trainyard-signing": {"signing.key"}}


def test_the_operator_s_token_for_the_tracking_service_is_good_for_nothing_else() -> None:
    spec = named(rendered(), "Deployment", "trainyard-operator")["spec"]["template"]["spec"]
    container = spec["containers"][0]
    settings = {e["name"]: e.get("value") for e in container["env"]}
    mounted = {m["mountPath"]: m["name"] for m in container["volumeMounts"]}
    folder, _, file = settings["TRAINYARD_TOKEN_FILE"].rpartition("/")
    (volume,) = (v for v in spec["volumes"] if v["name"] == mounted[folder])
    (source,) = (s for s in volume["projected"]["sources"] if "serviceAccountToken" in s)

    assert source["serviceAccountToken"]["path"] == file
    assert source["serviceAccountToken"]["audience"] == CLAIM_AUDIENCE


def test_pods_that_call_no_api_have_no_token() -> None:
    for name, pod in pods(rendered()):
        if name in ("trainyard-minio", "trainyard-test"):
            assert pod["spec"]["automountServiceAccountToken"] is False, name


@pytest.mark.parametrize(("retained", "policy"), [("true", "keep"), ("false", None)])
def test_keys_stay_on_uninstall_by_value(retained: str, policy: str | None) -> None:
    secrets = of_kind(rendered(None, f"retain.keys={retained}"), "Secret")

    assert {s["metadata"]["name"] for s in secrets} == {
        "trainyard-signing",
        "trainyard-object-store",
        "trainyard-tracking-tls",
    }
    for secret in secrets:
        assert secret["metadata"].get("annotations", {}).get("helm.sh/resource-policy") == policy
