"""Builders for tests of the Deployment kind: its children, their pods, and what a plan says."""

from datetime import datetime, timedelta
from typing import Any

from trainyard_api.moment import rfc3339
from trainyard_operator import names
from trainyard_operator.deployments import children, pacing
from trainyard_operator.deployments import plan as kind
from trainyard_operator.deployments.following import Followed
from trainyard_operator.deployments.rollout import Target
from trainyard_operator.engine.plan import Object, Plan
from trainyard_operator.settings import Runtime, Settings

from builders import given
from builders.registry import KEY, NOW

RUNTIME = Runtime(
    "sklearn",
    serving_image="serving:1",
    packages={"scikit-learn": "1.7.2"},
    tolerations=({"key": "gpu", "operator": "Exists"},),
)
SETTINGS = Settings(
    signing_key=KEY, runtimes={"sklearn": RUNTIME, "train": Runtime("train", image="x")}
)


def digest(number: int) -> str:
    return "sha256:" + f"{number:x}" * 64


def model(**aliases: int) -> Object:
    return given.model(status={"aliases": aliases})


def version(number: int, **status: Any) -> Object:
    return given.model_version(
        version=number, status=given.published(number, digest=digest(number), **status)
    )


def child(of: Object, number: int, *, ready: int = 0, age: float = 60, **metadata: Any) -> Object:
    target = Target(number, digest(number))
    bare = children.serving_deployment(of, target, runtime=RUNTIME, settings=SETTINGS)
    made = pacing.marked(bare, of, target, present=None)
    replicas = made["spec"]["replicas"]
    meta = {
        **made["metadata"],
        "uid": given.uid("child", str(number)),
        "generation": 1,
        "creationTimestamp": rfc3339(NOW - timedelta(seconds=age)),
        **metadata,
    }
    status = {
        "observedGeneration": 1,
        "replicas": replicas,
        "updatedReplicas": replicas,
        "readyReplicas": ready,
    }
    return {**made, "metadata": meta, "status": status}


def crashing(number: int, restarts: int, message: str = "boom", **ended: Any) -> Object:
    state = {"exitCode": 1, "message": message, **ended}
    container = given.container_status(
        "server", restarts=restarts, waiting={"reason": "CrashLoopBackOff"}
    )
    container["lastState"] = {"terminated": state}
    return pod(number, containerStatuses=[container])


def pod(number: int, **status: Any) -> Object:
    labels = {names.DEPLOYMENT: "digits", names.DIGEST: names.short_digest(digest(number))}
    return given.pod(f"p{number}", metadata={"labels": labels}, **status)


def served(number: int) -> Object:
    return {"version": number, "digest": digest(number)}


def plan(
    resource: Object,
    *children: Object,
    follows: Object | None = None,
    pods: tuple[Object, ...] = (),
    model_: Object | None = None,
    number: int | None = None,
    now: datetime = NOW,
    **more: Any,
) -> Plan:
    if follows is not None:
        number = follows["spec"]["version"]
    followed = Followed(model_ or model(production=number or 0), number, follows)
    seen = kind.Observed(followed, children, pods, **more)
    return kind.plan(resource, seen, now=now, settings=SETTINGS)


def condition(told: Plan, type_: str) -> Object:
    (found,) = [c for c in told.status["conditions"] if c["type"] == type_]
    return found


def applied(told: Plan, of: str) -> list[str]:
    return [o["metadata"]["name"] for o in told.apply if o["kind"] == of]
