"""The signed tokens by which pods are known to the tracking service. Pure.

Deterministic: the same subject gives the same bytes (Ed25519 has no randomness, and `iat` is
the resource's creation time), so that writing a Secret again changes nothing.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import lru_cache

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from trainyard_api import contract

from trainyard_operator import names
from trainyard_operator.engine import mounted, objects
from trainyard_operator.engine.conditions import find, parse_time
from trainyard_operator.engine.plan import Object, Ref
from trainyard_operator.settings import Settings

MOUNTING = timedelta(seconds=10)
"""Where a pod's volumes take longer than this, its token may be gone."""
_MOUNTING_STATES = frozenset({"ContainerCreating", "PodInitializing"})


def run_token(run: Object, *, key: str) -> str:
    """Return the token of a Run: it may write its own MLflow run, and nothing else."""
    return _signed(run, f"{contract.RUN_SUBJECT}{names.run_id(run)}", key=key)


def version_token(version: Object, *, key: str) -> str:
    """Return the token of a ModelVersion's publishing Job."""
    meta = version["metadata"]
    subject = f"{contract.MODEL_VERSION_SUBJECT}{meta['namespace']}/{meta['name']}:{meta['uid']}"
    return _signed(version, subject, key=key)


def deployment_token(deployment: Object, digests: Sequence[str], *, key: str) -> str:
    """Return the token of a Deployment's pods: it reads only these digests."""
    meta = deployment["metadata"]
    subject = f"{contract.DEPLOYMENT_SUBJECT}{meta['namespace']}/{meta['name']}"
    return _signed(deployment, subject, key=key, digests=sorted(digests), uid=meta["uid"])


def _signed(resource: Object, subject: str, *, key: str, **claims: object) -> str:
    meta = resource["metadata"]
    payload = {
        "iss": contract.CLAIM_ISSUER,
        "aud": contract.CLAIM_AUDIENCE,
        "sub": subject,
        "ns": meta["namespace"],
        "name": meta["name"],
        "iat": int(datetime.fromisoformat(meta["creationTimestamp"]).timestamp()),
        **claims,
    }
    return _encoded(json.dumps(payload), key)


# Whoever looks whether a Job's token is today's signs again: 0.1 ms each.
@lru_cache(maxsize=1024)
def _encoded(payload: str, key: str) -> str:
    return jwt.encode(json.loads(payload), _parsed(key), algorithm=contract.SIGNATURE_ALGORITHM)


@lru_cache(maxsize=4)
def _parsed(key: str) -> Ed25519PrivateKey:
    parsed = load_pem_private_key(key.encode(), password=None)
    assert isinstance(parsed, Ed25519PrivateKey)  # noqa: S101  # for the type checker: jwt refuses
    return parsed


def run_secret(run: Object, *, settings: Settings) -> Object:
    """Return the Secret with a Run's token, which all of its attempts share."""
    token = run_token(run, key=settings.signing_key)
    authority = settings.tracking_ca
    return token_secret(run, token, labels=names.run_labels(run), authority=authority)


def of_holder(secret: Object, holder: Object) -> Object:
    """Return the Secret by the name by which a pod, or a child's template, mounts it.

    That is another than today's if the authority or the key was another when they were made. What
    is made again by that name has today's token and authority: others are good for nothing.
    """
    name = mounted.token_secret(holder) or secret["metadata"]["name"]
    return {**secret, "metadata": {**secret["metadata"], "name": name}}


def lacking(secret: Object, pods: Iterable[Object], *, now: datetime) -> dict[str, Object]:
    """Return the Secrets that pods may wait for, by the names by which these mount them."""
    lack = (of_holder(secret, pod) for pod in pods if may_be_missing(pod, now=now))
    return {each["metadata"]["name"]: each for each in lack}


def refs(secret: Object, holders: Iterable[Object]) -> tuple[Ref, ...]:
    """Return the addresses of the Secrets that these children's pods mount, each once."""
    return tuple(dict.fromkeys(Ref.of_child(of_holder(secret, each)) for each in holders))


def may_be_missing(pod: Object, *, now: datetime) -> bool:
    """Tell whether a pod waits on its node for so long that its token may have been deleted."""
    status = pod.get("status") or {}
    placed = find(status, "PodScheduled") or {}
    if "deletionTimestamp" in pod["metadata"] or placed.get("status") != "True":
        return False
    states = [
        (container.get("state") or {}).get("waiting", {}).get("reason")
        for field in ("initContainerStatuses", "containerStatuses")
        for container in status.get(field) or ()
    ]
    since = placed.get("lastTransitionTime")
    # Whoever puts pods on nodes need not tell when.
    is_long = not since or now - parse_time(since) >= MOUNTING
    return is_long and bool(states) and all(state in _MOUNTING_STATES for state in states)


def token_secret(
    owner: Object,
    token: str,
    *,
    labels: Mapping[str, str],
    authority: str = "",
    base: str = "",
    kind: str = "",
) -> Object:
    """Return the Secret with a token, owned by the resource that it speaks for.

    It is made once and never written again: another token, or another authority by which its pods
    know the tracking service, has a Secret of another name.

    Args:
        authority: As PEM; "" where the service speaks plain HTTP.
        base: What its name begins with, if not with the owner's.
    """
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "immutable": True,
        "metadata": {
            "name": names.token_secret(base or owner["metadata"]["name"], owner, token + authority),
            "namespace": owner["metadata"]["namespace"],
            "labels": dict(labels),
            "ownerReferences": [objects.owner_reference(owner, kind)],
        },
        "type": "Opaque",
        "stringData": {
            contract.TOKEN_KEY: token,
            **({contract.CA_KEY: authority} if authority else {}),
        },
    }
