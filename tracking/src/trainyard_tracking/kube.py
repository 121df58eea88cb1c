"""The few calls of the Kubernetes API that the service makes, over plain HTTP.

Nothing else here talks to the API server. Synchronous: callers are MLflow's request threads and
the watch threads. Answers other than success become `KubeError`; no answer becomes `KubeDown`.
"""

import json
import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import httpx
from kubernetes import config as kube_config
from kubernetes.client import Configuration
from trainyard_api.contract import GROUP, VERSION

from trainyard_tracking.errors import BadSettings

Object = dict[str, Any]

_SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
_WATCH_SECONDS = 240


class KubeError(Exception):
    """The API server refused; `status` and `message` are its own words.

    Attributes:
        again: After how many seconds it wants to be asked again, if it said so.
    """

    def __init__(self, status: int, reason: str, message: str, again: int | None = None) -> None:
        super().__init__(message)
        self.again = again
        self.status = status
        self.reason = reason
        self.message = message


class KubeDown(Exception):  # noqa: N818  # a state of the cluster
    """The API server can't be reached."""


def resource_path(plural: str, namespace: str = "", name: str = "") -> str:
    """Give the path of one of our resources, or of namespaces."""
    if plural == "namespaces":
        return f"/api/v1/namespaces/{name}".rstrip("/")
    within = f"/namespaces/{namespace}" if namespace else ""
    return f"/apis/{GROUP}/{VERSION}{within}/{plural}/{name}".rstrip("/")


class Kube(Protocol):
    """What the rest of the service needs of an API server; tests bring a fake."""

    def get(self, path: str) -> Object: ...

    def create(self, path: str, body: Object, *, token: str | None = None) -> Object: ...

    def merge(self, path: str, change: Object, *, token: str | None = None) -> Object: ...

    def delete(self, path: str, *, token: str | None = None, dry: bool = False) -> Object: ...

    def watch(self, path: str, resource_version: str) -> Iterator[Object]: ...


@dataclass(frozen=True, slots=True)
class Cluster:
    """Where the API server is and who we are to it."""

    url: str
    verify: ssl.SSLContext | bool
    token_file: Path | None = None
    token: str = ""

    def bearer(self) -> str:
        # Projected tokens rotate; the file is small and cached by the kernel.
        return self.token_file.read_text().strip() if self.token_file else self.token


def find_cluster() -> Cluster:
    """Find the API server: from inside a pod, else by the current kubeconfig context.

    Raises:
        BadSettings: there is neither.
    """
    if (_SERVICE_ACCOUNT / "token").exists():
        ca = str(_SERVICE_ACCOUNT / "ca.crt")
        url = "https://kubernetes.default.svc"
        return Cluster(url, ssl.create_default_context(cafile=ca), _SERVICE_ACCOUNT / "token")
    found = Configuration()
    try:
        kube_config.load_kube_config(client_configuration=found)
    except kube_config.ConfigException as exc:
        raise BadSettings(f"no Kubernetes API: not in a pod, and no kubeconfig: {exc}") from exc
    context = ssl.create_default_context(cafile=found.ssl_ca_cert)
    if found.cert_file:
        context.load_cert_chain(found.cert_file, found.key_file)
    bearer = str(found.api_key.get("authorization", "")).removeprefix("Bearer ")
    return Cluster(str(found.host), context, token=bearer)


def own_namespace() -> str:
    """Tell which namespace this pod is in; nothing outside of a cluster."""
    file = _SERVICE_ACCOUNT / "namespace"
    return file.read_text().strip() if file.exists() else ""


@dataclass(slots=True)
class HttpKube:
    """The real API server."""

    cluster: Cluster
    timeout: float = 10.0
    _own: httpx.Client = field(init=False)
    _theirs: httpx.Client = field(init=False)

    def __post_init__(self) -> None:
        self._own = httpx.Client(
            base_url=self.cluster.url, verify=self.cluster.verify, timeout=self.timeout
        )
        # Writes for people must never carry our client certificate along with their token.
        verify = self.cluster.verify
        plain = verify if self.cluster.token_file else _without_client_certificate(verify)
        self._theirs = httpx.Client(base_url=self.cluster.url, verify=plain, timeout=self.timeout)

    def get(self, path: str) -> Object:
        return self._call("GET", path)

    def create(self, path: str, body: Object, *, token: str | None = None) -> Object:
        return self._call("POST", path, body=body, token=token)

    def merge(self, path: str, change: Object, *, token: str | None = None) -> Object:
        """Write what a JSON merge patch names; a resourceVersion in it must be the present one."""
        kind = "application/merge-patch+json"
        return self._call("PATCH", path, body=change, token=token, content_type=kind)

    def delete(self, path: str, *, token: str | None = None, dry: bool = False) -> Object:
        """Delete, or with `dry` only hear whether that would be allowed."""
        return self._call("DELETE", f"{path}?dryRun=All" if dry else path, token=token)

    def close(self) -> None:
        """Close all connections."""
        self._own.close()
        self._theirs.close()

    def watch(self, path: str, resource_version: str) -> Iterator[Object]:
        """Yield watch events until the API server ends the stream."""
        query = {
            "watch": "true",
            "resourceVersion": resource_version,
            "allowWatchBookmarks": "true",
            "timeoutSeconds": str(_WATCH_SECONDS),
        }
        patience = httpx.Timeout(self.timeout, read=_WATCH_SECONDS + 30)
        headers = self._headers(None)
        try:
            with self._own.stream(
                "GET", path, params=query, headers=headers, timeout=patience
            ) as answer:
                if answer.status_code >= 400:
                    answer.read()
                    raise _error(answer)
                for line in answer.iter_lines():
                    yield json.loads(line)
        except httpx.HTTPError as exc:
            raise KubeDown(str(exc)) from exc

    def _headers(self, token: str | None) -> dict[str, str]:
        bearer = self.cluster.bearer() if token is None else token
        return {"Authorization": f"Bearer {bearer}"} if bearer else {}

    def _call(
        self,
        method: str,
        path: str,
        *,
        body: Any = None,
        token: str | None = None,
        content_type: str = "application/json",
    ) -> Object:
        client = self._own if token is None else self._theirs
        headers: Mapping[str, str] = {**self._headers(token), "Content-Type": content_type}
        content = None if body is None else json.dumps(body).encode()
        try:
            answer = client.request(method, path, content=content, headers=headers)
        except httpx.HTTPError as exc:
            raise KubeDown(f"the Kubernetes API does not answer: {exc}") from exc
        if answer.status_code >= 500:
            raise KubeDown(f"the Kubernetes API answers {answer.status_code}")
        if answer.status_code >= 400:
            raise _error(answer)
        found: Object = answer.json()
        return found


def _without_client_certificate(verify: ssl.SSLContext | bool) -> ssl.SSLContext | bool:
    if isinstance(verify, bool):
        return verify
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    for certificate in verify.get_ca_certs(binary_form=True):
        context.load_verify_locations(cadata=certificate)
    return context


def _error(answer: httpx.Response) -> KubeError:
    try:
        status = answer.json()
    except ValueError:
        status = {}
    return KubeError(
        answer.status_code,
        str(status.get("reason", "")),
        str(status.get("message", answer.text[:500])),
        int(again) if (again := answer.headers.get("Retry-After", "")).isdecimal() else None,
    )
