"""What the doctor finds of the operator and of its way to the tracking service."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from builders.sdk import FakeCluster, condition, run_object
from trainyard.cli import app
from trainyard.client import Client
from trainyard.diagnosis import Finding, diagnose
from trainyard_api.contract import TRACKING_ANNOTATION, TRACKING_ANSWERS
from typer.testing import CliRunner

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
LEASE = "/apis/coordination.k8s.io/v1/namespaces/trainyard-system/leases/"
DISTRUST = "does not answer at https://trainyard-tracking:5000 (self-signed certificate)"
WAITS = condition("Recorded", "False", "TrackingUnavailable", "The tracking service is away")


def lease(cluster: FakeCluster, note: str, *, renewed: str = "2026-01-02T03:04:04Z") -> None:
    spec = {"holderIdentity": "one", "renewTime": renewed, "leaseDurationSeconds": 15}
    annotations = {TRACKING_ANNOTATION: note} if note else {}
    cluster.leases["trainyard-operator"] = {"metadata": {"annotations": annotations}, "spec": spec}


def found(client: Client) -> dict[str, Finding]:
    return {finding.name: finding for finding in diagnose(client, now=lambda: NOW)}


def way(client: Client) -> Finding:
    return found(client)["tracking, for the operator"]


def test_an_operator_that_reaches_the_tracking_service_is_well(
    cluster: FakeCluster, client: Client
) -> None:
    lease(cluster, TRACKING_ANSWERS)

    assert way(client).ok is True


def test_an_operator_that_does_not_reach_what_people_do_is_told_with_its_reason(
    cluster: FakeCluster, client: Client
) -> None:
    lease(cluster, DISTRUST)
    findings = found(client)

    assert findings["tracking"].ok is True
    assert findings["tracking, for the operator"].ok is False
    assert findings["tracking, for the operator"].detail == DISTRUST
    assert "logs deployment/trainyard-operator" in findings["tracking, for the operator"].fix


@pytest.mark.parametrize("hidden", [True, False], ids=["who may not see it", "one of before"])
def test_where_the_operator_tells_nothing_what_waits_for_the_service_does(
    cluster: FakeCluster, client: Client, *, hidden: bool
) -> None:
    lease(cluster, "")
    cluster.forbidden = {LEASE} if hidden else set()
    cluster.put("runs", run_object("one", conditions=[WAITS]))
    cluster.put("runs", run_object("two", conditions=[WAITS]))

    assert way(client).ok is False
    assert way(client).detail == "Run one waits: The tracking service is away (and 1 more)"


def test_where_nothing_tells_and_nothing_waits_there_is_no_telling(
    cluster: FakeCluster, client: Client
) -> None:
    cluster.forbidden = {LEASE}

    assert way(client).ok is None
    assert "nothing in namespace dev waits for it" in way(client).detail


def test_who_may_look_at_neither_is_told_so_and_nothing_fails(
    cluster: FakeCluster, client: Client
) -> None:
    cluster.forbidden = {LEASE, "/apis/trainyard.dev/v1alpha1/namespaces/dev/runs"}

    assert way(client).ok is None
    assert way(client).detail.startswith("there is no telling: Cannot list runs in dev")


def test_what_an_operator_said_that_is_gone_is_not_believed(
    cluster: FakeCluster, client: Client
) -> None:
    lease(cluster, TRACKING_ANSWERS, renewed="2026-01-02T03:00:00Z")
    findings = found(client)

    assert findings["operator"].ok is False
    assert findings["tracking, for the operator"].ok is None


def test_the_command_is_1_and_its_advice_leads_to_the_same_cluster(
    kubeconfig: Path, cluster: FakeCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = datetime.now(UTC).isoformat()
    lease(cluster, DISTRUST, renewed=now)
    done = CliRunner().invoke(app, ["doctor", "--context", "test"])

    assert done.exit_code == 1
    assert "kubectl --context test -n trainyard-system logs" in done.stdout


def test_a_service_that_hangs_is_given_up_in_seconds(client: Client) -> None:
    found(client)
    timeout: Any = client.tracking.timeout

    assert timeout.read <= 15
