"""The only module that talks to the API server.

It translates HTTP into the operator's errors, and knows nothing of kinds. kopf watches some of our
resources; everything else goes through here. Every object that a write returns is handed to
`on_written`, so that the caches are never older than our own writes.

Rights it needs (the chart's ClusterRole says the same):
    trainyard.dev   experiments runs models modelversions modeldeployments   get list watch
                    …/status of these                                        get patch
                    …/finalizers of these but models                         update
                    models, modelversions                                    create patch
                    modelversions                                            delete
                    runs                                                     operate
    batch           jobs                              get list watch create delete
    apps            deployments                       get list watch create patch delete
    ""              services                          get list watch create patch
                    pods                              get list watch
                    pods/log                          get
                    secrets                           create get (metadata) delete
                    nodes, namespaces, events         list
    events.k8s.io   events                            create patch
    policy          poddisruptionbudgets              get list watch create patch delete
    coordination.k8s.io  leases (own namespace)       get create update
"""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from typing import Any, NamedTuple, Protocol

import orjson

from trainyard_operator.engine import objects
from trainyard_operator.engine.access import Access
from trainyard_operator.engine.answers import event_of, parsed, written_object
from trainyard_operator.engine.clock import ServerClock
from trainyard_operator.engine.errors import Conflict, NotFound, Terminal, Unavailable
from trainyard_operator.engine.exchange import Exchange, Request, Streams
from trainyard_operator.engine.ownership import is_same, name_taken, unlabelled
from trainyard_operator.engine.plan import Object, Ref
from trainyard_operator.engine.shapes import Reader
from trainyard_operator.engine.stream import Stream
from trainyard_operator.engine.transport import JSON, Transport

_MERGE = "application/merge-patch+json"
_JSON_PATCH = "application/json-patch+json"
_APPLY = "application/apply-patch+yaml"
METADATA = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
METADATA_LIST = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
# Each includes the wait for a connection.
_PATIENCE = 10.0
_LIST_PATIENCE = 30.0
# Bookmarks come every minute or so.
_SILENCE = 90.0
# More without an end of line is no event: the largest object has a few MiB.
_LONGEST_LINE = 16 << 20
# A page is parsed at once, and objects may be large.
PAGE = 100


class OnWritten(Protocol):
    """Told of an object that a write returned, and whether anything follows from it for itself."""

    def __call__(self, written: Object, /, *, is_steady: bool = False) -> None: ...


class Page(NamedTuple):
    """Some items of a list.

    Attributes:
        version: The collection's, as of which all pages are: a watch goes on from here.
    """

    version: int
    items: Sequence[Object]


def path_of(api_version: str, kind: str, namespace: str = "", name: str = "") -> str:
    """Return the URL path of an object, or of all objects of a kind without a name."""
    root = f"/api/{api_version}" if "/" not in api_version else f"/apis/{api_version}"
    scope = f"/namespaces/{namespace}" if namespace else ""
    leaf = f"/{name}" if name else ""
    return f"{root}{scope}/{objects.PLURALS[api_version, kind]}{leaf}"


class Kube:
    """A small client: JSON in, JSON out.

    Args:
        streams: Connections for watches and logs, which may be as many as programs that run.
        on_written: Told of every object that a write returned.
        time_to_write: Seconds in which this process may still write, none if not positive:
            a leader's, which a paused process finds used up.
        clock: Told what time answers say it is.
    """

    def __init__(
        self,
        access: Access,
        exchange: Exchange,
        streams: Streams,
        *,
        on_written: OnWritten = lambda _written, **_: None,
        time_to_write: Callable[[], float] = lambda: _PATIENCE,
        clock: ServerClock | None = None,
    ) -> None:
        self._transport = Transport(access, clock or ServerClock())
        self._exchange = exchange
        self._streams = streams
        self.on_written = on_written
        self._time_to_write = time_to_write

    async def read(self, ref: Ref) -> Object | None:
        """Return an object as it is now, None if there is none."""
        try:
            return await self._call("GET", _path(ref))
        except NotFound:
            return None

    async def metadata(self, ref: Ref) -> Object | None:
        """Return an object without its content, None if there is none."""
        try:
            return await self._call("GET", _path(ref), accept=METADATA)
        except NotFound:
            return None

    async def list(
        self, api_version: str, kind: str, namespace: str = "", **params: str
    ) -> AsyncIterator[Object]:
        """Yield all objects of a kind, read in pages.

        Args:
            params: Query parameters such as labelSelector and fieldSelector.
        """
        async for page in self.pages(api_version, kind, namespace, **params):
            for item in page.items:
                yield item

    async def pages(
        self,
        api_version: str,
        kind: str,
        namespace: str = "",
        *,
        accept: str = JSON,
        **params: str,
    ) -> AsyncIterator[Page]:
        """Yield the pages of a list, all of the same version of the collection.

        Raises:
            Unavailable: The server does not answer, or the list took so long that it forgot
                the version: begin anew.
        """
        query = {"limit": str(PAGE), **params}
        path = path_of(api_version, kind, namespace)
        while True:
            page = await self._call(
                "GET", path, params=query, accept=accept, patience=_LIST_PATIENCE
            )
            told, meta = {"apiVersion": api_version, "kind": kind}, page.get("metadata") or {}
            items = [{**item, **told} for item in page.get("items") or ()]
            if not str(meta.get("resourceVersion")).isdecimal():
                raise Unavailable("APIServerUnavailable", f"GET {path}: the answer is no list")
            yield Page(int(meta["resourceVersion"]), items)
            token = meta.get("continue")
            if not token:
                return
            query["continue"] = token

    async def watch(
        self,
        api_version: str,
        kind: str,
        namespace: str,
        *,
        since: int,
        read: Reader = orjson.loads,
        accept: str = JSON,
        **params: str,
    ) -> AsyncIterator[Sequence[Object]]:
        """Yield the events of a collection after a version, as they come, until the server ends it.

        Args:
            read: Reads a line, or what is wanted of it.

        Raises:
            Unavailable: The connection broke, told nonsense, or was silent for longer than
                bookmarks are apart.
        """
        query = {"watch": "1", "allowWatchBookmarks": "true", "resourceVersion": str(since)}
        path, rest = path_of(api_version, kind, namespace), b""
        async with self._open(path, _SILENCE, params={**query, **params}, accept=accept) as stream:
            while chunk := await stream.readany():
                *lines, rest = (rest + chunk).split(b"\n")
                if len(rest) > _LONGEST_LINE:
                    raise Unavailable("APIServerUnavailable", f"watch {path}: a line has no end")
                if lines:
                    yield [event_of(line, f"watch {path}", read) for line in lines if line]

    async def apply(
        self, desired: Object, *, manager: str = objects.FIELD_MANAGER, force: bool = True
    ) -> Object:
        """Make the fields of *desired* hold (server-side apply), creating the object if need be.

        Raises:
            Conflict: Another manager owns a field, and force is False; the message names it.
            NameTaken: Somebody's policy takes off the label by which it is watched.
        """
        params = {"fieldManager": manager, "force": "true" if force else "false"}
        path = _path(Ref.of(desired))
        done = self._written(await self._call("PATCH", path, desired, _APPLY, params=params))
        if lost := unlabelled(done, desired):
            raise lost
        return done

    async def claim(self, desired: Object) -> Object:
        """Apply an object that is not known to be ours yet: whose fields differ is another's.

        Raises:
            NameTaken: An object of that name belongs to somebody else.
        """
        try:
            return await self.apply(desired, force=False)
        except Conflict as exc:
            found = await self.read(Ref.of(desired))
            if found is not None and not is_same(found, desired, ""):
                raise name_taken(found, desired) from exc
            raise

    async def create(self, desired: Object, *, known_by: str = "") -> Object:
        """Create an object once; one that has the same controller already is as good.

        Args:
            known_by: For an object without a controller, the label that tells whose it is.

        Raises:
            NameTaken: An object of that name belongs to somebody else, or lost our label.
        """
        ref = Ref.of(desired)
        path = path_of(ref.api_version, ref.kind, ref.namespace)
        params = {"fieldManager": objects.FIELD_MANAGER}
        try:
            return self._written(await self._call("POST", path, desired, params=params))
        except Conflict as exc:
            # Whose it is, before what is in it: a Secret may be a user's.
            head = await self.metadata(ref)
            if head is None:
                raise  # gone again; or a quota's conflict, in its own words
            if not is_same(head, desired, known_by):
                raise name_taken(head, desired) from exc
            if lost := unlabelled(head, desired):
                raise lost from exc
            found = await self.read(ref)
            return self._written(found or {**desired, "metadata": head["metadata"]})

    async def delete(self, ref: Ref) -> None:
        """Delete an object in the background; gone, or another by now, is fine.

        Raises:
            ValueError: Neither its UID nor its owner's is given: it might be a user's.
        """
        if not ref.uid:
            ref = await self._identified(ref)
        if not ref.uid:
            return
        body: Object = {"apiVersion": "v1", "kind": "DeleteOptions"}
        body["propagationPolicy"] = "Background"
        body["preconditions"] = {"uid": ref.uid}
        try:
            await self._call("DELETE", _path(ref), body)
        except (NotFound, Conflict):
            return

    async def _identified(self, ref: Ref) -> Ref:
        """Return the address with the object's UID, if its owner has it."""
        if not ref.owner:
            raise ValueError(f"deleting {ref.kind} {ref.name} needs a UID, its own or its owner's")
        found = await self.metadata(ref)
        if found is None or objects.controller_uid(found) != ref.owner:
            return ref
        return replace(ref, uid=found["metadata"]["uid"])

    async def patch(
        self, ref: Ref, patch: Object, *, subresource: str = "", is_steady: bool = False
    ) -> Object:
        """Merge-patch an object; with ref.uid, only the one with this UID.

        Args:
            is_steady: Nothing follows from it for the object itself (plan.Plan).

        Raises:
            NotFound, Conflict: It is gone, or another object has its name by now.
        """
        if ref.uid:
            patch = {**patch, "metadata": {**patch.get("metadata", {}), "uid": ref.uid}}
        path = _path(ref) + (f"/{subresource}" if subresource else "")
        params = {"fieldManager": objects.FIELD_MANAGER}
        done = await self._call("PATCH", path, patch, _MERGE, params=params)
        return self._written(done, is_steady=is_steady)

    async def patch_status(
        self, resource: Object, patch: Object, *, is_steady: bool = False
    ) -> Object:
        """Write the changed fields of a status, in one request."""
        ref, status = Ref.of(resource), {"status": patch}
        return await self.patch(ref, status, subresource="status", is_steady=is_steady)

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
    ) -> AsyncIterator[Stream]:
        """Open a container's log with timestamps, from *since* (RFC 3339, whole seconds) on.

        Raises:
            NotFound: The pod is gone.
            Retry, Terminal: The log cannot be read (now).
        """
        params = {"container": container, "timestamps": "true"}
        params |= {"follow": "true"} if follow else {}
        params |= {"sinceTime": since} if since else {}
        path = path_of("v1", "Pod", namespace, pod) + "/log"
        # Endless once it is open, which must not last.
        async with self._open(path, None if follow else 30, params=params) as stream:
            yield stream

    def _open(
        self, path: str, silence: float | None, *, params: Mapping[str, str], accept: str = JSON
    ) -> AbstractAsyncContextManager[Stream]:
        headers = self._transport.headers(accept=accept)
        request = Request("GET", path, silence, headers, params)
        return self._transport.stream(self._streams, request)

    async def _call(
        self,
        method: str,
        path: str,
        body: Any = None,
        content_type: str = JSON,
        *,
        params: Mapping[str, str] | None = None,
        accept: str = JSON,
        patience: float = _PATIENCE,
    ) -> Object:
        data = orjson.dumps(body) if body is not None else None
        if method != "GET":
            patience = min(patience, self._left(f"{method} {path}"))
        headers = self._transport.headers(accept=accept)
        if data is not None:
            headers["Content-Type"] = content_type
        request = Request(method, path, patience, headers, params, data)
        answer = await self._transport.ask(self._exchange, request)
        return parsed(answer.body, f"{method} {path}")

    def _left(self, what: str) -> float:
        """Return the seconds that a write may take.

        Raises:
            Unavailable: This process may write no more: another may lead by now.
        """
        left = self._time_to_write()
        if left <= 0:
            said = f"{what}: not sent, because the lease was not renewed in time"
            raise Unavailable("APIServerUnavailable", said)
        return left

    def _written(self, written: Object, *, is_steady: bool = False) -> Object:
        self.on_written(written_object(written), is_steady=is_steady)
        return written


def _path(ref: Ref) -> str:
    return path_of(ref.api_version, ref.kind, ref.namespace, ref.name)
