"""Builders for tests of the ModelVersion kind: attempts to publish, and what a plan says."""

import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from trainyard_api.moment import rfc3339
from trainyard_operator import names
from trainyard_operator.engine.plan import Object, Plan
from trainyard_operator.settings import Runtime, Settings
from trainyard_operator.versions import plan as kind

from builders import given
from builders.registry import KEY, NOW

PACKAGES = {"scikit-learn": "1.7.2", "mlflow-skinny": "3.17.2"}
SETTINGS = Settings(
    signing_key=KEY,
    runtimes={"sklearn": Runtime("sklearn", serving_image="serving:1", packages=PACKAGES)},
)
RESULT = {
    "digest": given.DIGEST,
    "size": 1200,
    "flavors": {"sklearn": "1.7.2", "python_function": "3.13.5"},
    "signature": {"inputs": [{"type": "tensor"}]},
    "requirements": ["scikit-learn==1.7.2"],
}
FETCHED = {"size": 1200, "uri": "mlflow-artifacts:/1/models/m-1", "runID": "ab" * 16}
FINISHED_RUN = given.run(status={"conditions": [given.condition("Finished")]})
MODEL = given.model(spec={})


def version(number: int = 1, **more: Any) -> Object:
    return given.model_version(version=number, **more)


def ended(name: str, code: int = 0, message: object = None, ago: float = 60) -> Object:
    text = message if isinstance(message, str) else json.dumps(message or {})
    finished = rfc3339(NOW - timedelta(seconds=ago))
    terminated = {"exitCode": code, "message": text, "finishedAt": finished}
    return given.container_status(name, terminated=terminated)


def attempt(
    of: Object,
    number: int = 1,
    *,
    init: Sequence[Object] = (),
    main: Sequence[Object] = (),
    **job: Any,
) -> tuple[Object, Object]:
    """Return the Job and the pod of an attempt; the Job ends as soon as a container fails."""
    ends = [c["state"].get("terminated") or {} for c in (*init, *main)]
    failed = [end["finishedAt"] for end in ends if end.get("exitCode")]
    if failed:
        told = given.condition("Failed", lastTransitionTime=failed[0])
        job = {"conditions": [told], **job}
    made = given.job(names.publish_job(of["metadata"]["name"], number), of=of, **job)
    pod = given.pod(
        f"p{number}",
        of=made,
        initContainerStatuses=list(init),
        containerStatuses=list(main),
    )
    return made, pod


def observed(*attempts: tuple[Object, Object], **more: Any) -> kind.Observed:
    return kind.Observed(
        **{
            "model": MODEL,
            "run": FINISHED_RUN,
            "jobs": tuple(job for job, _ in attempts),
            "pods": tuple(pod for _, pod in attempts),
            **more,
        }
    )


def plan(resource: Object, seen: kind.Observed, *, now: datetime = NOW) -> Plan:
    return kind.plan(resource, seen, now=now, settings=SETTINGS)


def condition(told: Plan, type_: str = "Published") -> Object:
    (found,) = [c for c in told.status["conditions"] if c["type"] == type_]
    return found
