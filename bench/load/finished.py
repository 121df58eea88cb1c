"""Finished Runs with their Jobs and pods, each as a true one left them."""

from collections.abc import Mapping
from dataclasses import dataclass

from api import Api, Object
from board import JOB_PATH, RUN_PATH
from loads import run
from trainyard_api.contract import RUN_LABEL, RUN_UID_LABEL
from trainyard_operator.engine.objects import owner_reference

POD_PATH = "/api/v1/namespaces/{}/pods"
# Nobody's: no controller makes pods for them, no scheduler looks for a node.
_NOBODY = "trainyard.dev/bench"
_BY_THE_SERVER = "batch.kubernetes.io/"


@dataclass(frozen=True, slots=True)
class Finished:
    """What a true Run left."""

    run: Object
    job: Object
    pod: Object

    @classmethod
    async def of(cls, api: Api, namespace: str, name: str) -> "Finished":
        """Read a Run that is recorded, its Job and its pod."""
        mine = f"?labelSelector={RUN_LABEL}={name}"
        jobs = await api.get(JOB_PATH.format(namespace) + mine)
        pods = await api.get(POD_PATH.format(namespace) + mine)
        found = await api.get(f"{RUN_PATH.format(namespace)}/{name}")
        job = {**jobs["items"][0], "apiVersion": "batch/v1", "kind": "Job"}
        pod = {**pods["items"][0], "apiVersion": "v1", "kind": "Pod"}
        return cls(found, job, pod)

    async def put(self, api: Api, namespace: str, number: int) -> None:
        """Make another like it."""
        wanted = run(number, name="loaded")
        said = {**self.run["status"], "runID": f"{number:032x}"}
        made = await _put(api, RUN_PATH.format(namespace), wanted, said)
        job = await _put(api, JOB_PATH.format(namespace), self._job(made), self.job["status"])
        await _put(api, POD_PATH.format(namespace), self._pod(made, job), self.pod["status"])

    def _job(self, of: Object) -> Object:
        spec = {**self.job["spec"], "managedBy": _NOBODY}
        spec["template"] = {**spec["template"], "metadata": {}}
        spec.pop("selector", None)
        return _like(self.job, of, of, f"{of['metadata']['name']}-1", spec)

    def _pod(self, of: Object, job: Object) -> Object:
        spec = {**self.pod["spec"], "schedulerName": "nobody"}
        spec.pop("nodeName", None)
        name = f"{job['metadata']['name']}-pod"
        return _like(self.pod, of, job, name, spec)


async def _put(api: Api, path: str, wanted: Object, status: Mapping[str, object]) -> Object:
    made = await api.create(path, wanted)
    await api.patch(f"{path}/{made['metadata']['name']}/status", {"status": status})
    return made


def _like(old: Object, of: Object, owner: Object, name: str, spec: Object) -> Object:
    held = old["metadata"].get("labels") or {}
    labels = {k: v for k, v in held.items() if not k.startswith(_BY_THE_SERVER)}
    labels |= {RUN_LABEL: of["metadata"]["name"], RUN_UID_LABEL: of["metadata"]["uid"]}
    meta = {"name": name, "labels": labels, "ownerReferences": [owner_reference(owner)]}
    return {"apiVersion": old["apiVersion"], "kind": old["kind"], "metadata": meta, "spec": spec}
