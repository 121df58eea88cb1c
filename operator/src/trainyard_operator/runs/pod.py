"""The pod of an attempt: the user's container `main`, unchanged, and what surrounds it. Pure.

    init `source` ─▶ /work ◀─ main          (no `source`: the image brings the code)

An ordinary image that was built for root runs here: it gets a writable home, /tmp, /work and a
memory-backed /dev/shm, and loses everything it does not need.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from trainyard_api import contract

from trainyard_operator import security
from trainyard_operator.engine.plan import Object
from trainyard_operator.runs import source
from trainyard_operator.runs.environment import main_environment
from trainyard_operator.settings import Runtime, Settings

MAIN = contract.MAIN_CONTAINER

_PASSED_ON = (
    "nodeSelector",
    "affinity",
    "priorityClassName",
    "runtimeClassName",
    "serviceAccountName",
    "imagePullSecrets",
)


def run_pod(run: Object, attempt: int, *, settings: Settings) -> Object:
    """Return the pod spec of an attempt.

    Raises:
        Terminal: The Run names a runtime that there is not.
    """
    spec = run["spec"]
    overlay = spec.get("podTemplate") or {}
    runtime = _runtime(spec, settings)
    resources = spec.get("resources") or dict(runtime.resources)
    pod = {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        # Else main is process 1, which ignores SIGTERM unless it handles it: to stop a script took
        # its whole grace time. So it is not, and the pause container reaps what it leaves behind.
        "shareProcessNamespace": True,
        "securityContext": _security(overlay, settings),
        "containers": [
            _main(run, attempt, runtime=runtime, resources=resources, settings=settings)
        ],
        "volumes": [
            *_own_volumes(),
            *source.authority_volumes(run, settings=settings),
            *source.volumes(spec),
            *(overlay.get("volumes") or ()),
        ],
        "tolerations": [*runtime.tolerations, *(overlay.get("tolerations") or ())],
    }
    if spec.get("source"):
        pod["initContainers"] = [source.container(run, resources=resources, settings=settings)]
    return pod | {key: overlay[key] for key in _PASSED_ON if overlay.get(key)}


def _security(overlay: Mapping[str, Any], settings: Settings) -> Object:
    group = overlay.get("fsGroup", settings.fs_group)
    context = security.pod(user=overlay.get("runAsUser", settings.run_as_user), group=group)
    if group is not None:
        # A user's volume may hold millions of files.
        context["fsGroupChangePolicy"] = "OnRootMismatch"
    return context


def _runtime(spec: Object, settings: Settings) -> Runtime:
    if spec.get("runtime"):
        return settings.runtime(spec["runtime"])
    return Runtime(name="", image=spec["image"])


def _main(
    run: Object, attempt: int, *, runtime: Runtime, resources: Object, settings: Settings
) -> Object:
    spec = run["spec"]
    overlay = spec.get("podTemplate") or {}
    main: Object = {
        "name": MAIN,
        "image": runtime.image,
        "imagePullPolicy": settings.image_pull_policy,
        "command": list(spec["command"]),
        "args": [*(spec.get("args") or ()), *arguments(spec.get("parameters") or {})],
        "env": main_environment(run, attempt, settings=settings),
        "envFrom": list(spec.get("envFrom") or ()),
        "resources": resources,
        "securityContext": security.CONTAINER,
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "volumeMounts": [
            *_own_mounts(),
            *source.authority_mounts(settings),
            *source.mounts(spec),
            *(overlay.get("volumeMounts") or ()),
        ],
    }
    if spec.get("source"):
        main["workingDir"] = source.working_directory(spec)
    return main


def arguments(parameters: Mapping[str, Any]) -> list[str]:
    """Return `--name=value` for each parameter, in the order of the spec."""
    return [
        f"--{name}={source.literal(source.text_of(value))}" for name, value in parameters.items()
    ]


def _own_volumes() -> Sequence[Object]:
    return (
        {"name": "trainyard-home", "emptyDir": {}},
        {"name": "trainyard-tmp", "emptyDir": {}},
        {"name": "trainyard-shm", "emptyDir": {"medium": "Memory"}},
    )


def _own_mounts() -> Sequence[Object]:
    return (
        {"name": "trainyard-home", "mountPath": contract.HOME},
        {"name": "trainyard-tmp", "mountPath": "/tmp"},  # noqa: S108  # the pod's own
        {"name": "trainyard-shm", "mountPath": "/dev/shm"},  # noqa: S108  # the pod's own
    )
