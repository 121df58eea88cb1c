"""The Job of one attempt of a Run. Pure.

It is made once and never changed. Without a TTL of the Run's own its Job has one, so that no
cluster fills up with what is long on record. backoffLimit 0: a Job is one attempt, whatever ends
the pod; trying again is the Run's decision.
"""

from trainyard_operator import names
from trainyard_operator.engine import objects
from trainyard_operator.engine.plan import Object
from trainyard_operator.runs.pod import run_pod
from trainyard_operator.settings import Settings


def run_job(run: Object, attempt: int, *, settings: Settings) -> Object:
    """Return the Job of an attempt.

    Raises:
        Terminal: The Run names a runtime that there is not.
    """
    labels = names.run_labels(run, attempt)
    overlay = run["spec"].get("podTemplate") or {}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": names.run_job(run["metadata"]["name"], attempt),
            "namespace": run["metadata"]["namespace"],
            "labels": labels,
            "ownerReferences": [objects.owner_reference(run)],
        },
        "spec": {
            "completionMode": "Indexed",
            "completions": 1,
            "parallelism": 1,
            "backoffLimit": 0,
            **_ttl(run, settings),
            "template": {
                "metadata": {
                    "labels": {**(overlay.get("labels") or {}), **labels},
                    "annotations": dict(overlay.get("annotations") or {}),
                },
                "spec": run_pod(run, attempt, settings=settings),
            },
        },
    }


def _ttl(run: Object, settings: Settings) -> dict[str, int]:
    if settings.job_ttl is None or run["spec"].get("ttlSecondsAfterFinished") is not None:
        return {}
    return {"ttlSecondsAfterFinished": settings.job_ttl}
