"""Serving: a rolling update under constant load fails no request."""

import json
import time
from pathlib import Path

import pytest
from on_cluster.models import deployment, model, stage, train
from on_cluster.runs import Kubectl, Object, command, status_of
from trainyard_cluster.tools import helm

REQUESTS = 10_000
CHART = Path(__file__).parents[2] / "charts" / "trainyard"
# One client per connection, each on its own beat; a connection that the server closes is reopened.
LOAD = """
import asyncio, json, sys, time
REQUESTS, CONNECTIONS, PER_SECOND = int(sys.argv[1]), 8, 250
body = json.dumps({"inputs": [[0.5]]}).encode()
request = b"\\r\\n".join((
    b"POST /invocations HTTP/1.1", b"Host: rolling", b"Content-Type: application/json",
    b"Content-Length: %d" % len(body), b"", body))
failed = []

def length(head):
    return next(int(line[15:]) for line in head.splitlines() if line.startswith(b"content-length:"))

async def one(connection):
    reader, writer = connection or await asyncio.open_connection("rolling", 80)
    writer.write(request)
    head = (await reader.readuntil(b"\\r\\n\\r\\n")).lower()
    await reader.readexactly(length(head))
    if not head.startswith(b"http/1.1 200"):
        failed.append(head.splitlines()[0].decode())
    if b"connection: close" not in head:
        return reader, writer
    writer.close()

async def client(share, start):
    connection = None
    for number in range(share, REQUESTS, CONNECTIONS):
        await asyncio.sleep(max(0, start + number / PER_SECOND - time.monotonic()))
        try:
            connection = await asyncio.wait_for(one(connection), 10)
        except Exception as error:
            failed.append(repr(error))
            connection = None

async def main():
    start = time.monotonic()
    await asyncio.gather(*(client(share, start) for share in range(CONNECTIONS)))
    print(json.dumps({"sent": REQUESTS, "failed": failed[:20], "failures": len(failed)}))

asyncio.run(main())
"""


@pytest.fixture(scope="module")
def served(kube: Kubectl) -> Kubectl:
    kube.apply(model("m", stage("live", "automatic", threshold=0.1)))
    train(kube, "m", [0.5])
    kube.apply(deployment("rolling", model={"name": "m", "alias": "live"}, replicas=2))
    kube.wait("mdep", "rolling", lambda seen: status_of(seen, "Available") == "True")
    return kube


def stable(seen: Object) -> int | None:
    version: int | None = seen["status"].get("stable", {}).get("version")
    return version


def test_ten_thousand_requests_through_a_rolling_update_all_succeed(served: Kubectl) -> None:
    load = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": "load"},
        "spec": {
            "backoffLimit": 0,
            "template": {
                "spec": {
                    "restartPolicy": "Never",
                    "securityContext": {
                        "runAsNonRoot": True,
                        "seccompProfile": {"type": "RuntimeDefault"},
                    },
                    "containers": [
                        {
                            "name": "load",
                            "image": "docker.io/trainyard/agent:0.1.0",
                            "command": ["python", "-c", LOAD, str(REQUESTS)],
                            "securityContext": {
                                "allowPrivilegeEscalation": False,
                                "capabilities": {"drop": ["ALL"]},
                            },
                        }
                    ],
                }
            },
        },
    }
    served.apply(load)
    train(served, "m", [0.6], first=2)
    served.wait("mdep", "rolling", lambda seen: stable(seen) == 2)
    served("wait", "--for=condition=Complete", "job/load", "--timeout=180s")

    result = json.loads(served("logs", "job/load").strip().splitlines()[-1])

    assert result == {"sent": REQUESTS, "failed": [], "failures": 0}


def test_serve_points_a_deployment_to_what_it_is_told(served: Kubectl) -> None:
    said = served.trainyard("serve", "m/1", "--name", "rolling")

    assert "rolling serves version 1 of m" in said
    assert "serves version 2" in served.trainyard("serve", "m@live", "--name", "rolling")


def test_a_deleted_child_comes_back(served: Kubectl) -> None:
    child = served.list("deployments.apps", "trainyard.dev/deployment=rolling")[0]
    served("delete", "deployment.apps", child["metadata"]["name"], "--wait")

    served.wait(
        "mdep", "rolling", lambda seen: seen["status"].get("readyReplicas") == 2, seconds=60
    )
    served.get("deployment.apps", child["metadata"]["name"])


def test_replicas_follow_the_scale_subresource(served: Kubectl) -> None:
    served("scale", "mdep/rolling", "--replicas=1")

    served.wait("mdep", "rolling", lambda seen: seen["status"].get("replicas") == 1)


def set_group(kube: Kubectl, group: int) -> None:
    """Upgrade the operator to a setting that shapes the pods of model servers."""
    upgrade = ("upgrade", "trainyard", str(CHART), "-n", "trainyard-system")
    settings = ("--reset-then-reuse-values", "--set", f"runs.fsGroup={group}")
    command(kube.environment, str(helm()), *upgrade, *settings)


def group_of(child: Object) -> int | None:
    group: int | None = child["spec"]["template"]["spec"]["securityContext"].get("fsGroup")
    return group


def is_restarting(child: Object) -> bool:
    """Tell whether a child has pods of an old template, or will have."""
    status = child.get("status", {})
    seen = status.get("observedGeneration", 0) >= child["metadata"]["generation"]
    return not seen or status.get("replicas") != status.get("updatedReplicas")


def watch_restarts(kube: Kubectl, group: int, *, seconds: float = 150) -> list[list[str]]:
    """Return who was restarting together, each time that it changed, until all have a group."""
    together: list[list[str]] = [[]]
    deadline = time.monotonic() + seconds
    while True:
        children = kube.list("deployments.apps", "trainyard.dev/deployment")
        now = [child["metadata"]["name"] for child in children if is_restarting(child)]
        if now != together[-1]:
            together.append(now)
        if not now and {group_of(child) for child in children} == {group}:
            return together
        assert time.monotonic() < deadline, f"restarted so far: {together}"
        time.sleep(0.1)


def test_an_upgrade_restarts_one_model_server_after_the_other(served: Kubectl) -> None:
    served.apply(deployment("beside", model={"name": "m", "version": 1}))
    served.wait("mdep", "beside", lambda seen: status_of(seen, "Available") == "True")
    children = served.list("deployments.apps", "trainyard.dev/deployment")
    assert len(children) == 2
    try:
        set_group(served, 10002)
        together = watch_restarts(served, 10002)
    finally:
        set_group(served, group_of(children[0]) or 10001)

    assert sorted(each for now in together for each in now) == sorted(
        child["metadata"]["name"] for child in children
    )
    assert max(map(len, together)) == 1
