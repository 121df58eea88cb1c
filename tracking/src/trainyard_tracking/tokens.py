"""Verifies the tokens that the operator mints: Ed25519 JWTs of Runs, versions and deployments.

Holds only the public key. Until when a token is good is not in it: see ledger.py and living.py.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jwt
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from trainyard_api.contract import (
    CLAIM_AUDIENCE,
    CLAIM_ISSUER,
    DEPLOYMENT_SUBJECT,
    MODEL_VERSION_SUBJECT,
    RUN_SUBJECT,
    SIGNATURE_ALGORITHM,
)

from trainyard_tracking.errors import BadSettings, Unauthenticated
from trainyard_tracking.identity import DeploymentIdentity, VersionIdentity


@dataclass(frozen=True, slots=True)
class RunClaim:
    """What a run token says; the ledger knows the rest."""

    run_id: str
    namespace: str
    name: str


Claim = RunClaim | VersionIdentity | DeploymentIdentity


def read_public_key(path: Path) -> Ed25519PublicKey:
    """Read the key that tokens are verified with from an X.509 certificate.

    Raises:
        BadSettings: the file is missing, is no certificate, or holds another kind of key.
    """
    try:
        key = x509.load_pem_x509_certificate(path.read_bytes()).public_key()
    except (OSError, ValueError) as exc:
        raise BadSettings(
            f"TRAINYARD_VERIFY_CERT_FILE {path} can't be read as a PEM certificate: {exc}"
        ) from exc
    if not isinstance(key, Ed25519PublicKey):
        raise BadSettings(f"TRAINYARD_VERIFY_CERT_FILE {path} holds no Ed25519 key; make it anew")
    return key


def is_ours(token: str) -> bool:
    """Tell our tokens from those of the API server, without believing either."""
    return bool(_unverified(token).get("iss") == CLAIM_ISSUER)


def audiences(token: str) -> tuple[str, ...]:
    """Say whom a token is for, by its own words; nothing if it does not say so."""
    said = _unverified(token).get("aud")
    if isinstance(said, str):
        return (said,)
    # Whoever sends it wrote it.
    return tuple(map(str, said)) if isinstance(said, list) else ()


def _unverified(token: str) -> dict[str, Any]:
    try:
        claims: dict[str, Any] = jwt.decode(token, options={"verify_signature": False})
    except jwt.InvalidTokenError:
        return {}
    return claims


def verify(token: str, key: Ed25519PublicKey) -> Claim:
    """Verify one of our tokens.

    Raises:
        Unauthenticated: signature, issuer, audience or subject are not ours.
    """
    try:
        claims = jwt.decode(
            token,
            key=key,
            algorithms=[SIGNATURE_ALGORITHM],
            audience=CLAIM_AUDIENCE,
            issuer=CLAIM_ISSUER,
            options={"require": ["sub", "iss", "aud"], "verify_iat": False},
        )
        return _claim(claims)
    except (jwt.InvalidTokenError, KeyError, ValueError) as exc:
        raise Unauthenticated(f"The token was not issued for this service: {exc}") from exc


def _claim(claims: dict[str, Any]) -> Claim:
    subject, namespace, name = str(claims["sub"]), str(claims["ns"]), str(claims["name"])
    if subject.startswith(RUN_SUBJECT):
        return RunClaim(subject.removeprefix(RUN_SUBJECT), namespace, name)
    if subject.startswith(MODEL_VERSION_SUBJECT):
        return VersionIdentity(namespace, name, subject.rpartition(":")[2])
    if subject.startswith(DEPLOYMENT_SUBJECT):
        digests = frozenset(map(str, claims["digests"]))
        uid, made_at = str(claims.get("uid", "")), float(claims.get("iat", 0))
        return DeploymentIdentity(namespace, name, digests, uid, made_at)
    raise ValueError(f"subject {subject!r} is of no kind that is known here")
