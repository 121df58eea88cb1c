"""Who reaches whom, as rendered: the local cluster's network enforces no NetworkPolicy."""

from ipaddress import IPv4Network, IPv6Address, IPv6Network
from pathlib import Path
from typing import Any

import pytest
from builders.chart import NAMESPACE, Object, named, of_kind, pods, rendered

NAMESPACES = Path(__file__).parent / "values" / "namespaces.yaml"
METADATA_ADDRESS = "169.254.0.0/16"


def policy(name: str, *, namespace: str = NAMESPACE, values: Path | None = None) -> Object:
    found = [
        item["spec"]
        for item in of_kind(rendered(values), "NetworkPolicy")
        if (item["metadata"]["namespace"], item["metadata"]["name"]) == (namespace, name)
    ]
    assert len(found) == 1
    spec: Object = found[0]
    return spec


def components(peers: list[Object]) -> set[str]:
    """Return the components that pod selectors among the peers name."""
    found: set[str] = set()
    for peer in peers:
        selector = peer.get("podSelector", {})
        label = selector.get("matchLabels", {}).get("app.kubernetes.io/component")
        found |= {label} if label else set()
        for expression in selector.get("matchExpressions", []):
            found |= set(expression["values"])
    return found


def destinations(spec: Object) -> list[Any]:
    return [peer for rule in spec["egress"] for peer in rule.get("to", [])]


def test_every_pod_of_the_release_has_a_policy_for_both_directions() -> None:
    policies = [
        item["spec"]
        for item in of_kind(rendered(), "NetworkPolicy")
        if item["metadata"]["namespace"] == NAMESPACE
    ]
    for name, pod in pods(rendered()):
        if name == "trainyard-test":
            continue
        labels = pod["metadata"]["labels"].items()
        own = [p for p in policies if p["podSelector"]["matchLabels"].items() <= labels]
        assert [p["policyTypes"] for p in own] == [["Ingress", "Egress"]], name


def test_minio_is_reached_by_tracking_and_who_reads_metrics_and_reaches_nobody() -> None:
    minio = policy("trainyard-minio")

    assert components(minio["ingress"][0]["from"]) == {"tracking", "prometheus"}
    assert len(minio["ingress"]) == 1
    assert minio["egress"] == []


def test_whatever_says_that_it_is_scraped_lets_prometheus_in_and_prometheus_goes_there() -> None:
    reached = components(destinations(policy("trainyard-prometheus")))
    scraped = [
        (pod["metadata"]["annotations"]["prometheus.io/port"], pod["metadata"]["labels"])
        for _, pod in pods(rendered())
        if "prometheus.io/scrape" in pod["metadata"].get("annotations", {})
    ]

    assert len(scraped) == 4
    for port, labels in scraped:
        component = labels["app.kubernetes.io/component"]
        letting_in = [
            rule
            for rule in policy(f"trainyard-{component}")["ingress"]
            if "prometheus" in components(rule["from"])
            and {"port": int(port), "protocol": "TCP"} in rule["ports"]
        ]
        assert letting_in, component
        assert component in reached


def test_the_way_to_a_postgresql_is_open_where_there_is_one() -> None:
    given = ("tracking.database.existingSecret=pg", "tracking.database.port=6432")
    egress = [policy_of(rendered(None, *settings))["egress"] for settings in ((), given)]

    opened = [rule for rule in egress[1] if rule not in egress[0]]
    assert opened == [{"ports": [{"port": 6432, "protocol": "TCP"}]}]


def policy_of(objects: tuple[Object, ...]) -> Object:
    spec: Object = named(objects, "NetworkPolicy", "trainyard-tracking")["spec"]
    return spec


def test_the_tracking_service_is_reached_by_what_talks_to_it() -> None:
    sources = policy("trainyard-tracking")["ingress"][0]["from"]

    assert components(sources) == {
        "operator",
        "run",
        "publishing",
        "serving",
        "prometheus",
        "test",
    }
    assert {p["ipBlock"]["cidr"] for p in sources if "ipBlock" in p} == {"0.0.0.0/0", "::/0"}


def test_the_api_server_s_addresses_can_be_named() -> None:
    objects = rendered(None, "networkPolicies.apiServerCidrs={10.0.0.5/32}")
    sources = named(objects, "NetworkPolicy", "trainyard-tracking")["spec"]["ingress"][0]["from"]

    assert [p["ipBlock"]["cidr"] for p in sources if "ipBlock" in p] == ["10.0.0.5/32"]


def test_nobody_calls_a_run() -> None:
    assert policy("trainyard-runs", namespace="default")["ingress"] == []


def test_a_run_reaches_the_internet_but_no_private_network_nor_the_metadata_address() -> None:
    blocks = [
        p["ipBlock"]
        for p in destinations(policy("trainyard-runs", namespace="default"))
        if "ipBlock" in p and "except" in p["ipBlock"]
    ]

    assert [block["cidr"] for block in blocks] == ["0.0.0.0/0", "::/0"]
    assert {"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", METADATA_ADDRESS} <= set(
        blocks[0]["except"]
    )


def test_no_gateway_from_ipv6_leads_a_run_to_a_private_network() -> None:
    of_ipv4, of_ipv6 = (
        p["ipBlock"]["except"]
        for p in destinations(policy("trainyard-runs", namespace="default"))
        if "ipBlock" in p and "except" in p["ipBlock"]
    )
    blocked = list(map(IPv6Network, of_ipv6))
    gateway = int(IPv6Address("64:ff9b::"))

    for each in map(IPv4Network, of_ipv4):
        behind = IPv6Network((gateway + int(each.network_address), 96 + each.prefixlen))
        assert any(behind.subnet_of(block) for block in blocked), each


def test_a_closed_run_reaches_the_tracking_service_dns_and_what_is_allowed() -> None:
    runs = policy("trainyard-runs", namespace="team-a", values=NAMESPACES)

    blocks = {peer["ipBlock"]["cidr"] for peer in destinations(runs) if "ipBlock" in peer}
    assert blocks == {"169.254.20.10/32", "10.20.0.0/16"}
    assert components(destinations(runs)) == {"tracking"}


@pytest.mark.parametrize("name", ["trainyard-publishing", "trainyard-serving"])
def test_what_reads_models_reaches_the_tracking_service_and_dns_alone(name: str) -> None:
    spec = policy(name, namespace="default")

    assert components(destinations(spec)) == {"tracking"}
    blocks = [peer["ipBlock"]["cidr"] for peer in destinations(spec) if "ipBlock" in peer]
    assert blocks == ["169.254.20.10/32"]


def test_every_named_namespace_has_its_policies() -> None:
    found = {
        (item["metadata"]["namespace"], item["metadata"]["name"])
        for item in of_kind(rendered(NAMESPACES), "NetworkPolicy")
        if item["metadata"]["namespace"] != NAMESPACE
    }

    names = ("trainyard-runs", "trainyard-publishing", "trainyard-serving")
    assert found == {(ns, name) for ns in ("team-a", "team-b") for name in names}


@pytest.mark.parametrize(
    ("endpoint", "port"),
    [
        ("https://s3.example.org", 443),
        ("http://s3.example.org", 80),
        ("s3.example.org:9000/", 9000),
    ],
)
def test_the_way_to_an_s3_of_one_s_own_is_open(endpoint: str, port: int) -> None:
    objects = rendered(
        None,
        "minio.enabled=false",
        f"objectStore.endpoint={endpoint}",
        "objectStore.existingSecret=s",
    )
    egress = named(objects, "NetworkPolicy", "trainyard-tracking")["spec"]["egress"]

    assert [{"port": port, "protocol": "TCP"}] in [rule["ports"] for rule in egress]


def test_policies_can_be_left_out() -> None:
    assert not of_kind(rendered(None, "networkPolicies.enabled=false"), "NetworkPolicy")
