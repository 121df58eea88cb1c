"""A cluster that injects a sidecar which never exits, for the cluster tests."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager

from on_cluster.runs import SHELL_IMAGE, Kubectl, Object

SIDECAR = "sidecar"
_API = "admissionregistration.k8s.io/v1"
_INJECT = """
[JSONPatch{op: "add", path: "/spec/containers/-", value: Object.spec.containers{
  name: "sidecar",
  image: "%s",
  command: ["sh", "-c", "trap 'exit 0' TERM; while :; do sleep 1; done"],
  securityContext: Object.spec.containers.securityContext{
    allowPrivilegeEscalation: false,
    capabilities: Object.spec.containers.securityContext.capabilities{drop: ["ALL"]}
  }
}}]
"""


@contextmanager
def injection(kube: Kubectl) -> Iterator[None]:
    """Have a sidecar put into the pods of the namespace with the label `inject: sidecar`."""
    name = f"{kube.namespace}-{SIDECAR}"
    kube.apply(_policy(name), _binding(name, kube.namespace))
    try:
        _await_effect(kube)
        yield
    finally:
        kinds = "mutatingadmissionpolicy,mutatingadmissionpolicybinding"
        kube("delete", kinds, name, "--ignore-not-found")


def _policy(name: str) -> Object:
    pods = {"apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"]}
    return {
        "apiVersion": _API,
        "kind": "MutatingAdmissionPolicy",
        "metadata": {"name": name},
        "spec": {
            "reinvocationPolicy": "Never",
            "failurePolicy": "Fail",
            "matchConstraints": {"resourceRules": [{**pods, "operations": ["CREATE"]}]},
            "mutations": [
                {"patchType": "JSONPatch", "jsonPatch": {"expression": _INJECT % SHELL_IMAGE}}
            ],
        },
    }


def _binding(name: str, namespace: str) -> Object:
    return {
        "apiVersion": _API,
        "kind": "MutatingAdmissionPolicyBinding",
        "metadata": {"name": name},
        "spec": {
            "policyName": name,
            "matchResources": {
                "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
                "objectSelector": {"matchLabels": {"inject": SIDECAR}},
            },
        },
    }


def _await_effect(kube: Kubectl) -> None:
    """Wait until the API server has read the policy: it says nothing when it has."""
    deadline = time.monotonic() + 60
    while len(_would_be_made(kube)["spec"]["containers"]) == 1:
        assert time.monotonic() < deadline, "no sidecar after 60 s"
        time.sleep(0.25)


def _would_be_made(kube: Kubectl) -> Object:
    restricted = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    main = {"name": "main", "image": SHELL_IMAGE, "securityContext": restricted}
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "probe", "labels": {"inject": SIDECAR}},
        "spec": {
            "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
            "containers": [main],
        },
    }
    words = ("create", "-f", "-", "--dry-run=server", "-o", "json")
    made: Object = json.loads(kube(*words, stdin=json.dumps(pod)))
    return made
