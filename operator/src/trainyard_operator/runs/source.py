"""How the code of a Run gets into /work before `main` starts. Pure.

git and archive are fetched by the agent, a ConfigMap is copied, so that /work can be written
to in every case.
"""

from typing import Any

from trainyard_api import contract

from trainyard_operator import security
from trainyard_operator.engine.plan import Object
from trainyard_operator.settings import Settings
from trainyard_operator.tokens import run_secret

SOURCE = "source"

AUTHORITY = f"{contract.CA_DIRECTORY}/{contract.CA_KEY}"
"""Where containers see the authority of the tracking service's certificate."""

_CREDENTIALS = "/var/run/trainyard/git"
_CONFIG_MAP = "/var/run/trainyard/source"
_SHARED = ("cpu", "memory", "ephemeral-storage")


def container(run: Object, *, resources: Object, settings: Settings) -> Object:
    """Return the init container that fills /work."""
    made: Object = {
        "name": SOURCE,
        "image": settings.agent_image,
        "imagePullPolicy": settings.image_pull_policy,
        "command": _command(run),
        "env": _environment(run, settings),
        "resources": _compute(resources),
        "securityContext": security.CONTAINER,
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "volumeMounts": [
            *mounts(run["spec"]),
            *authority_mounts(settings),
            *_own_mounts(run["spec"]),
        ],
    }
    return made


def volumes(spec: Object) -> list[Object]:
    """Return the volumes that the source needs."""
    source = spec.get("source") or {}
    found: list[Object] = [{"name": "trainyard-work", "emptyDir": {}}] if source else []
    secret = (source.get("git") or {}).get("credentialsSecret")
    if secret:
        content = {"secretName": secret, "defaultMode": 0o444}
        found.append({"name": "trainyard-git", "secret": content})
    if source.get("configMap"):
        name = source["configMap"]["name"]
        found.append({"name": "trainyard-source", "configMap": {"name": name}})
    return found


def mounts(spec: Object) -> list[Object]:
    """Return where containers see the code."""
    mount = {"name": "trainyard-work", "mountPath": contract.WORK}
    return [mount] if spec.get("source") else []


def authority_volumes(run: Object, *, settings: Settings) -> list[Object]:
    """Return the volume with the authority of the tracking service's certificate, if it has one."""
    if not settings.tracking_ca:
        return []
    secret = run_secret(run, settings=settings)["metadata"]["name"]
    # Without the token, which is the environment's.
    items = [{"key": contract.CA_KEY, "path": contract.CA_KEY}]
    return [{"name": "trainyard-ca", "secret": {"secretName": secret, "items": items}}]


def authority_mounts(settings: Settings) -> list[Object]:
    """Return where containers see that authority."""
    if not settings.tracking_ca:
        return []
    return [{"name": "trainyard-ca", "mountPath": contract.CA_DIRECTORY, "readOnly": True}]


def working_directory(spec: Object) -> str:
    """Return the folder that `main` starts in."""
    path = str((spec["source"].get("git") or {}).get("path") or "").strip("/")
    return f"{contract.WORK}/{path}" if path else contract.WORK


def literal(text: str) -> str:
    """Return text that Kubernetes leaves as it is: it would replace $(NAME) in it."""
    return text.replace("$", "$$")


def text_of(value: Any) -> str:
    """Return a parameter's value as text, as JSON spells it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _command(run: Object) -> list[str]:
    source = run["spec"]["source"]
    if source.get("configMap"):
        # -L: the files of a mounted ConfigMap are links.
        return ["sh", "-c", f"cp -L {_CONFIG_MAP}/* {contract.WORK}/"]
    if source.get("archive"):
        namespace, digest = run["metadata"]["namespace"], source["archive"]["digest"]
        words = ["archive", "--namespace", namespace, "--digest", digest]
    else:
        words = ["git", *_git(run)]
    return ["python", "-m", "trainyard_agent", "fetch", *words, "--into", contract.WORK]


def _git(run: Object) -> list[str]:
    git = run["spec"]["source"]["git"]
    # A revision resolves once: later attempts use the first one's commit.
    commit = (run.get("status") or {}).get("commit") or git["revision"]
    path = ["--path", git["path"]] if git.get("path") else []
    secret = ["--credentials", _CREDENTIALS] if git.get("credentialsSecret") else []
    words = ["--url", git["url"], "--revision", commit, *path, *secret]
    return [literal(word) for word in words]


def _environment(run: Object, settings: Settings) -> list[Object]:
    name = run_secret(run, settings=settings)["metadata"]["name"]
    token = {"secretKeyRef": {"name": name, "key": contract.TOKEN_KEY}}
    trusted = [{"name": contract.CA_FILE_ENV, "value": AUTHORITY}] if settings.tracking_ca else []
    return [
        {"name": "HOME", "value": "/tmp"},  # noqa: S108  # the pod's own
        {"name": "PYTHONUNBUFFERED", "value": "1"},
        {"name": "TRAINYARD_TRACKING_URL", "value": settings.tracking_url},
        {"name": "TRAINYARD_TOKEN", "valueFrom": token},
        *trusted,
    ]


def _own_mounts(spec: Object) -> list[Object]:
    found = [{"name": "trainyard-tmp", "mountPath": "/tmp"}]  # noqa: S108  # the pod's own
    source = spec["source"]
    if (source.get("git") or {}).get("credentialsSecret"):
        found.append({"name": "trainyard-git", "mountPath": _CREDENTIALS})
    if source.get("configMap"):
        found.append({"name": "trainyard-source", "mountPath": _CONFIG_MAP})
    return found


def _compute(resources: Object) -> Object:
    # As much as `main`, which costs nothing (the two never run together) and satisfies quotas.
    return {
        side: {k: v for k, v in (resources.get(side) or {}).items() if k in _SHARED}
        for side in ("requests", "limits")
        if resources.get(side)
    }
