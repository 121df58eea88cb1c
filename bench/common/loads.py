"""What is created N times: bare Jobs, and Runs with the same pod."""

from collections.abc import Callable
from dataclasses import dataclass

from api import Object
from fake_nodes import PLACE
from trainyard_api.contract import API_VERSION, RUNS

_IMAGE = "registry.example/any:1"  # never pulled
_COMMAND = ["python", "train.py"]
_RESOURCES = {"requests": {"cpu": "10m", "memory": "16Mi"}}


@dataclass(frozen=True, slots=True)
class Load:
    """Objects of one kind.

    Attributes:
        path: Their collection; {} stands for the namespace.
        marks: Conditions that all of them come to have.
        failed: A condition and its status that none may have.
    """

    name: str
    path: str
    body: Callable[[int], Object]
    marks: tuple[str, ...]
    failed: tuple[str, str]


def _job(number: int) -> Object:
    main = {"name": "main", "image": _IMAGE, "command": _COMMAND, "resources": _RESOURCES}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": f"job-{number}"},
        "spec": {
            "backoffLimit": 0,
            "template": {"spec": {"restartPolicy": "Never", "containers": [main], **PLACE}},
        },
    }


def run(number: int, *, name: str = "run", place: Object = PLACE, **spec: object) -> Object:
    """Return a Run, on a fake node unless *place* says otherwise."""
    return {
        "apiVersion": API_VERSION,
        "kind": "Run",
        "metadata": {"name": f"{name}-{number}"},
        "spec": {
            "experiment": "bench",
            "image": _IMAGE,
            "command": _COMMAND,
            "parameters": {"seed": number, "learning_rate": 0.1},
            "resources": _RESOURCES,
            "podTemplate": place,
            **spec,
        },
    }


BARE_JOBS = Load(
    "Jobs",
    "/apis/batch/v1/namespaces/{}/jobs",
    _job,
    marks=("Complete",),
    failed=("Failed", "True"),
)
TRAINYARD_RUNS = Load(
    "Runs",
    f"/apis/{API_VERSION}/namespaces/{{}}/{RUNS}",
    run,
    marks=("Finished", "Recorded"),
    failed=("Succeeded", "False"),
)
