"""Every way to install renders, is valid for Kubernetes, and refuses a wrong value by name."""

import warnings
from pathlib import Path

import pytest
import yaml
from builders.chart import CHART, Object, helm_run, named, of_kind, rendered

with warnings.catch_warnings():
    # It looks its own files up by an interface that importlib.resources calls old.
    warnings.simplefilter("ignore")
    import kubernetes_validate

VALUES = sorted((Path(__file__).parent / "values").glob("*.yaml"))
IDS = [path.stem for path in VALUES]
KUBERNETES = "1.37"
NOT_BUILT_IN = ("CustomResourceDefinition", "PodMonitor")
CRDS = CHART.parents[1] / "crds"


@pytest.mark.parametrize("values", VALUES, ids=IDS)
def test_lint_finds_nothing_wrong(values: Path) -> None:
    done = helm_run("lint", "--strict", CHART, "--values", values)

    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("values", VALUES, ids=IDS)
def test_every_object_is_valid_for_kubernetes(values: Path) -> None:
    objects = [item for item in rendered(values) if item["kind"] not in NOT_BUILT_IN]

    for item in objects:
        kubernetes_validate.validate(item, KUBERNETES, strict=True)


@pytest.mark.parametrize("values", VALUES, ids=IDS)
def test_no_object_is_there_twice(values: Path) -> None:
    keys = [
        (item["kind"], item["metadata"].get("namespace"), item["metadata"]["name"])
        for item in rendered(values)
    ]

    assert len(keys) == len(set(keys))


@pytest.mark.parametrize("values", VALUES, ids=IDS)
def test_rendering_twice_differs_in_made_keys_alone(values: Path) -> None:
    def stable(objects: tuple[Object, ...]) -> list[Object]:
        return [item for item in objects if item["kind"] not in ("Secret", "Deployment")]

    again = rendered(values, "global.again=yes")

    assert stable(again) == stable(rendered(values))


@pytest.mark.parametrize(
    ("setting", "told"),
    [
        ("operater.replicas=2", "operater"),
        ("operator.replica=2", "replica"),
        ("operator.replicas=many", "/operator/replicas"),
        ("tracking.persistence.sise=1Gi", "sise"),
        ("networkPolicies.runs.egress=open", "/networkPolicies/runs/egress"),
        ("image.pullPolicy=Sometimes", "/image/pullPolicy"),
        ("operator.image.digest=abc", "/operator/image/digest"),
        ("runtimes.sklearn.servingimage=x", "servingimage"),
        ("runs.runAsUser=0", "/runs/runAsUser"),
        ("objectStore.endpoint=s3.example.org", "minio.enabled=false"),
        ("minio.enabled=false", "objectStore.endpoint"),
        ("objectStore.workloadIdentity=true", "minio.enabled=false"),
        ("objectStore.addressing=host", "/objectStore/addressing"),
        ("tracking.largestFile=10GB", "/tracking/largestFile"),
        ("tracking.querySeconds=0", "/tracking/querySeconds"),
        ("tracking.ingress.enabled=true", "tracking.ingress.host"),
    ],
)
def test_a_wrong_value_is_refused_by_its_name(setting: str, told: str) -> None:
    done = helm_run("template", "trainyard", CHART, "--set", setting)

    assert done.returncode != 0
    assert told in done.stderr


def test_an_s3_without_a_secret_is_refused() -> None:
    done = helm_run(
        "template", "t", CHART, "--set", "minio.enabled=false,objectStore.endpoint=s3.example.org"
    )

    assert done.returncode != 0
    assert "objectStore.existingSecret" in done.stderr


@pytest.mark.parametrize("path", sorted(CRDS.glob("*.yaml")), ids=lambda path: path.stem)
def test_a_crd_is_the_generated_one_and_stays_on_uninstall(path: Path) -> None:
    generated = yaml.safe_load(path.read_text("utf-8"))

    installed = named(rendered(), "CustomResourceDefinition", generated["metadata"]["name"])

    assert installed["metadata"]["annotations"] == {"helm.sh/resource-policy": "keep"}
    assert installed["spec"] == generated["spec"]


def test_the_chart_has_no_other_crd() -> None:
    installed = of_kind(rendered(), "CustomResourceDefinition")

    assert len(installed) == len(list(CRDS.glob("*.yaml")))


def test_crds_can_be_left_out() -> None:
    assert not of_kind(rendered(None, "crds.install=false"), "CustomResourceDefinition")
