"""The Job that publishes a model version, and what its pods say. Pure.

Three containers of the agent's image share one folder and hand it on:

    fetch (token) ──▶ convert (no token, model read-only) ──▶ publish (token, model read-only)

Nothing in it loads the model. Containers of a pod share its network, so that `convert` has
none is more than a pod can promise: it holds no token, which is what counts
(docs/decisions/0003-publishing.md).
"""

from collections.abc import Sequence

from trainyard_api import contract

from trainyard_operator import names, security
from trainyard_operator.engine import objects
from trainyard_operator.engine.mounted import TOKEN_VOLUME
from trainyard_operator.engine.plan import Object
from trainyard_operator.settings import Settings
from trainyard_operator.tokens import token_secret

FETCH = "fetch"
CONVERT = "convert"
PUBLISH = "publish"

_MODEL = "/model"
_OUT = "/out"
_TOKENS = "/var/run/trainyard"
# Against an agent that hangs. A model of terabytes has its day; a pod that does not start is
# made anew long before (attempts.py).
_DEADLINE_SECONDS = 24 * 3600
_KEPT_SECONDS = 3600


def publishing_job(
    version: Object, *, attempt: int, secret: str, allowed: Sequence[str], settings: Settings
) -> Object:
    """Return the Job of one attempt to publish the version."""
    name = version["metadata"]["name"]
    labels = names.component_labels(
        contract.COMPONENT_PUBLISHING,
        {
            names.MODEL_VERSION: name,
            names.MODEL: version["spec"]["model"],
            names.ATTEMPT: str(attempt),
        },
    )
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": names.publish_job(name, attempt),
            "namespace": version["metadata"]["namespace"],
            "labels": labels,
            "ownerReferences": [objects.owner_reference(version, "ModelVersion")],
        },
        "spec": {
            "backoffLimit": 0,
            "completions": 1,
            "parallelism": 1,
            "activeDeadlineSeconds": _DEADLINE_SECONDS,
            "ttlSecondsAfterFinished": _KEPT_SECONDS,
            "template": {
                "metadata": {"labels": labels},
                "spec": _pod(version, secret=secret, allowed=allowed, settings=settings),
            },
        },
    }


def publishing_secret(version: Object, *, token: str, settings: Settings) -> Object:
    """Return the Secret with the token of this version's publishing Jobs."""
    name = version["metadata"]["name"]
    labels = names.component_labels(contract.COMPONENT_PUBLISHING, {names.MODEL_VERSION: name})
    return token_secret(
        version, token, labels=labels, authority=settings.tracking_ca, kind="ModelVersion"
    )


def _pod(version: Object, *, secret: str, allowed: Sequence[str], settings: Settings) -> Object:
    meta = version["metadata"]
    formats = [argument for flavor in allowed for argument in ("--allow", flavor)]
    fetch = ["fetch", "model", "--namespace", meta["namespace"], "--version", meta["name"]]
    publish = ["publish", "--namespace", meta["namespace"], "--model", _MODEL]
    return {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": security.pod(user=settings.run_as_user, group=settings.fs_group),
        "initContainers": [
            _container(FETCH, [*fetch, "--into", _MODEL], settings=settings, writes="model"),
            _container(
                CONVERT,
                ["convert", "--model", _MODEL, "--out", _OUT, *formats],
                settings=settings,
                token=False,
                writes="out",
            ),
        ],
        "containers": [
            _container(
                PUBLISH, [*publish, "--fields", f"{_OUT}/manifest-fields.json"], settings=settings
            )
        ],
        "volumes": [
            {"name": "model", "emptyDir": {}},
            {"name": "out", "emptyDir": {}},
            {"name": "tmp", "emptyDir": {}},
            {"name": TOKEN_VOLUME, "secret": {"secretName": secret}},
        ],
    }


def _container(
    name: str,
    arguments: Sequence[str],
    *,
    settings: Settings,
    token: bool = True,
    writes: str = "",
) -> Object:
    mounts: list[Object] = [
        {"name": "model", "mountPath": _MODEL, "readOnly": writes != "model"},
        {"name": "out", "mountPath": _OUT, "readOnly": writes != "out"},
        {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108  # the container's own
    ]
    env: list[Object] = [{"name": "PYTHONUNBUFFERED", "value": "1"}]
    if token:
        mounts.append({"name": TOKEN_VOLUME, "mountPath": _TOKENS, "readOnly": True})
        env.append({"name": "TRAINYARD_TRACKING_URL", "value": settings.tracking_url})
        env.append({"name": "TRAINYARD_TOKEN_FILE", "value": f"{_TOKENS}/token"})
        if settings.tracking_ca:
            env.append({"name": contract.CA_FILE_ENV, "value": f"{_TOKENS}/{contract.CA_KEY}"})
    return {
        "name": name,
        "image": settings.agent_image,
        "imagePullPolicy": settings.image_pull_policy,
        "command": ["python", "-m", "trainyard_agent"],
        "args": list(arguments),
        "env": env,
        "volumeMounts": mounts,
        "resources": settings.agent_resources,
        "securityContext": security.READ_ONLY_CONTAINER,
        "terminationMessagePolicy": "FallbackToLogsOnError",
    }
