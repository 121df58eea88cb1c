"""The apps/v1 Deployment that serves one version."""

from typing import Any

from builders import given
from builders.deployments import RUNTIME, SETTINGS, digest
from trainyard_api import serving as contract
from trainyard_operator import names
from trainyard_operator.deployments import children
from trainyard_operator.deployments.rollout import Target
from trainyard_operator.engine.plan import Object


def made(**spec: Any) -> Object:
    return children.serving_deployment(
        given.model_deployment(**spec), Target(2, digest(2)), runtime=RUNTIME, settings=SETTINGS
    )


def test_it_says_what_it_serves() -> None:
    assert children.served(made()) == Target(2, digest(2))


def test_what_is_no_child_of_ours_serves_nothing_known() -> None:
    other = made()
    other["spec"]["template"]["spec"]["containers"][0]["env"] = []

    assert children.served(other) is None


def test_a_container_that_a_webhook_added_hides_nothing() -> None:
    injected = made()
    containers = injected["spec"]["template"]["spec"]["containers"]
    containers.insert(0, {"name": "istio-proxy", "image": "proxy:1"})

    assert children.served(injected) == Target(2, digest(2))


def test_no_ready_pod_goes_before_another_is_ready() -> None:
    strategy = made()["spec"]["strategy"]["rollingUpdate"]

    assert strategy == {"maxUnavailable": 0, "maxSurge": 1}


def test_its_pods_are_restricted_and_hold_no_account_token() -> None:
    pod = made()["spec"]["template"]["spec"]
    container = pod["containers"][0]

    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"]
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}


def test_a_pod_leaves_the_endpoints_before_it_stops() -> None:
    pod = made()["spec"]["template"]["spec"]
    sleep = pod["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"]

    env = {e["name"]: e["value"] for e in pod["containers"][0]["env"]}
    drain = int(env[contract.DRAIN_SECONDS_ENV])

    assert pod["terminationGracePeriodSeconds"] > sleep + drain + contract.FINISH_SECONDS


def test_the_longest_body_is_the_one_asked_for() -> None:
    def longest(child: dict[str, Any]) -> str | None:
        env = child["spec"]["template"]["spec"]["containers"][0]["env"]
        return {e["name"]: e["value"] for e in env}.get(contract.MAX_BODY_BYTES_ENV)

    assert longest(made(maxBodyBytes=100_000_000)) == "100000000"
    assert longest(made()) is None


def test_resources_and_tolerations_are_those_asked_for() -> None:
    resources = {"limits": {"memory": "1Gi"}}
    pod = made(resources=resources)["spec"]["template"]["spec"]

    assert pod["containers"][0]["resources"] == resources
    assert pod["tolerations"] == [{"key": "gpu", "operator": "Exists"}]


def test_the_server_knows_its_digest_and_where_to_fetch_it() -> None:
    container = made()["spec"]["template"]["spec"]["containers"][0]
    env = {e["name"]: e["value"] for e in container["env"]}

    assert env[contract.MODEL_DIGEST_ENV] == digest(2)
    assert env[contract.MODEL_URL_ENV].endswith(f"/namespaces/team/models/{digest(2)}")


def test_prometheus_finds_it_and_its_version() -> None:
    meta = made()["spec"]["template"]["metadata"]

    assert meta["annotations"]["prometheus.io/port"] == "8080"
    assert meta["labels"][names.MODEL_VERSION] == "digits-2"


def test_a_server_is_told_not_to_join_requests_and_nothing_else() -> None:
    def env(**spec: Any) -> dict[str, str]:
        container = made(**spec)["spec"]["template"]["spec"]["containers"][0]
        return {each["name"]: each["value"] for each in container["env"]}

    assert env(batching=False) == {**env(), contract.BATCHING_ENV: "false"}
    assert env(batching=True) == env()
