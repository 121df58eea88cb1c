"""What moves in FakeKube by itself: Jobs, pods and Deployments, one state further each step."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from builders import given
from fakes import FakeKube
from trainyard_api.moment import rfc3339
from trainyard_operator import names
from trainyard_operator.engine import objects
from trainyard_operator.engine.plan import Object

JOB_NAME = "batch.kubernetes.io/job-name"
PUBLISHED: Object = {
    "digest": given.DIGEST,
    "size": 1200,
    "flavors": {"sklearn": "1.7.2", "python_function": "3.13.5"},
    "requirements": ["scikit-learn==1.7.2"],
}


@dataclass
class FakeCluster:
    """The Job and Deployment controllers, and one kubelet.

    Attributes:
        exits: What `main` of attempt n exits with; 0 if not said.
        holds: Programs go on running.
        lacks: A Secret that every pod names is not there.
        refuses: The converter finds a format that is not allowed.
        breaks: Model servers crash.
    """

    kube: FakeKube
    exits: Mapping[int, int] = field(default_factory=dict)
    holds: bool = False
    lacks: bool = False
    refuses: bool = False
    breaks: bool = False

    def step(self) -> None:
        for job in self.kube.find("Job"):
            pods = [p for p in self.kube.find("Pod") if objects.is_ours(p, job)]
            if not pods and not job["spec"].get("suspend"):
                self.kube.put(_pod(job))
            for pod in pods:
                self._move(job, pod)
        for each in self.kube.find("Deployment"):
            if each["apiVersion"] == "apps/v1":
                self._serve(each)

    def _move(self, job: Object, pod: Object) -> None:
        publishes = pod["metadata"]["labels"].get(names.COMPONENT) == "publishing"
        now = rfc3339(self.kube.clock())
        if self.lacks:
            missing = {"reason": "CreateContainerConfigError", "message": 'secret "s" not found'}
            self._set(pod, "Pending", "main", {"waiting": missing})
        elif pod["status"]["phase"] == "Pending":
            container = "publish" if publishes else "main"
            self._set(pod, "Running", container, {"running": {"startedAt": now}})
        elif pod["status"]["phase"] == "Running" and not self.holds:
            code = self.exits.get(int(pod["metadata"]["labels"][names.ATTEMPT]), 0)
            code, message = self._published() if publishes else (code, "")
            ended = {"exitCode": code, "startedAt": now, "finishedAt": now, "message": message}
            container = "publish" if publishes else "main"
            self._set(pod, "Failed" if code else "Succeeded", container, {"terminated": ended})
            done = {"type": "Failed" if code else "Complete", "status": "True"}
            self.kube.put({**job, "status": {"conditions": [{**done, "lastTransitionTime": now}]}})

    def _published(self) -> tuple[int, str]:
        if self.refuses:
            told = {"reason": "FormatNotAllowed", "message": "it is a pickle"}
            return 1, json.dumps(told)
        return 0, json.dumps(PUBLISHED)

    def _set(self, pod: Object, phase: str, container: str, state: Object) -> None:
        status = {"name": container, "state": state, "imageID": "image@sha256:1"}
        self.kube.put({**pod, "status": {"phase": phase, "containerStatuses": [status]}})

    def _serve(self, child: Object) -> None:
        wanted = child["spec"]["replicas"]
        ready = 0 if self.breaks else wanted
        status = {
            "observedGeneration": child["metadata"]["generation"],
            "replicas": wanted,
            "updatedReplicas": wanted,
            "readyReplicas": ready,
            "conditions": [given.condition("Progressing", reason="NewReplicaSetAvailable")],
        }
        if child.get("status") == status:
            return
        self.kube.put({**child, "status": status})
        crashed = {"terminated": {"exitCode": 1, "message": "cannot load the model"}}
        container = given.container_status("server", restarts=5 if self.breaks else 0, **crashed)
        ready_now = {"type": "Ready", "status": "False" if self.breaks else "True"}
        pod = _pod(child)
        pod["status"] = {"phase": "Running", "conditions": [ready_now]}
        pod["status"] |= {"containerStatuses": [container]} if self.breaks else {}
        self.kube.put(pod)


def _pod(of: Object) -> Object:
    """Return the pod that a Job or Deployment makes."""
    meta, template = of["metadata"], of["spec"]["template"]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": f"{meta['name']}-0-x",
            "namespace": meta["namespace"],
            # As the Job controller adds it.
            "labels": {**template["metadata"]["labels"], JOB_NAME: meta["name"]},
            "ownerReferences": [objects.owner_reference(of)],
        },
        "spec": template["spec"],
        "status": {"phase": "Pending"},
    }
