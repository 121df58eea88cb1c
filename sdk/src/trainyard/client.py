"""The verbs: create, get, list, watch, wait, patch, delete, for every kind, typed.

Knows nothing of terminals; what a wait sees on its way goes to a callback.
"""

import json
import time
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from typing import Any, Self

from trainyard_api.meta import Resource

from trainyard import kinds
from trainyard._kube import JSON_PATCH, Kube, Object, Silence, connect, lines
from trainyard._tracking import Tracking
from trainyard.errors import ApiError, NotFound, TimedOut, Unreachable
from trainyard.kinds import R
from trainyard.settling import judge

Seen = Callable[[Any], None]
"""Called with each new state of a resource that is waited for."""

_PAGE = 500
_WATCH_SECONDS = 240


class Client:
    """A cluster and a namespace in it.

    Example:
        >>> client = Client()                               # doctest: +SKIP
        >>> run = client.get(Run, "digits-deep")            # doctest: +SKIP
        >>> client.wait(run).status.metrics["val_accuracy"] # doctest: +SKIP
        '0.9756'
    """

    def __init__(
        self,
        *,
        context: str | None = None,
        namespace: str | None = None,
        kubeconfig: str | None = None,
        kube: Kube | None = None,
    ) -> None:
        """Choose a cluster; without arguments the kubeconfig's current context and namespace.

        Raises:
            InvalidInput: there is no usable kubeconfig or no such context.
        """
        self.kube = kube or connect(context=context, kubeconfig=kubeconfig)
        self.namespace = namespace or self.kube.access.namespace

    def close(self) -> None:
        """Close the connections; the client is of no use afterwards."""
        self.kube.http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @cached_property
    def tracking(self) -> Tracking:
        """The tracking service: logs, archives, what MLflow knows."""
        return Tracking.of(self.kube)

    @cached_property
    def username(self) -> str:
        """Who the cluster says that we are."""
        answer = self.kube.request(
            "POST",
            "/apis/authentication.k8s.io/v1/selfsubjectreviews",
            what="ask who you are",
            body={"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"},
        )
        return str(answer["status"]["userInfo"].get("username", ""))

    def create(self, resource: R, *, dry_run: bool = False) -> R:
        """Create *resource* and return it as the cluster stored it.

        Its namespace is the resource's own, else the client's; with
        `generate_name` the cluster completes the name.

        Raises:
            Conflict: the name is taken.
            Refused: a field breaks a rule; the message names it.
        """
        kind = type(resource)
        namespace = resource.metadata.namespace or self.namespace
        name = resource.metadata.name or resource.metadata.generate_name or ""
        body = self.kube.request(
            "POST",
            kinds.collection_path(kind, namespace),
            what=f"create {kinds.kind_name(kind)} {name} in namespace {namespace}",
            body=resource.to_object(),
            params={"dryRun": "All"} if dry_run else None,
        )
        return kinds.parse(kind, body)

    def get(self, kind: type[R], name: str, *, namespace: str | None = None) -> R:
        """Read one resource.

        Raises:
            NotFound: there is none of this name.
        """
        return kinds.parse(kind, self.get_object(kind, name, namespace=namespace))

    def get_object(
        self, kind: type[Resource], name: str, *, namespace: str | None = None
    ) -> Object:
        """Read one resource as plain JSON, with all that the cluster keeps about it."""
        where = namespace or self.namespace
        return self.kube.request(
            "GET",
            kinds.resource_path(kind, where, name),
            what=f"get {kinds.kind_name(kind)} {name} in namespace {where}",
        )

    def list(
        self,
        kind: type[R],
        *,
        namespace: str | None = None,
        all_namespaces: bool = False,
        labels: str = "",
    ) -> list[R]:
        """Read all resources of a kind, by name; *labels* is a selector such as `team=vision`."""
        where = None if all_namespaces else namespace or self.namespace
        found = self.list_objects(kind, namespace=where, labels=labels)
        return [kinds.parse(kind, item) for item in found]

    def list_objects(
        self, kind: type[Resource], *, namespace: str | None, labels: str = ""
    ) -> "Sequence[Object]":
        """Read all resources of a kind as plain JSON; in all namespaces with None."""
        return self._list(kind, namespace, {"labelSelector": labels} if labels else {})[0]

    def watch(
        self,
        kind: type[R],
        name: str = "",
        *,
        namespace: str | None = None,
        timeout: float | None = None,
    ) -> Iterator[tuple[str, R]]:
        """Yield ("ADDED" | "MODIFIED" | "DELETED", resource): first what is there, then changes.

        Broken connections and expired versions are mended on the way, so a
        state may come twice and short-lived ones may be left out.

        Args:
            name: watch this resource alone.
            timeout: end after so many seconds; None goes on for ever.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        where = namespace or self.namespace
        params = {"fieldSelector": f"metadata.name={name}"} if name else {}
        while deadline is None or time.monotonic() < deadline:
            items, version = self._list(kind, where, params)
            for item in items:
                yield "ADDED", kinds.parse(kind, item)
            yield from self._changes(kind, where, {**params, "resourceVersion": version}, deadline)

    def wait(
        self,
        resource: R,
        *,
        condition: str = "",
        timeout: float | None = None,
        seen: Seen | None = None,
    ) -> R:
        """Wait until *resource* has come to an outcome, good or bad, and return it so.

        A Run has finished, a ModelVersion is published or rejected, a
        Deployment is available in its present form or its version was
        rejected, a Model or Experiment was looked at.

        Args:
            condition: wait for this condition to be true instead.
            timeout: seconds.
            seen: called with each state on the way.

        Raises:
            TimedOut: not within *timeout*.
            NotFound: it was deleted meanwhile.
        """
        kind, name = type(resource), resource.metadata.name
        label = f"{kinds.kind_name(kind)} {name}"
        latest = resource
        where = resource.metadata.namespace or self.namespace
        for event, latest in self.watch(kind, name, namespace=where, timeout=timeout):
            if event == "DELETED":
                raise NotFound(f"{label} was deleted while it was waited for", status=404)
            if seen is not None:
                seen(latest)
            if judge(latest, condition).settled:
                return latest
        verdict = judge(latest, condition)
        raise TimedOut(
            f"{label} is not there after {timeout:g} s: {verdict.reason}, {verdict.message}",
            fix=f"`trainyard describe {kind.definition.singular} {name}` shows where it stands",
        )

    def patch(
        self,
        kind: type[R],
        name: str,
        operations: Sequence[Object],
        *,
        namespace: str | None = None,
        what: str = "",
    ) -> R:
        """Change one resource by a JSON patch; a `test` in it that fails raises Refused."""
        where = namespace or self.namespace
        body = self.kube.request(
            "PATCH",
            kinds.resource_path(kind, where, name),
            what=what or f"change {kinds.kind_name(kind)} {name}",
            body=operations,
            content_type=JSON_PATCH,
        )
        return kinds.parse(kind, body)

    def delete(self, kind: type[Resource], name: str, *, namespace: str | None = None) -> None:
        """Delete one resource; what it owns in the cluster goes with it, its MLflow record stays.

        Raises:
            NotFound: there is none of this name.
        """
        where = namespace or self.namespace
        self.kube.request(
            "DELETE",
            kinds.resource_path(kind, where, name),
            what=f"delete {kinds.kind_name(kind)} {name} in namespace {where}",
            params={"propagationPolicy": "Background"},
        )

    def _list(
        self, kind: type[Resource], namespace: str | None, params: dict[str, str]
    ) -> tuple[Sequence[Object], str]:
        items: list[Object] = []
        query: dict[str, Any] = {**params, "limit": _PAGE}
        while True:
            page = self.kube.request(
                "GET",
                kinds.collection_path(kind, namespace),
                what=f"list {kind.definition.plural} in {namespace or 'all namespaces'}",
                params=query,
            )
            items.extend(page.get("items") or [])
            metadata = page.get("metadata") or {}
            if not metadata.get("continue"):
                return items, str(metadata.get("resourceVersion", ""))
            query["continue"] = metadata["continue"]

    def _changes(
        self, kind: type[R], namespace: str, params: dict[str, str], deadline: float | None
    ) -> Iterator[tuple[str, R]]:
        """Yield events of one connection, until it ends, breaks or expires."""
        left = _WATCH_SECONDS if deadline is None else max(1, deadline - time.monotonic())
        seconds = int(min(left, _WATCH_SECONDS))
        query = {**params, "watch": "true", "timeoutSeconds": str(seconds)}
        path = kinds.collection_path(kind, namespace)
        what = f"watch {kind.definition.plural} in {namespace}"
        try:
            with self.kube.stream(path, what=what, params=query, idle=seconds + 10) as answer:
                for line in lines(answer):
                    event = json.loads(line)
                    if event["type"] == "ERROR":
                        return
                    yield event["type"], kinds.parse(kind, event["object"])
        except Silence:
            return
        except ApiError as exc:
            if exc.status not in {410, 429, 500, 503, 504}:
                raise
            time.sleep(1)
        except Unreachable:
            # The next list says whether the cluster is gone or only the connection was.
            time.sleep(1)
