"""The signed tokens by which pods are known to the tracking service. Pure.

Deterministic: the same subject gives the same bytes (Ed25519 has no randomness, and `iat` is
the resource's creation time), so that writing a Secret again changes nothing.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import lru_cache

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from trainyard_api import contract

from trainyard_operator import names
from trainyard_operator.engine import objects
from trainyard_operator.engine.plan import Object


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
    return _signed(deployment, subject, key=key, digests=sorted(digests))


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
    return jwt.encode(payload, _parsed(key), algorithm=contract.SIGNATURE_ALGORITHM)


@lru_cache(maxsize=4)
def _parsed(key: str) -> Ed25519PrivateKey:
    parsed = load_pem_private_key(key.encode(), password=None)
    assert isinstance(parsed, Ed25519PrivateKey)  # noqa: S101  # for the type checker: jwt refuses
    return parsed


def token_secret(
    owner: Object, name: str, token: str, *, labels: Mapping[str, str], kind: str = ""
) -> Object:
    """Return the Secret with a token, owned by the resource that it speaks for."""
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": name,
            "namespace": owner["metadata"]["namespace"],
            "labels": dict(labels),
            "ownerReferences": [objects.owner_reference(owner, kind)],
        },
        "type": "Opaque",
        "stringData": {contract.TOKEN_KEY: token},
    }
