"""The way to the tracking service, from inside a pod or through the API server's service proxy.

Speaks of bytes and MLflow's JSON; knows no terminals and changes no resources.
"""

import json
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import IO, Any
from urllib.parse import quote

import httpx
from trainyard_api.contract import (
    AUTHORIZATION_HEADER,
    CLAIM_AUDIENCE,
    HEALTH_ROUTE,
    TRACKING_API,
    TRACKING_PORT,
    WORKSPACE_HEADER,
)
from trainyard_api.slices import SLICE, Window, content_range, send

from trainyard._kube import Kube, Object, as_json, error_of, object_of
from trainyard._patience import Patience
from trainyard.errors import ApiError, NotFound, TrainyardError

USER_ACCOUNT = "trainyard-user"
"""ServiceAccount of the chart for whom people with client certificates get a token."""
SERVICE = "trainyard-tracking"
_TOKEN_SECONDS = 3600
_RENEW_BEFORE = 600
# The API server's answers where it may not, or can't, reach a service by the scheme asked for.
_NOT_REACHED = frozenset({403, 500, 502, 503})


def system_namespace() -> str:
    """Return the namespace of the chart's own services."""
    return os.environ.get("TRAINYARD_SYSTEM_NAMESPACE") or "trainyard-system"


def proxy_path(
    namespace: str,
    service: str = SERVICE,
    port: int | str = TRACKING_PORT,
    *,
    scheme: str = "http",
) -> str:
    """Return the API server's path that leads to a service, which it asks by *scheme*."""
    where = f"/api/v1/namespaces/{quote(namespace, safe='')}"
    return f"{where}/services/{scheme}:{quote(service, safe='')}:{port}/proxy"


class Tokens:
    """The token for the tracking service: the kubeconfig's own, or one that the cluster makes.

    The API server's proxy takes the Authorization header for itself and strips
    it, so the token travels in a header of its own; a client certificate does
    not travel at all, hence the ServiceAccount. Thread-safe.
    """

    def __init__(self, kube: Kube, *, writes_registry: bool = False) -> None:
        """Without *writes_registry* a token that is made is good for the tracking service alone."""
        self._kube = kube
        self._spec: Object = {"expirationSeconds": _TOKEN_SECONDS}
        if not writes_registry:
            self._spec["audiences"] = [CLAIM_AUDIENCE]
        self._lock = threading.Lock()
        self._made = ""
        self._good_until = (0.0, 0.0)

    def current(self) -> str:
        """Return a token that is good for some minutes at least."""
        own = self._kube.access.token()
        if own:
            return own
        with self._lock:
            if any(now >= end for now, end in zip(_clocks(), self._good_until, strict=True)):
                wall, steady = _clocks()
                self._made = self._request()
                good = _TOKEN_SECONDS - _RENEW_BEFORE
                self._good_until = (wall + good, steady + good)
            return self._made

    def _request(self) -> str:
        namespace = system_namespace()
        path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{USER_ACCOUNT}/token"
        answer = self._kube.request(
            "POST",
            path,
            what="get a token for the tracking service",
            harmless=True,
            body={
                "apiVersion": "authentication.k8s.io/v1",
                "kind": "TokenRequest",
                "spec": self._spec,
            },
        )
        return str(answer["status"]["token"])


def _clocks() -> tuple[float, float]:
    """Return the time by two clocks: one may be set, the other stands still in a laptop's sleep."""
    return time.time(), time.monotonic()


class Tracking:
    """Requests to the tracking service."""

    def __init__(
        self,
        http: httpx.Client,
        base: str,
        headers: Callable[[], dict[str, str]],
        reaching: Callable[[str], Any],
        extensions: Mapping[str, Any],
        *,
        patience: Patience,
        options: Callable[[str], str] = lambda _: "",
    ) -> None:
        """*options* returns those by which the command comes to a namespace."""
        self.http = http
        self.base = base
        self.headers = headers
        self.extensions = dict(extensions)
        self.patience = patience
        self.timeout = httpx.Timeout(120, connect=10)
        self._reaching = reaching
        self._options = options
        self._is_settled = False

    @classmethod
    def of(cls, kube: Kube, *, writes_registry: bool = False) -> "Tracking":
        """Reach the tracking service of the cluster that *kube* talks to.

        Who *writes_registry*, as MLflow's clients do, writes with the rights that the token has
        in the cluster.
        """
        tokens = Tokens(kube, writes_registry=writes_registry)

        def headers() -> dict[str, str]:
            return {**kube.credentials(), AUTHORIZATION_HEADER: f"Bearer {tokens.current()}"}

        base = proxy_path(system_namespace(), scheme="https")
        return cls(
            kube.http,
            base,
            headers,
            kube.reaching,
            kube.extensions,
            patience=kube.patience,
            options=kube.access.command_options,
        )

    def healthy(self) -> Object:
        """Ask the service how it is."""
        return self.json("GET", f"{TRACKING_API}/health", what="reach the tracking service")

    def json(
        self,
        method: str,
        path: str,
        *,
        what: str,
        namespace: str = "",
        body: object = None,
        params: Mapping[str, Any] | None = None,
    ) -> Object:
        """Read by one request, again while nobody answers, and return the JSON answer.

        Raises:
            ApiError, Unreachable: as the subclasses say.
        """
        headers = {"Content-Type": "application/json"} if body is not None else {}
        content = None if body is None else json.dumps(body)

        def send() -> httpx.Response:
            return self._send(
                method, path, what, namespace, content=content, params=params, headers=headers
            )

        return object_of(self.patience.ask(send, harmless=True), what)

    def mlflow(self, route: str, *, namespace: str, what: str, body: object = None) -> Object:
        """Read by MLflow's REST API in a workspace: POST with a *body*, else GET."""
        method = "GET" if body is None else "POST"
        path = f"/api/2.0/mlflow/{route}"
        return self.json(method, path, what=what, namespace=namespace, body=body)

    def summary(self, namespace: str, run_id: str) -> Object:
        """Sum up a run of the namespace: metrics, and the models that it logged."""
        path = f"{TRACKING_API}/namespaces/{namespace}/runs/{run_id}/summary"
        return self.json("GET", path, what=f"read run {run_id}", namespace=namespace)

    def has_blob(self, namespace: str, digest: str) -> bool:
        """Tell whether content of this digest was uploaded before."""

        def look() -> httpx.Response:
            return self._send("HEAD", self._blob(namespace, digest), "look for it", namespace)

        try:
            self.patience.ask(look, harmless=True)
        except NotFound:
            return False
        return True

    def put_blob(
        self,
        namespace: str,
        digest: str,
        content: IO[bytes],
        size: int,
        *,
        sent: Callable[[int], None] | None = None,
    ) -> None:
        """Upload *size* bytes of *content*; *sent* is called with the length of each block.

        What an earlier call left of a large one is not sent again.
        """
        path, what, told = self._blob(namespace, digest), "upload the folder", 0

        def tell(there: int) -> None:
            nonlocal told
            if sent is not None:
                sent(there - told)
            told = there

        def ask() -> tuple[bool, int]:
            if size <= SLICE:
                return False, 0
            found = self.json("GET", f"{path}/upload", what=what, namespace=namespace)
            tell(int(found["offset"]))
            return bool(found["complete"]), told

        def put(begin: int, end: int) -> int | None:
            def blocks() -> Iterator[bytes]:
                for block in Window(content, begin, end):
                    yield block
                    tell(told + len(block))

            headers = content_range(begin, end, size)
            answer = self._send("PUT", path, what, namespace, content=blocks(), headers=headers)
            return int(answer.json()["offset"]) if answer.status_code == 202 else None

        _send(size, ask=ask, put=put, told=tell)

    @contextmanager
    def log(
        self, namespace: str, run_id: str, attempt: int, *, offset: int = 0
    ) -> Iterator[Iterator[bytes]]:
        """Open the recorded log of an attempt from a byte on; it is read block by block.

        Raises:
            NotFound: nothing is recorded of this attempt.
        """
        what = f"read the log of attempt {attempt}"
        path = f"{TRACKING_API}/namespaces/{namespace}/runs/{run_id}/logs/{attempt}"
        if not self._is_settled:
            self._send("GET", HEALTH_ROUTE, what, namespace)
        with (
            self._reaching(what),
            self.http.stream(
                "GET",
                self.base + path,
                params={"offset": offset},
                headers=self._headers(namespace),
                extensions=self.extensions,
            ) as answer,
        ):
            if not answer.is_success:
                answer.read()
                raise self._error(answer, what, namespace)
            yield answer.iter_bytes()

    def _blob(self, namespace: str, digest: str) -> str:
        return f"{TRACKING_API}/namespaces/{namespace}/blobs/{digest}"

    def _headers(self, namespace: str) -> dict[str, str]:
        workspace = {WORKSPACE_HEADER: namespace} if namespace else {}
        return {**self.headers(), **workspace}

    def _send(
        self,
        method: str,
        path: str,
        what: str,
        namespace: str,
        *,
        content: Any = None,
        params: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> httpx.Response:
        def ask() -> httpx.Response:
            with self._reaching(what):
                return self.http.request(
                    method,
                    self.base + path,
                    content=content,
                    params=params,
                    headers={**self._headers(namespace), **(headers or {})},
                    timeout=self.timeout,
                    extensions=self.extensions,
                )

        answer = ask()
        is_whole = content is None or isinstance(content, str)
        if answer.status_code in _NOT_REACHED and is_whole and self._turns_out_plain(what):
            answer = ask()
        if not answer.is_success:
            raise self._error(answer, what, namespace)
        self._is_settled = True
        return answer

    def _turns_out_plain(self, what: str) -> bool:
        """Tell whether the service speaks plain HTTP, and from then on ask it so.

        One that an older chart installed does, or one with tracking.tls.enabled=false.
        """
        if self._is_settled:
            return False
        plain = proxy_path(system_namespace())
        with self._reaching(what):
            # That route asks for no token, and none should be seen where TLS has only failed.
            headers = {k: v for k, v in self.headers().items() if k != AUTHORIZATION_HEADER}
            answer = self.http.get(
                plain + HEALTH_ROUTE, headers=headers, extensions=self.extensions
            )
        if answer.is_success:
            self.base, self._is_settled = plain, True
        return self._is_settled

    def _error(self, answer: httpx.Response, what: str, namespace: str) -> ApiError:
        body, where = as_json(answer), self._options(namespace)
        # The API server answers itself, with a Status, where the service is not there.
        absent = body.get("kind") == "Status" and answer.status_code in {404, 502, 503}
        if absent:
            error = ApiError(
                f"Cannot {what}: the tracking service in namespace {system_namespace()} does not"
                f" answer ({body.get('message', '')})",
                fix=f"`trainyard doctor{where}` looks at it; TRAINYARD_SYSTEM_NAMESPACE names"
                " another namespace",
                status=503,
                reason="TrackingUnavailable",
            )
            error.passing = answer.status_code != 404
            return error
        return error_of(answer, what, where=where)


def _send(
    size: int,
    *,
    ask: Callable[[], tuple[bool, int]],
    put: Callable[[int, int], int | None],
    told: Callable[[int], None],
) -> None:
    """Send a file in slices; an error says whether any was taken."""
    accepted = False

    def accept(there: int) -> None:
        nonlocal accepted
        accepted = True
        told(there)

    try:
        send(size, ask=ask, put=put, told=accept)
    except TrainyardError as exc:
        exc.progress = accepted
        raise
