"""The children of a Deployment: one apps/v1 Deployment per digest, one Service over all. Pure.

What the server reads (environment, port, paths) is trainyard_api/serving.py; which children
exist is policies/rollout.py.
"""

from trainyard_api import serving as contract
from trainyard_api.contract import CA_FILE_ENV, CA_KEY, COMPONENT_SERVING

from trainyard_operator import names, security
from trainyard_operator.deployments.rollout import Target
from trainyard_operator.engine import objects
from trainyard_operator.engine.mounted import TOKEN_VOLUME
from trainyard_operator.engine.plan import Object
from trainyard_operator.settings import Runtime, Settings
from trainyard_operator.tokens import deployment_token, token_secret

# Less than rollout.DEADLINE: what the server leaves behind when its time is up is read first.
_START_SECONDS = 540
# A limit, because a request may ask for much memory: better this pod than its neighbours.
_DEFAULT_RESOURCES: Object = {
    "requests": {"cpu": "100m", "memory": "256Mi"},
    "limits": {"memory": "2Gi"},
}


def serving_deployment(
    resource: Object, target: Target, *, runtime: Runtime, settings: Settings
) -> Object:
    """Return the apps/v1 Deployment that serves one version at full replicas."""
    meta = resource["metadata"]
    selector = {
        names.DEPLOYMENT: meta["name"],
        names.DIGEST: names.short_digest(target.digest),
    }
    labels = {
        **names.component_labels(COMPONENT_SERVING, selector),
        names.MODEL: resource["spec"]["model"]["name"],
        names.MODEL_VERSION: names.model_version(resource["spec"]["model"]["name"], target.version),
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {
            **_metadata(resource, names.serving_child(meta["name"], target.digest)),
            "labels": labels,
        },
        "spec": {
            "replicas": resource["spec"].get("replicas", 1),
            "selector": {"matchLabels": selector},
            # A ready pod goes only once another is ready in its place.
            "strategy": {
                "type": "RollingUpdate",
                "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1},
            },
            "progressDeadlineSeconds": _START_SECONDS,
            "revisionHistoryLimit": 2,
            "template": {
                "metadata": {"labels": labels, "annotations": _scrape()},
                "spec": _pod(resource, target, runtime=runtime, settings=settings),
            },
        },
    }


def served(child: Object) -> Target | None:
    """Return what a child serves, as its own environment says; None if it says nothing.

    Admission webhooks add containers of their own: ours is the one with our name.
    """
    containers = child["spec"]["template"]["spec"]["containers"]
    ours: Object = next((c for c in containers if c["name"] == contract.CONTAINER), {})
    env = {e["name"]: e.get("value", "") for e in ours.get("env") or ()}
    number = env.get(contract.MODEL_VERSION_ENV, "")
    if not number.isdigit():
        return None
    return Target(int(number), env.get(contract.MODEL_DIGEST_ENV, ""))


def serving_secret(resource: Object, digest: str, *, settings: Settings) -> Object:
    """Return the Secret with the token that reads this digest and nothing else."""
    token = deployment_token(resource, [digest], key=settings.signing_key)
    base = names.serving_child(resource["metadata"]["name"], digest)
    return token_secret(
        resource,
        token,
        labels=_labels(resource),
        authority=settings.tracking_ca,
        base=base,
        kind="Deployment",
    )


def mounts(child: Object, secret: Object) -> bool:
    """Tell whether a child's pods mount this Secret."""
    volumes = child["spec"]["template"]["spec"].get("volumes") or ()
    mounted = [(volume.get("secret") or {}).get("secretName") for volume in volumes]
    return secret["metadata"]["name"] in mounted


def serving_service(resource: Object) -> Object:
    """Return the Service over every child; it outlives each of them."""
    name = resource["metadata"]["name"]
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {**_metadata(resource, name), "labels": _labels(resource)},
        "spec": {
            "selector": {names.DEPLOYMENT: name},
            "ports": [
                {
                    "name": "http",
                    "port": contract.SERVICE_PORT,
                    "targetPort": "http",
                    "protocol": "TCP",
                }
            ],
        },
    }


def disruption_budget(resource: Object) -> Object:
    """Return the PodDisruptionBudget: one pod at a time leaves for a node's sake."""
    selector = {names.DEPLOYMENT: resource["metadata"]["name"]}
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": {
            **_metadata(resource, names.disruption_budget(resource)),
            "labels": _labels(resource),
        },
        "spec": {"maxUnavailable": 1, "selector": {"matchLabels": selector}},
    }


def endpoint(resource: Object) -> str:
    """Return the URL inside the cluster."""
    meta = resource["metadata"]
    return f"http://{meta['name']}.{meta['namespace']}.svc"


def selector(resource: Object) -> str:
    """Return the label selector of all pods, as the scale subresource wants it."""
    return f"{names.DEPLOYMENT}={resource['metadata']['name']}"


def _metadata(resource: Object, name: str) -> Object:
    return {
        "name": name,
        "namespace": resource["metadata"]["namespace"],
        "ownerReferences": [objects.owner_reference(resource, "Deployment")],
    }


def _labels(resource: Object) -> dict[str, str]:
    meta = resource["metadata"]
    return names.component_labels(COMPONENT_SERVING, {names.DEPLOYMENT: meta["name"]})


def _scrape() -> dict[str, str]:
    return {
        "prometheus.io/scrape": "true",
        "prometheus.io/port": str(contract.PORT),
        "prometheus.io/path": contract.METRICS_PATH,
    }


def _pod(resource: Object, target: Target, *, runtime: Runtime, settings: Settings) -> Object:
    secret = serving_secret(resource, target.digest, settings=settings)["metadata"]["name"]
    pod: Object = {
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": security.pod(user=settings.run_as_user, group=settings.fs_group),
        "terminationGracePeriodSeconds": contract.GRACE_SECONDS,
        "containers": [_server(resource, target, runtime=runtime, settings=settings)],
        "volumes": [
            {"name": "model", "emptyDir": {}},
            {"name": "tmp", "emptyDir": {}},
            {"name": TOKEN_VOLUME, "secret": {"secretName": secret}},
        ],
    }
    if runtime.tolerations:
        pod["tolerations"] = [dict(t) for t in runtime.tolerations]
    return pod


def _server(resource: Object, target: Target, *, runtime: Runtime, settings: Settings) -> Object:
    return {
        "name": contract.CONTAINER,
        "image": runtime.serving_image,
        "imagePullPolicy": settings.image_pull_policy,
        "command": ["python", "-m", "trainyard_serving"],
        "env": _environment(resource, target, settings=settings),
        "ports": [{"name": "http", "containerPort": contract.PORT, "protocol": "TCP"}],
        "resources": resource["spec"].get("resources") or _DEFAULT_RESOURCES,
        "volumeMounts": [
            {"name": "model", "mountPath": contract.MODEL_DIRECTORY},
            {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108  # the container's own
            {"name": TOKEN_VOLUME, "mountPath": contract.TOKEN_DIRECTORY, "readOnly": True},
        ],
        "startupProbe": _probe(contract.READY_PATH, period=1, failures=_START_SECONDS),
        "readinessProbe": _probe(contract.READY_PATH, period=1, failures=3),
        "livenessProbe": _probe(contract.LIVE_PATH, period=10, failures=6),
        "lifecycle": {"preStop": {"sleep": {"seconds": contract.SETTLE_SECONDS}}},
        "securityContext": security.READ_ONLY_CONTAINER,
        "terminationMessagePolicy": "FallbackToLogsOnError",
    }


def _probe(path: str, *, period: int, failures: int) -> Object:
    return {
        "httpGet": {"path": path, "port": "http"},
        "periodSeconds": period,
        "timeoutSeconds": min(period + 1, 5),
        "failureThreshold": failures,
    }


def _environment(resource: Object, target: Target, *, settings: Settings) -> list[Object]:
    base = f"{settings.tracking_url}/api/trainyard/v1/namespaces"
    values = {
        contract.MODEL_NAME_ENV: resource["spec"]["model"]["name"],
        contract.MODEL_VERSION_ENV: str(target.version),
        contract.MODEL_DIGEST_ENV: target.digest,
        contract.MODEL_URL_ENV: (
            f"{base}/{resource['metadata']['namespace']}/models/{target.digest}"
        ),
        contract.TOKEN_FILE_ENV: contract.TOKEN_FILE,
        contract.PORT_ENV: str(contract.PORT),
        contract.DRAIN_SECONDS_ENV: str(contract.DRAIN_SECONDS),
        "HOME": "/tmp",  # noqa: S108  # the container's own
        "PYTHONUNBUFFERED": "1",
        # Only where it says something: another variable is a restart for everybody.
        **({} if resource["spec"].get("batching", True) else {contract.BATCHING_ENV: "false"}),
    }
    if settings.tracking_ca:
        values[CA_FILE_ENV] = f"{contract.TOKEN_DIRECTORY}/{CA_KEY}"
    if longest := resource["spec"].get("maxBodyBytes"):
        values[contract.MAX_BODY_BYTES_ENV] = str(longest)
    return [{"name": name, "value": value} for name, value in values.items()]
