"""Builders and fakes of the tracking service's tests: a cluster and an object store in memory.

The fake API server knows creation, deletion with finalizers, merge patch, reviews of tokens and of
access; nothing of validation. `operator` is called after each write to a Model, in its place.
"""

import copy
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import jwt
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.x509.oid import NameOID
from trainyard_tracking.errors import Lost
from trainyard_tracking.kube import KubeDown, KubeError
from trainyard_tracking.objects import Entry, Opened, Stat

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
    pages: list[int] = field(default_factory=list)
    """How long each page of a list was that was given."""
    refuses: Callable[[str, str, Object], None] | None = None
    """Raises what an admission policy would, before a patch or a deletion is done."""
    lock: threading.RLock = field(default_factory=threading.RLock)

    def get(self, path: str) -> Object:
        self._up()
        path, _, query = path.partition("?")
        if path in self.objects:
            return copy.deepcopy(self.objects[path])
        plural = path.rpartition("/")[2]
        if plural in _LISTED:
            items = [o for p, o in self.objects.items() if p.split("/")[-2] == plural]
            return self._page(items, dict(parse_qsl(query)))
        raise KubeError(404, "NotFound", f"{path} not found")

    def _page(self, items: list[Object], asked: dict[str, str]) -> Object:
        """Give as much of a list as was asked for, and where the rest begins."""
        begin = int(asked.get("continue", 0))
        end = begin + int(asked.get("limit", len(items)))
        self.pages.append(len(items[begin:end]))
        more = {"continue": str(end)} if end < len(items) else {}
        metadata = {"resourceVersion": str(self.revision), **more}
        return {"metadata": metadata, "items": copy.deepcopy(items[begin:end])}

    def create(self, path: str, body: Object, *, token: str | None = None) -> Object:
        self._up()
        if body["kind"] in {"TokenReview", "SubjectAccessReview"}:
            self.reviews += 1
            return {"status": _reviewed(body)}
        self.tokens_seen.append(token)
        with self.lock:
            return self._created(f"{path}/{body['metadata']['name']}", body)

    def _created(self, where: str, body: Object) -> Object:
        if where in self.objects:
            raise KubeError(409, "AlreadyExists", f"{where} already exists")
        made = copy.deepcopy(body)
        made["metadata"] |= {
            "uid": where,
            "generation": 1,
            "creationTimestamp": "2026-11-24T12:00:00Z",
        }
        return self.write(where, made)

    def merge(self, path: str, change: Object, *, token: str | None = None) -> Object:
        self._up()
        self.tokens_seen.append(token)
        with self.lock:
            if path not in self.objects:
                raise KubeError(404, "NotFound", f"{path} not found")
            there = self.objects[path]["metadata"]["resourceVersion"]
            if change.get("metadata", {}).get("resourceVersion", there) != there:
                raise KubeError(409, "Conflict", "the object has been modified")
            if self.refuses is not None:
                self.refuses("patch", path, change)
            changed = merged(self.objects[path], change)
            if changed["spec"] != self.objects[path]["spec"]:
                changed["metadata"]["generation"] = changed["metadata"].get("generation", 1) + 1
            written = self.write(path, changed)
        if self.operator is not None:
            self.operator(self, written)
        return written

    def delete(self, path: str, *, token: str | None = None, dry: bool = False) -> Object:
        self._up()
        self.tokens_seen.append(token)
        if path not in self.objects:
            raise KubeError(404, "NotFound", f"{path} not found")
        if self.refuses is not None:
            self.refuses("delete", path, {})
        if dry:
            return {"kind": "Status"}
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
        with self.lock:
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


def merged(there: Any, change: Any) -> Any:
    """Apply a JSON merge patch."""
    if not isinstance(change, dict):
        return copy.deepcopy(change)
    result = copy.deepcopy(there) if isinstance(there, dict) else {}
    for key, one in change.items():
        if one is None:
            result.pop(key, None)
        else:
            result[key] = merged(result.get(key), one)
    return result


@dataclass
class FileObjects:
    """An object store in a folder.

    Attributes:
        calls: What it was asked, in order.
        failing: What the next calls of a name raise; None lets one through.
    """

    root: Path
    calls: list[str] = field(default_factory=list)
    failing: dict[str, list[Exception | None]] = field(default_factory=dict)
    uploads: dict[str, list[bytes]] = field(default_factory=dict)
    completed: dict[str, bool] = field(default_factory=dict)
    begun: int = 0

    def stat(self, key: str) -> Stat | None:
        self._called("stat")
        path = self.root / key
        return self._stat(path) if path.is_file() else None

    def open(self, key: str) -> Opened | None:
        self._called("open")
        path = self.root / key
        return Opened(self._stat(path), iter([path.read_bytes()])) if path.is_file() else None

    def read(self, key: str, offset: int = 0, length: int | None = None) -> Iterator[bytes]:
        self._called("read")
        end = None if length is None else offset + length
        return iter([(self.root / key).read_bytes()[offset:end]])

    def put(self, key: str, content: Path) -> None:
        self.write(key, content.read_bytes(), new=False)

    def write(self, key: str, data: bytes, *, new: bool) -> bool:
        self._called("write")
        path = self.root / key
        if new and path.is_file():
            return False
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        return True

    def begin(self, key: str) -> str:
        self._called("begin")
        self.begun += 1
        upload = f"upload-{self.begun}"
        self.uploads[upload] = []
        return upload

    def part(self, key: str, upload: str, number: int, data: bytes) -> str:
        self._called("part")
        if upload not in self.uploads:
            raise Lost("NoSuchUpload")
        assert number == len(self.uploads[upload]) + 1
        self.uploads[upload].append(data)
        return f"tag-{number}"

    def complete(self, key: str, upload: str, tags: list[str], *, new: bool) -> bool:
        self._called("complete")
        if upload not in self.completed:
            if upload not in self.uploads:
                raise Lost("NoSuchUpload")
            assert len(tags) == len(self.uploads[upload])
            self.completed[upload] = self.write(key, b"".join(self.uploads.pop(upload)), new=new)
        self._failed("the answer of complete")
        return self.completed[upload]

    def abort(self, key: str, upload: str) -> None:
        self._called("abort")
        self.uploads.pop(upload, None)

    def under(self, prefix: str) -> list[Entry]:
        self._called("under")
        root = self.root / prefix
        found = [path for path in root.rglob("*") if path.is_file()]
        return [Entry(path.relative_to(root).as_posix(), path.stat().st_size) for path in found]

    def folders(self, prefix: str) -> tuple[list[Entry], list[str]]:
        below = self.under(prefix)
        files = [entry for entry in below if "/" not in entry.path]
        return files, sorted({entry.path.split("/")[0] for entry in below if "/" in entry.path})

    def delete(self, keys: list[str]) -> None:
        for path in (self.root / key for key in keys):
            if path.is_file():
                path.unlink()

    def _called(self, what: str) -> None:
        self.calls.append(what)
        self._failed(what)

    def _failed(self, what: str) -> None:
        if self.failing.get(what) and (failure := self.failing[what].pop(0)):
            raise failure

    def _stat(self, path: Path) -> Stat:
        told = path.stat()
        return Stat(told.st_size, f'"{told.st_mtime_ns:x}"')


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
