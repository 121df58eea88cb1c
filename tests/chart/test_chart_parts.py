"""The parts fit each other: selectors, images, settings, runtimes, stores, scraping."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from builders.chart import NAMESPACE, Object, containers, named, of_kind, pods, rendered
from trainyard_operator.settings import from_environment, parse_runtimes
from trainyard_tracking.settings import read_settings

VALUES_FOLDER = Path(__file__).parent / "values"
VALUES = sorted(VALUES_FOLDER.glob("*.yaml"))
EACH = pytest.mark.parametrize("values", VALUES, ids=[path.stem for path in VALUES])
MIRRORED = VALUES_FOLDER / "mirrored.yaml"


def images(objects: tuple[Object, ...]) -> dict[str, str]:
    return {name.partition("/")[0]: c["image"] for name, c in containers(objects)}


def environment(objects: tuple[Object, ...], component: str) -> dict[str, str]:
    """Return the plain variables of a component; of references, something."""
    spec = named(objects, "Deployment", f"trainyard-{component}")["spec"]["template"]["spec"]
    return {e["name"]: e.get("value", "from-elsewhere") for e in spec["containers"][0]["env"]}


def selects(selector: dict[str, str], labels: dict[str, str]) -> bool:
    return selector.items() <= labels.items()


@EACH
def test_every_selector_finds_pods(values: Path) -> None:
    objects = rendered(values)
    labels = {name: pod["metadata"]["labels"] for name, pod in pods(objects)}

    for item in of_kind(objects, "Deployment", "PodDisruptionBudget"):
        name = item["metadata"]["name"]
        found = [
            p for p, own in labels.items() if selects(item["spec"]["selector"]["matchLabels"], own)
        ]
        assert found == [name]
    for item in of_kind(objects, "Service"):
        found = [p for p, own in labels.items() if selects(item["spec"]["selector"], own)]
        assert found == [item["metadata"]["name"]]


@EACH
def test_every_port_of_a_service_is_one_of_its_pods(values: Path) -> None:
    objects = rendered(values)
    for service in of_kind(objects, "Service"):
        spec = named(objects, "Deployment", service["metadata"]["name"])["spec"]["template"]["spec"]
        ports = {port["name"] for port in spec["containers"][0]["ports"]}

        assert {port["targetPort"] for port in service["spec"]["ports"]} <= ports


@EACH
def test_every_volume_s_source_is_there(values: Path) -> None:
    objects = rendered(values)
    made = {(o["kind"], o["metadata"]["name"]) for o in objects}
    given = {"trainyard-keys", "minio-credentials", "mlflow", "mlflow-own-tls"}

    for name, pod in pods(objects):
        for volume in pod["spec"].get("volumes", []):
            config, secret = volume.get("configMap", {}), volume.get("secret", {})
            claim = volume.get("persistentVolumeClaim", {}).get("claimName")
            given_config = config.get("name") == "private-ca"
            assert not config or given_config or ("ConfigMap", config["name"]) in made, name
            secret_name = secret.get("secretName")
            assert not secret or secret_name in given or ("Secret", secret_name) in made, name
            assert not claim or claim in given or ("PersistentVolumeClaim", claim) in made, name


def test_images_are_of_one_registry_and_the_chart_s_version() -> None:
    version = yaml.safe_load((VALUES_FOLDER.parents[2] / "charts/trainyard/Chart.yaml").read_text())

    expected = f"docker.io/trainyard/operator:{version['appVersion']}"
    assert images(rendered())["trainyard-operator"] == expected


def test_the_chart_has_the_project_s_version() -> None:
    root = VALUES_FOLDER.parents[2]
    chart = yaml.safe_load((root / "charts/trainyard/Chart.yaml").read_text("utf-8"))

    assert f'\nversion = "{chart["version"]}"\n' in (root / "pyproject.toml").read_text("utf-8")
    assert chart["appVersion"] == chart["version"]


def test_a_digest_overrides_the_tag_and_a_mirror_the_registry() -> None:
    found = images(rendered(MIRRORED))

    assert found["trainyard-operator"] == (
        "registry.example.org/mirror/trainyard/operator@sha256:" + "1" * 64
    )
    assert found["trainyard-tracking"] == "registry.example.org/mirror/trainyard/tracking:9.9.9"


def test_what_the_operator_starts_comes_from_the_mirror_too() -> None:
    env = environment(rendered(MIRRORED), "operator")

    assert env["TRAINYARD_AGENT_IMAGE"] == "registry.example.org/other/agent:8"
    assert env["TRAINYARD_IMAGE_PULL_POLICY"] == "Always"


def runtimes(values: Path | None = None) -> dict[str, Any]:
    text = named(rendered(values), "ConfigMap", "trainyard-runtimes")["data"]["runtimes.yaml"]
    return parse_runtimes(text)


def test_the_operator_reads_the_presets() -> None:
    sklearn = runtimes()["sklearn"]

    assert sklearn.image == "docker.io/trainyard/runtime-sklearn:0.1.0"
    assert sklearn.serving_image == "docker.io/trainyard/serving-sklearn:0.1.0"
    assert "scikit-learn" in sklearn.packages
    assert sklearn.resources["requests"]


def test_a_preset_of_one_s_own_stands_beside_ours() -> None:
    found = runtimes(MIRRORED)

    assert found["gpu"].image == "registry.example.org/ml/torch:2"
    assert found["gpu"].serving_image == ""
    assert found["gpu"].tolerations[0]["key"] == "nvidia.com/gpu"
    assert found["sklearn"].image == "registry.example.org/mirror/trainyard/runtime-sklearn:9.9.9"


FILES = [f"TRAINYARD_{name}_FILE" for name in ("SIGNING_KEY", "RUNTIMES", "CA")]
"""Of the operator's own pod."""


@EACH
def test_the_operator_reads_its_settings(values: Path) -> None:
    env = environment(rendered(values), "operator")

    settings = from_environment({**env, **dict.fromkeys(FILES, "")})

    assert settings.tracking_url == f"https://trainyard-tracking.{NAMESPACE}.svc:5000"
    assert settings.http_port == 8081
    assert settings.lease_name == "trainyard-operator"


class Asked(dict[str, str]):
    """An environment that remembers what it was asked for."""

    def __init__(self, env: dict[str, str]) -> None:
        super().__init__(env)
        self.names: set[str] = set()

    def get(self, name: str, default: Any = None) -> Any:
        self.names.add(name)
        return super().get(name, default)


@EACH
@pytest.mark.parametrize(
    ("component", "read"), [("operator", from_environment), ("tracking", read_settings)]
)
def test_a_part_reads_all_that_it_is_told(
    values: Path, component: str, read: Callable[[dict[str, str]], object]
) -> None:
    files = dict.fromkeys(FILES, "")
    told = environment(rendered(values), component)
    env = Asked({name: files.get(name, value) for name, value in told.items()})

    read(env)

    assert {name for name in told if name.startswith("TRAINYARD_")} - env.names == set()


def test_runs_may_have_their_image_s_own_user() -> None:
    env = environment(rendered(VALUES_FOLDER / "gitops.yaml"), "operator")

    assert env["TRAINYARD_RUN_AS_USER"] == ""


@EACH
def test_the_tracking_service_reads_its_settings(values: Path) -> None:
    settings = read_settings(environment(rendered(values), "tracking"))

    assert settings.port == 5000
    assert settings.database_url == "sqlite:////data/mlflow.db"


def test_a_postgresql_of_one_s_own_is_reached_by_the_url_of_a_secret() -> None:
    given = ("tracking.database.existingSecret=pg", "tracking.database.key=uri")
    tracking = named(rendered(None, *given), "Deployment", "trainyard-tracking")
    env = {e["name"]: e for e in tracking["spec"]["template"]["spec"]["containers"][0]["env"]}

    assert env["TRAINYARD_DATABASE_URL"]["valueFrom"]["secretKeyRef"] == {
        "name": "pg",
        "key": "uri",
    }


@pytest.mark.parametrize(
    ("tls", "origins"),
    [
        ("certificate", "https://mlflow.example.org"),
        ("", "https://mlflow.example.org,http://mlflow.example.org"),
    ],
)
def test_the_ui_may_be_used_through_the_ingress(tls: str, origins: str) -> None:
    ingress = {"enabled": "true", "host": "mlflow.example.org", "tlsSecret": tls}
    given = [f"tracking.ingress.{name}={value}" for name, value in ingress.items()]
    told = environment(rendered(None, *given), "tracking")

    assert told["TRAINYARD_UI_ORIGINS"] == origins


def test_a_change_of_presets_restarts_the_operator() -> None:
    def checksum(*settings: str) -> str:
        pod = named(rendered(None, *settings), "Deployment", "trainyard-operator")["spec"][
            "template"
        ]
        return str(pod["metadata"]["annotations"]["checksum/runtimes"])

    assert checksum() != checksum("runtimes.sklearn.image=other")


def test_minio_is_where_files_go_by_default() -> None:
    env = environment(rendered(), "tracking")

    assert env["TRAINYARD_OBJECT_STORE_ENDPOINT"] == f"http://trainyard-minio.{NAMESPACE}.svc:9000"


def test_an_s3_of_one_s_own_leaves_nothing_of_minio() -> None:
    objects = rendered(VALUES_FOLDER / "external-s3.yaml")

    assert not [o for o in objects if "minio" in str(o["metadata"])]
    assert "trainyard-object-store" not in {o["metadata"]["name"] for o in objects}
    env = environment(objects, "tracking")
    assert env["TRAINYARD_OBJECT_STORE_ENDPOINT"] == "https://s3.example.org"


def test_a_role_of_the_service_account_needs_no_keys() -> None:
    objects = rendered(VALUES_FOLDER / "workload-identity.yaml")

    assert not {"ACCESS_KEY", "SECRET_KEY"} & {
        name.removeprefix("TRAINYARD_OBJECT_STORE_") for name in environment(objects, "tracking")
    }
    assert "trainyard-object-store" not in {o["metadata"]["name"] for o in objects}
    account = named(objects, "ServiceAccount", "trainyard-tracking")
    assert "eks.amazonaws.com/role-arn" in account["metadata"]["annotations"]
    egress = named(objects, "NetworkPolicy", "trainyard-tracking")["spec"]["egress"]
    reached = [to for rule in egress for to in rule.get("to", [])]
    for agent in ("169.254.0.0/16", "fd00:ec2::/32"):  # of the node, for pods of either family
        assert {"ipBlock": {"cidr": agent}} in reached


def test_a_private_authority_of_the_store_is_mounted_where_the_service_reads_it() -> None:
    objects = rendered(VALUES_FOLDER / "workload-identity.yaml")
    pod = named(objects, "Deployment", "trainyard-tracking")["spec"]["template"]["spec"]

    path = environment(objects, "tracking")["TRAINYARD_OBJECT_STORE_CA_FILE"]
    (mount,) = [m for m in pod["containers"][0]["volumeMounts"] if path.startswith(m["mountPath"])]
    (volume,) = [v for v in pod["volumes"] if v["name"] == mount["name"]]
    assert path == f"{mount['mountPath']}/ca.crt"
    assert volume["configMap"] == {
        "name": "private-ca",
        "items": [{"key": "bundle.pem", "path": "ca.crt"}],
    }


def test_a_session_token_comes_from_the_secret_of_the_keys() -> None:
    objects = rendered(
        VALUES_FOLDER / "external-s3.yaml", "objectStore.sessionTokenKey=AWS_SESSION_TOKEN"
    )
    pod = named(objects, "Deployment", "trainyard-tracking")["spec"]["template"]["spec"]

    refs = {e["name"]: e["valueFrom"] for e in pod["containers"][0]["env"] if "valueFrom" in e}
    assert refs["TRAINYARD_OBJECT_STORE_SESSION_TOKEN"]["secretKeyRef"] == {
        "name": "s3-credentials",
        "key": "AWS_SESSION_TOKEN",
    }


@pytest.mark.parametrize(("replicas", "budgets"), [(1, 0), (2, 1)])
def test_a_disruption_budget_needs_two_replicas(replicas: int, budgets: int) -> None:
    objects = rendered(None, f"operator.replicas={replicas}")

    assert len(of_kind(objects, "PodDisruptionBudget")) == budgets


@pytest.mark.parametrize("is_wanted", [True, False])
def test_the_lease_does_not_wait_behind_what_others_ask(is_wanted: bool) -> None:
    objects = rendered(None, f"operator.flowSchema={str(is_wanted).lower()}")
    told = [each["spec"] for each in of_kind(objects, "FlowSchema")]

    assert [each["priorityLevelConfiguration"]["name"] for each in told] == [
        "leader-election" for _ in range(is_wanted)
    ]
    for each in told:
        (rule,) = each["rules"]
        meta = named(objects, "ServiceAccount", "trainyard-operator")["metadata"]
        subject = {"name": meta["name"], "namespace": meta["namespace"]}
        assert rule["subjects"] == [{"kind": "ServiceAccount", "serviceAccount": subject}]


def test_annotations_of_all_pods_restart_all_pods() -> None:
    for name, pod in pods(rendered(VALUES_FOLDER / "two-replicas.yaml")):
        if name != "trainyard-test":
            assert pod["metadata"]["annotations"]["example.org/build"] == "7", name


@pytest.mark.parametrize("values", ["default", "monitored"])
def test_every_server_says_where_its_metrics_are(values: str) -> None:
    for item in of_kind(rendered(VALUES_FOLDER / f"{values}.yaml"), "Deployment"):
        pod = item["spec"]["template"]
        port = int(pod["metadata"]["annotations"]["prometheus.io/port"])
        assert port in {p["containerPort"] for p in pod["spec"]["containers"][0]["ports"]}


def scrape_jobs() -> dict[str, Object]:
    text = named(rendered(), "ConfigMap", "trainyard-prometheus")["data"]["prometheus.yml"]
    return {job["job_name"]: job for job in yaml.safe_load(text)["scrape_configs"]}


def test_prometheus_and_pod_monitors_give_model_servers_the_same_labels() -> None:
    def targets(relabelings: list[Object], key: str) -> set[str]:
        ours = {"deployment", "model", "version"}
        return {rule.get(key, "") for rule in relabelings} & ours

    monitor = named(rendered(VALUES_FOLDER / "monitored.yaml"), "PodMonitor", "trainyard-serving")
    endpoint = monitor["spec"]["podMetricsEndpoints"][0]

    assert targets(endpoint["relabelings"], "targetLabel") == {"deployment", "model", "version"}
    job = scrape_jobs()["trainyard-serving"]
    assert targets(job["relabel_configs"], "target_label") == {"deployment", "model", "version"}


def test_the_monitored_installation_has_no_prometheus_of_ours() -> None:
    objects = rendered(VALUES_FOLDER / "monitored.yaml")

    assert "trainyard-prometheus" not in {o["metadata"]["name"] for o in objects}
    assert len(of_kind(objects, "PodMonitor")) == 3


def test_a_value_of_the_last_release_that_does_nothing_any_more_is_no_error() -> None:
    assert rendered(None, "tracking.uploadSpace=10Gi")
