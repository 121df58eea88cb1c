"""The only module that talks to the API server.

It translates HTTP into the operator's errors, and knows nothing of kinds. kopf lists and
watches; everything else goes through here. Every object that a write returns is handed to
`on_written`, so that the caches are never older than our own writes.

Rights it needs (the chart's ClusterRole says the same):
    trainyard.dev   experiments runs models modelversions modeldeployments   get list watch
                    …/status of these                                        get patch
                    …/finalizers of these                                    update
                    models, modelversions                                    create patch
                    models                                                   promote
                    runs                                                     operate
    batch           jobs                              get list watch create patch delete
    apps            deployments                       get list watch create patch delete
    ""              services                          get list watch create patch delete
                    pods                              get list watch delete
                    pods/log                          get
                    secrets                           create patch delete
                    nodes, namespaces, events         list
    events.k8s.io   events                            create patch
    policy          poddisruptionbudgets              create patch delete
    coordination.k8s.io  leases (own namespace)       get create update
"""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import aiohttp
import orjson

from trainyard_operator.engine import objects
from trainyard_operator.engine.access import Access
from trainyard_operator.engine.errors import (
    Conflict,
    NameTaken,
    NotFound,
    OperatorError,
    Retry,
    Terminal,
    Unavailable,
)
from trainyard_operator.engine.plan import Object, Ref
from trainyard_operator.metrics import REST_REQUESTS

_JSON = "application/json"
_MERGE = "application/merge-patch+json"
_JSON_PATCH = "application/json-patch+json"
_APPLY = "application/apply-patch+yaml"
_TIMEOUT = aiohttp.ClientTimeout(total=30, sock_connect=5)


def path_of(api_version: str, kind: str, namespace: str = "", name: str = "") -> str:
    """Return the URL path of an object, or of all objects of a kind without a name."""
    root = f"/api/{api_version}" if "/" not in api_version else f"/apis/{api_version}"
    scope = f"/namespaces/{namespace}" if namespace else ""
    leaf = f"/{name}" if name else ""
    return f"{root}{scope}/{objects.PLURALS[api_version, kind]}{leaf}"


class Kube:
    """A small client: JSON in, JSON out, one pooled session.

    Args:
        on_written: Told of every object that a write returned.
    """

    def __init__(
        self,
        access: Access,
        session: aiohttp.ClientSession,
        *,
        on_written: Callable[[Object], None] = lambda _: None,
    ) -> None:
        self._access = access
        self._session = session
        self.on_written = on_written

    async def read(self, ref: Ref) -> Object | None:
        """Return an object as it is now, None if there is none."""
        try:
            return await self._call("GET", _path(ref))
        except NotFound:
            return None

    async def list(
        self, api_version: str, kind: str, namespace: str = "", **params: str
    ) -> AsyncIterator[Object]:
        """Yield all objects of a kind, read in pages.

        Args:
            params: Query parameters such as labelSelector and fieldSelector.
        """
        query = {"limit": "500", **params}
        while True:
            page = await self._call("GET", path_of(api_version, kind, namespace), params=query)
            for item in page.get("items") or ():
                yield {"apiVersion": api_version, "kind": kind, **item}
            token = page["metadata"].get("continue")
            if not token:
                return
            query["continue"] = token

    async def apply(
        self, desired: Object, *, manager: str = objects.FIELD_MANAGER, force: bool = True
    ) -> Object:
        """Make the fields of *desired* hold (server-side apply), creating the object if need be.

        Raises:
            Conflict: Another manager owns a field, and force is False; the message names it.
        """
        params = {"fieldManager": manager, "force": "true" if force else "false"}
        path = _path(Ref.of(desired))
        return self._written(await self._call("PATCH", path, desired, _APPLY, params=params))

    async def create(self, desired: Object, *, known_by: str = "") -> Object:
        """Create an object once; one that has the same controller already is as good.

        Args:
            known_by: For an object without a controller, the label that tells whose it is.

        Raises:
            NameTaken: An object of that name belongs to somebody else.
        """
        ref = Ref.of(desired)
        path = path_of(ref.api_version, ref.kind, ref.namespace)
        params = {"fieldManager": objects.FIELD_MANAGER}
        try:
            return self._written(await self._call("POST", path, desired, params=params))
        except Conflict as exc:
            found = await self.read(ref)
            if found is not None and _is_same(found, desired, known_by):
                return self._written(found)
            raise NameTaken(
                f"{ref.kind}NameTaken",
                f"another {ref.kind} is named {ref.name}: waiting until it is deleted",
                after=timedelta(seconds=2),
            ) from exc

    async def delete(self, ref: Ref) -> None:
        """Delete an object in the background; gone, or another by now (UID), is fine."""
        body: Object = {"apiVersion": "v1", "kind": "DeleteOptions"}
        body["propagationPolicy"] = "Background"
        if ref.uid:
            body["preconditions"] = {"uid": ref.uid}
        try:
            await self._call("DELETE", _path(ref), body)
        except (NotFound, Conflict):
            return

    async def patch(self, ref: Ref, patch: Object, *, subresource: str = "") -> Object:
        """Merge-patch an object; with ref.uid, only the one with this UID.

        Raises:
            NotFound, Conflict: It is gone, or another object has its name by now.
        """
        if ref.uid:
            patch = {**patch, "metadata": {**patch.get("metadata", {}), "uid": ref.uid}}
        path = _path(ref) + (f"/{subresource}" if subresource else "")
        params = {"fieldManager": objects.FIELD_MANAGER}
        return self._written(await self._call("PATCH", path, patch, _MERGE, params=params))

    async def patch_status(self, resource: Object, patch: Object) -> Object:
        """Write the changed fields of a status, in one request."""
        return await self.patch(Ref.of(resource), {"status": patch}, subresource="status")

    async def json_patch(self, ref: Ref, operations: Sequence[Mapping[str, Any]]) -> Object:
        """Apply JSON patch operations.

        Raises:
            Conflict: A `test` did not hold.
        """
        params = {"fieldManager": objects.FIELD_MANAGER}
        try:
            done = await self._call("PATCH", _path(ref), operations, _JSON_PATCH, params=params)
        except Terminal as exc:
            raise Conflict("Conflict", exc.message) from exc
        return self._written(done)

    async def replace(self, desired: Object) -> Object:
        """PUT an object; its resourceVersion is the precondition (leases)."""
        return await self._call("PUT", _path(Ref.of(desired)), desired)

    async def post(self, desired: Object) -> Object:
        """POST an object as it is (events, leases).

        Raises:
            Conflict: It exists.
        """
        ref = Ref.of(desired)
        return await self._call("POST", path_of(ref.api_version, ref.kind, ref.namespace), desired)

    @asynccontextmanager
    async def log(
        self, namespace: str, pod: str, *, container: str, since: str = "", follow: bool = True
    ) -> AsyncIterator[aiohttp.StreamReader]:
        """Open a container's log with timestamps, from *since* (RFC 3339, whole seconds) on.

        Raises:
            NotFound: The pod is gone.
            Retry, Terminal: The log cannot be read (now).
        """
        params = {"container": container, "timestamps": "true"}
        params |= {"follow": "true"} if follow else {}
        params |= {"sinceTime": since} if since else {}
        silence = None if follow else 30
        limits = aiohttp.ClientTimeout(total=None, sock_connect=5, sock_read=silence)
        path = path_of("v1", "Pod", namespace, pod) + "/log"
        async with self._request("GET", path, params=params, limits=limits) as response:
            yield response.content

    async def _call(
        self,
        method: str,
        path: str,
        body: Any = None,
        content_type: str = _JSON,
        *,
        params: Mapping[str, str] | None = None,
    ) -> Object:
        data = orjson.dumps(body) if body is not None else None
        async with self._request(
            method, path, data=data, content_type=content_type, params=params or {}
        ) as response:
            answer: Object = orjson.loads(await response.read())
            return answer

    @asynccontextmanager
    async def _request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str],
        data: bytes | None = None,
        content_type: str = "",
        limits: aiohttp.ClientTimeout = _TIMEOUT,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        headers = self._access.headers()
        if data is not None:
            headers["Content-Type"] = content_type
        url = self._access.server + path
        try:
            async with self._session.request(
                method, url, params=params, data=data, headers=headers, timeout=limits
            ) as response:
                REST_REQUESTS.labels(str(response.status), method).inc()
                if response.status >= 400:
                    raise error_of(response.status, await response.read(), response.headers)
                yield response
        except (aiohttp.ClientError, TimeoutError) as exc:
            REST_REQUESTS.labels("<error>", method).inc()
            raise Unavailable(
                "APIServerUnavailable", f"{method} {path}: {exc or type(exc).__name__}"
            ) from exc

    def _written(self, written: Object) -> Object:
        self.on_written(written)
        return written


def _is_same(found: Object, desired: Object, label: str) -> bool:
    owner = objects.controller_uid(desired)
    if owner:
        return owner == objects.controller_uid(found)
    wanted = (desired["metadata"].get("labels") or {}).get(label)
    return bool(wanted) and (found["metadata"].get("labels") or {}).get(label) == wanted


def error_of(code: int, body: bytes, headers: Mapping[str, str]) -> OperatorError:
    """Return the operator's error for an answer of the API server."""
    message, reason = _status(body)
    if code == 404:
        return NotFound("NotFound", message)
    if code in {409, 412} and reason != "Forbidden":
        return Conflict(reason or "Conflict", message)
    if code in {400, 422}:
        return Terminal("InvalidSpec", message)
    if code == 403:
        return _forbidden(message)
    after = headers.get("Retry-After", "")
    delay = timedelta(seconds=int(after)) if after.isdigit() else None
    return Unavailable(
        "APIServerUnavailable", message or f"the API server answered {code}", after=delay
    )


def _forbidden(message: str) -> OperatorError:
    if "exceeded quota" in message or "must specify" in message:
        return Retry("QuotaExceeded", message, after=timedelta(seconds=10))
    if "being terminated" in message:
        return Retry("NamespaceTerminating", message, after=timedelta(seconds=30))
    return Retry("Forbidden", message, after=timedelta(seconds=30))


def _status(body: bytes) -> tuple[str, str]:
    try:
        status = orjson.loads(body)
    except orjson.JSONDecodeError:
        return body[:500].decode(errors="replace"), ""
    return str(status.get("message", "")), str(status.get("reason", ""))


def _path(ref: Ref) -> str:
    return path_of(ref.api_version, ref.kind, ref.namespace, ref.name)
