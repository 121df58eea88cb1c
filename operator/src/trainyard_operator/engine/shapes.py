"""What is read of a watched Job or pod: the fields that trimming.py keeps, or finds something in.

An event has 10 KB, of which half tells who owns which field. Reading what is asked for takes less
than half of reading it all, and Jobs and pods are where most events come from.
"""

from collections.abc import Callable, Mapping
from typing import Any, TypedDict

import msgspec
import orjson

from trainyard_operator.engine.plan import Object

Reader = Callable[[bytes], Object]
"""A line of a watch → its event. Raises ValueError if it is no JSON."""


class Meta(TypedDict, total=False):
    """Of an object, without its version, which every write changes."""

    name: str
    namespace: str
    uid: str
    generation: int
    creationTimestamp: str | None
    deletionTimestamp: str
    deletionGracePeriodSeconds: int
    labels: dict[str, str]
    ownerReferences: list[Any]


class _Seen(Meta, total=False):
    resourceVersion: str


class _Variable(TypedDict, total=False):
    name: str
    value: str
    valueFrom: dict[str, Any]


class _Container(TypedDict, total=False):
    name: str
    image: str
    resources: dict[str, Any]
    restartPolicy: str
    env: list[_Variable]


class _Volume(TypedDict, total=False):
    name: str
    secret: dict[str, Any]


class Placed(TypedDict, total=False):
    """Where a pod is, or may be."""

    nodeName: str
    nodeSelector: dict[str, str]


class _PodSpec(Placed, total=False):
    containers: list[_Container]
    initContainers: list[_Container]
    volumes: list[_Volume]


class Condition(TypedDict, total=False):
    """Of a pod."""

    type: str
    status: str
    reason: str
    message: str
    lastTransitionTime: str | None


class ContainerStatus(TypedDict, total=False):
    """How a container is, and was."""

    name: str
    state: dict[str, Any]
    lastState: dict[str, Any]
    imageID: str
    image: str
    restartCount: int


class Phase(TypedDict, total=False):
    """How far a pod is."""

    phase: str
    reason: str
    message: str
    startTime: str


class _PodStatus(Phase, total=False):
    conditions: list[Condition]
    containerStatuses: list[ContainerStatus]
    initContainerStatuses: list[ContainerStatus]


class _Pod(TypedDict, total=False):
    metadata: _Seen
    spec: _PodSpec
    status: _PodStatus


class Bounds(TypedDict, total=False):
    """Of a Job."""

    completions: int
    activeDeadlineSeconds: int


class _Template(TypedDict, total=False):
    spec: _PodSpec


class _JobSpec(Bounds, total=False):
    suspend: bool
    template: _Template


class JobStatus(TypedDict, total=False):
    """How far a Job is."""

    conditions: list[Any]
    startTime: str
    active: int


class _Job(TypedDict, total=False):
    metadata: _Seen
    spec: _JobSpec
    status: JobStatus


class _PodEvent(TypedDict):
    type: str
    object: _Pod


class _JobEvent(TypedDict):
    type: str
    object: _Job


_whole: Reader = orjson.loads
_SHAPES: Mapping[str, Any] = {"pods": _PodEvent, "jobs": _JobEvent}


def reader_of(resource: str) -> Reader:
    """Return what reads the events of a resource."""
    if resource not in _SHAPES:
        return _whole
    decode = msgspec.json.Decoder(_SHAPES[resource]).decode

    def read(line: bytes) -> Object:
        try:
            event: Object = decode(line)
        except msgspec.ValidationError:
            return _whole(line)  # JSON of another shape: whoever looks at it says what is wrong
        # An error is a Status; and who suspended a Job is known by who owns the field.
        is_whole = event["type"] == "ERROR" or (event["object"].get("spec") or {}).get("suspend")
        return _whole(line) if is_whole else event

    return read
