"""Builders and fakes of the tracking service's tests: a cluster and an object store in memory.

The fake API server knows creation, deletion with finalizers, JSON patch, reviews of tokens and of
access; nothing of validation. `operator` is called after each write to a Model, in its place.
"""

import copy
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jwt
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.x509.oid import NameOID
from trainyard_tracking.kube import KubeDown, KubeError
from trainyard_tracking.objects import Entry

Object = dict[str, Any]
KEY = Ed25519PrivateKey.from_private_bytes(b"k" * 32)
ELSE = Ed25519PrivateKey.from_private_bytes(b"e" * 32)

API_SERVER = "https://kubernetes.default.svc"
UID = "7f1c-uid"
OPERATOR = "operator-token"
SCIENTIST = "scientist-token"
VIEWER = "viewer-token"
STRANGER = "stranger-token"
_ROOT = "/apis/trainyard.dev/v1alpha1/namespaces"
_LISTED = {"models", "modelversions", "modeldeployments", "namespaces"}
_READS = ("get", "list")
_WRITES = (*_READS, "create", "update", "patch", "delete")


@dataclass
class FakeKube:
    """An API server of which the service's few calls are true."""

    objects: dict[str, Object] = field(default_factory=dict)
    down: bool = False
    revision: int = 100
    operator: Callable[["FakeKube", Object], None] | None = None
    tokens_seen: list[str | None] = field(default_factory=list)
    reviews: int = 0

    def get(self, path: str) -> Object:
        self._up()
        if path in self.objects:
            return copy.deepcopy(self.objects[path])
        if path.rpartition("/")[2] in _LISTED:
            items = [
                o
                for p, o in self.objects.items()
                if p.split("/")[-2] == path.rsplit("/", maxsplit=1)[-1]
            ]
            return {"metadata": {"resourceVersion": str(self.revision)}, "items": items}
        raise KubeError(404, "NotFound", f"{path} not found")

    def create(self, path: str, body: Object, *, token: str | None = None) -> Object:
        self._up()
        if body["kind"] in {"TokenReview", "SubjectAccessReview"}:
            self.reviews += 1
            return {"status": _reviewed(body)}
        self.tokens_seen.append(token)
        where = f"{path}/{body['metadata']['name']}"
        if where in self.objects:
            raise KubeError(409, "AlreadyExists", f"{where} already exists")
        made = copy.deepcopy(body)
        made["metadata"] |= {
            "uid": where,
            "generation": 1,
            "creationTimestamp": "2026-11-24T12:00:00Z",
        }
        return self.write(where, made)

    def patch(self, path: str, operations: list[Object], *, token: str | None = None) -> Object:
        self._up()
        self.tokens_seen.append(token)
        changed = copy.deepcopy(self.objects[path])
        for operation in operations:
            _apply(changed, operation)
        changed["metadata"]["generation"] = changed["metadata"].get("generation", 1) + 1
        written = self.write(path, changed)
        if self.operator is not None:
            self.operator(self, written)
        return written

    def delete(self, path: str, *, token: str | None = None) -> Object:
        self._up()
        self.tokens_seen.append(token)
        if path not in self.objects:
            raise KubeError(404, "NotFound", f"{path} not found")
        if self.objects[path]["metadata"].get("finalizers"):
            going = copy.deepcopy(self.objects[path])
            going["metadata"]["deletionTimestamp"] = "2026-11-24T12:01:00Z"
            return self.write(path, going)
        del self.objects[path]
        return {"kind": "Status"}

    def watch(self, path: str, resource_version: str) -> Iterator[Object]:
        return iter(())

    def write(self, path: str, resource: Object) -> Object:
        """Put a resource in as the API server would, at a new revision."""
        self.revision += 1
        resource["metadata"]["resourceVersion"] = str(self.revision)
        self.objects[path] = resource
        return copy.deepcopy(resource)

    def has(self, plural: str, name: str, *, namespace: str = "team", **more: Any) -> Object:
        """Have a resource with a UID be there, whose pods may have tokens."""
        metadata = {"namespace": namespace, "name": name, "uid": UID}
        path = f"{_ROOT}/{namespace}/{plural}/{name}"
        return self.write(path, {"spec": {}, **more, "metadata": metadata})

    def _up(self) -> None:
        if self.down:
            raise KubeDown("connection refused")


def person_token(name: str, *audiences: str) -> str:
    """Make a token of the cluster, as `kubectl create token --audience` does."""
    claims = {"iss": "https://kubernetes", "aud": [*audiences], "sub": name}
    return jwt.encode(claims, ELSE, algorithm="EdDSA")


def _reviewed(body: Object) -> Object:
    if body["kind"] == "TokenReview":
        token, wanted = body["spec"]["token"], body["spec"].get("audiences") or [API_SERVER]
        if token in {OPERATOR, SCIENTIST, VIEWER, STRANGER}:
            name, said = token.removesuffix("-token"), [API_SERVER]
        else:
            try:
                claims = jwt.decode(token, options={"verify_signature": False})
                name, said = claims.get("sub", ""), claims.get("aud", [])
            except jwt.InvalidTokenError:
                name, said = "", []
        audiences = [one for one in wanted if one in said]
        user = {"username": name}
        return {"authenticated": bool(audiences), "user": user, "audiences": audiences}
    attributes = body["spec"]["resourceAttributes"]
    verb, namespace = attributes["verb"], attributes["namespace"]
    rights = {
        "operator": verb == "operate" or verb in _WRITES,
        "scientist": namespace == "team" and verb in _WRITES,
        "viewer": namespace == "team" and verb in _READS,
    }
    return {"allowed": rights.get(body["spec"]["user"], False)}


def _apply(resource: Object, operation: Object) -> None:
    *parents, last = [
        part.replace("~1", "/").replace("~0", "~") for part in operation["path"].split("/")[1:]
    ]
    place = resource
    for part in parents:
        place = place[part]
    if operation["op"] == "test" and place.get(last) != operation["value"]:
        raise KubeError(422, "Invalid", f"testing value {operation['path']} failed")
    if operation["op"] == "add":
        place[last] = operation["value"]
    if operation["op"] == "remove":
        del place[last]


@dataclass
class FileObjects:
    """An object store in a folder."""

    root: Path

    def size(self, key: str) -> int | None:
        path = self.root / key
        return path.stat().st_size if path.is_file() else None

    def read(self, key: str, offset: int = 0) -> Iterator[bytes]:
        return iter([(self.root / key).read_bytes()[offset:]])

    def put(self, key: str, content: Path) -> None:
        path = self.root / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.read_bytes())

    def put_new(self, key: str, content: Path) -> bool:
        if self.size(key) is not None:
            return False
        self.put(key, content)
        return True

    def under(self, prefix: str) -> list[Entry]:
        root = self.root / prefix
        found = [path for path in root.rglob("*") if path.is_file()]
        return [Entry(path.relative_to(root).as_posix(), path.stat().st_size) for path in found]


def certificate() -> bytes:
    """Give the certificate that holds the public half of KEY."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "trainyard")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(KEY.public_key())
        .serial_number(1)
        .not_valid_before(datetime(2026, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(2046, 1, 1, tzinfo=UTC))
        .sign(KEY, None)
    )
    return made.public_bytes(serialization.Encoding.PEM)


def token(
    subject: str, name: str, *, namespace: str = "team", key: Any = KEY, **changes: Any
) -> str:
    """Mint a token as the operator does."""
    claims = {
        "iss": "trainyard",
        "aud": "trainyard-tracking",
        "sub": subject,
        "ns": namespace,
        "name": name,
        "iat": int(time.time()) - 5,
    }
    return jwt.encode({**claims, **changes}, key, algorithm="EdDSA")


def run_token(run_id: str, name: str = "fit", **changes: Any) -> str:
    return token(f"run:{run_id}", name, **changes)


def bearer(text: str, **headers: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {text}", **headers}
