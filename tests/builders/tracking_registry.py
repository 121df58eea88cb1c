"""MLflow's registry API as a user calls it, and an operator's stand-in that decides on stages."""

import itertools
from typing import Any

from trainyard_tracking.kube import KubeError

from builders.tracking import SCIENTIST, FakeKube, bearer

V2 = "/api/2.0/mlflow"
ROOT = "/apis/trainyard.dev/v1alpha1/namespaces/team"
NAMES = itertools.count(1)


class Registry:
    """MLflow's registry API as a scientist of namespace `team` uses it."""

    def __init__(self, world, who=SCIENTIST):
        self.world = world
        self.name = f"model-{next(NAMES)}"
        self.headers = bearer(who, **{"X-MLFLOW-WORKSPACE": "team"})

    def call(self, method: str, path: str, **fields: Any):
        sent = {"params": fields} if method == "GET" else {"json": fields}
        return self.world.client.request(method, f"{V2}/{path}", headers=self.headers, **sent)

    def create(self, **fields: Any):
        return self.call("POST", "registered-models/create", **{"name": self.name, **fields})

    def add(self, **fields: Any):
        fields = {"name": self.name, "source": "s3://models/one", **fields}
        return self.call("POST", "model-versions/create", **fields)

    def point(self, alias: str, version: int):
        return self.call(
            "POST", "registered-models/alias", name=self.name, alias=alias, version=str(version)
        )

    def held(self, alias: str):
        return self.call("GET", "registered-models/alias", name=self.name, alias=alias)

    def stored(self) -> dict[str, Any]:
        return self.world.kube.objects[f"{ROOT}/models/{self.name}"]

    def version(self, number: int) -> dict[str, Any]:
        return self.world.kube.objects[f"{ROOT}/modelversions/{self.name}-{number}"]

    def gated(self, *stages: dict[str, Any]) -> None:
        """Give the model stages, as kubectl would."""
        changed = self.world.kube.objects[f"{ROOT}/models/{self.name}"]
        changed["spec"]["stages"] = list(stages)
        self.world.kube.write(f"{ROOT}/models/{self.name}", changed)
        self.world.sync()


def error(answer) -> str:
    return answer.json()["error_code"]


def refusing(verb: str, where: str, status: int = 403):
    """Make an admission policy that refuses a verb on what is at a path."""

    def refuse(asked: str, path: str, change: dict[str, Any]) -> None:
        if asked == verb and where in path:
            raise KubeError(status, "Forbidden", f"you may not {verb} this")

    return refuse


def gates(*, refuse: str = ""):
    """Make a stand-in for the operator that decides at once about all stages."""

    def decide(kube: FakeKube, model: dict[str, Any]) -> None:
        wanted = model["spec"].get("aliases", {})
        stages = []
        for stage in model["spec"].get("stages", []):
            version = wanted.get(stage["name"])
            refusal = {"version": version, "reason": "GateRefused", "message": refuse}
            stages.append(
                {
                    "name": stage["name"],
                    **({"refusal": refusal} if refuse else {"version": version}),
                }
            )
        held = {one["name"]: one["version"] for one in stages if one.get("version")}
        model["status"] = {
            "observedGeneration": model["metadata"]["generation"],
            "stages": stages,
            "aliases": held,
        }
        namespace, name = model["metadata"]["namespace"], model["metadata"]["name"]
        written = kube.write(f"{ROOT}/models/{name}", model)
        assert namespace == "team"
        kube.seen.put(written)

    return decide
