"""The verbs: create, get, list, watch, wait, patch, delete, for every kind, typed.

Knows nothing of terminals; what a wait sees on its way goes to a callback.
"""

import json
import os
import re
from collections.abc import Callable, Generator, Iterator, Sequence
from functools import cached_property
from typing import Any, Self

from trainyard_api.meta import Resource

from trainyard import _patience, kinds
from trainyard._creating import Creation
from trainyard._kube import JSON_PATCH, Kube, Object, connect, lines, stranger
from trainyard._notebook import show_resources
from trainyard._patience import Patience, Spell, Tell
from trainyard._tracking import Tracking
from trainyard.errors import (
    ApiError,
    Conflict,
    InvalidInput,
    NotFound,
    TimedOut,
    TrainyardError,
    Unreachable,
)
from trainyard.kinds import R
from trainyard.settling import judge

Seen = Callable[[Any], None]
"""Called with each new state of a resource that is waited for."""

_PAGE = 500
_WATCH_SECONDS = 240
_STEADY_SECONDS = 5
_EXPIRED = 410


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
        patience: float | None = None,
        tell: Tell | None = None,
    ) -> None:
        """Choose a cluster; without arguments the kubeconfig's current context and namespace.

        Args:
            patience: for how many seconds a call is repeated while the API server or the
                tracking service does not answer; default: TRAINYARD_PATIENCE, or 300.
            tell: called with a line when such waiting begins and ends; default: standard error.

        Raises:
            InvalidInput: there is no usable kubeconfig or no such context.
        """
        if kube is None:
            patient = Patience(_seconds() if patience is None else patience, tell)
            kube = connect(context=context, kubeconfig=kubeconfig, patience=patient)
        self.kube = kube
        self.namespace = namespace or self.kube.access.namespace
        show_resources()

    def close(self) -> None:
        """Close the connections; the client is of no use afterwards."""
        self.kube.http.close()

    def in_namespace(self, namespace: str) -> "Client":
        """Return a client of the same connections in another namespace."""
        if not namespace or namespace == self.namespace:
            return self
        return Client(kube=self.kube, namespace=namespace)

    def command_options(self, namespace: str = "") -> str:
        """Return the options by which the command finds what this client does, or a namespace."""
        return self.kube.access.command_options(namespace or self.namespace)

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
            harmless=True,
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
        making = Creation(resource, resource.metadata.namespace or self.namespace, dry_run=dry_run)
        while True:
            try:
                return kinds.parse(kind, making.request(self.kube))
            except Conflict as exc:
                if made := making.made_before(self.kube, exc):
                    return kinds.parse(kind, made)
                if not making.other_name():
                    raise

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

        Broken connections, expired versions and minutes without an API server are mended on
        the way, so a state may come twice and short-lived ones may be left out.

        Args:
            name: watch this resource alone.
            timeout: end after so many seconds; None goes on for ever.
        """
        deadline = None if timeout is None else _patience.clock() + timeout

        def over() -> bool:
            return deadline is not None and _patience.clock() >= deadline

        where = namespace or self.namespace
        params = {"fieldSelector": f"metadata.name={name}"} if name else {}
        spell = Spell(self.kube.patience, deadline)
        while not over():
            try:
                items, version = self._list(kind, where, params, until=deadline)
            except TrainyardError as exc:
                if exc.passing and over():
                    return
                raise
            for item in items:
                yield "ADDED", kinds.parse(kind, item)
            query = {**params, "resourceVersion": version}
            if (broken := (yield from self._changes(kind, where, query, deadline))) is None:
                spell = Spell(self.kube.patience, deadline)
            elif not (spell.wait(broken) or over()):
                raise broken

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
            TimedOut: not within *timeout*, also for want of an API server.
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
            fix=f"`trainyard describe {kind.definition.singular} {name}"
            f"{self.command_options(where)}` shows where it stands",
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
        """Change one resource by a JSON patch; a `test` in it that fails raises Refused.

        It is sent again where no answer came, so a `test` may fail because the first try was
        carried out: the error is `doubtful` then.
        """
        where = namespace or self.namespace
        body = self.kube.request(
            "PATCH",
            kinds.resource_path(kind, where, name),
            what=what or f"change {kinds.kind_name(kind)} {name}",
            body=operations,
            content_type=JSON_PATCH,
            harmless=True,
        )
        return kinds.parse(kind, body)

    def delete(self, kind: type[Resource], name: str, *, namespace: str | None = None) -> None:
        """Delete one resource; what it owns in the cluster goes with it, its MLflow record stays.

        Raises:
            NotFound: there is none of this name.
        """
        where = namespace or self.namespace
        path = kinds.resource_path(kind, where, name)
        what = f"delete {kinds.kind_name(kind)} {name} in namespace {where}"
        # By its UID: a second try must not meet another one that has the name meanwhile.
        uid = self.kube.request("GET", path, what=what)["metadata"]["uid"]
        try:
            self.kube.request(
                "DELETE",
                path,
                what=what,
                body={"propagationPolicy": "Background", "preconditions": {"uid": uid}},
                harmless=True,
            )
        except (NotFound, Conflict) as exc:
            if not exc.doubtful:
                raise

    def _list(
        self,
        kind: type[Resource],
        namespace: str | None,
        params: dict[str, str],
        *,
        until: float | None = None,
    ) -> tuple[Sequence[Object], str]:
        """Read all pages; at once if the server lost its place between two of them (410)."""
        query: dict[str, Any] = {**params, "limit": _PAGE}
        what = f"list {kind.definition.plural} in {namespace or 'all namespaces'}"
        items: list[Object] = []
        while True:
            try:
                page = self.kube.request(
                    "GET",
                    kinds.collection_path(kind, namespace),
                    what=what,
                    params=query,
                    until=until,
                )
            except ApiError as exc:
                if exc.status != _EXPIRED or "continue" not in query:
                    raise
                query, items = dict(params), []
                continue
            if "items" not in page:
                raise stranger(what, "the answer is no list of them")
            items.extend(page.get("items") or [])
            metadata = page.get("metadata") or {}
            if not metadata.get("continue"):
                return items, str(metadata.get("resourceVersion", ""))
            query["continue"] = metadata["continue"]

    def _changes(
        self, kind: type[R], namespace: str, params: dict[str, str], deadline: float | None
    ) -> Generator[tuple[str, R], None, TrainyardError | None]:
        """Yield events of one connection, until it ends, breaks or expires.

        Returns:
            why it broke at once, before any event; None if it went on for a while.
        """
        left = _WATCH_SECONDS if deadline is None else max(1, deadline - _patience.clock())
        seconds = int(min(left, _WATCH_SECONDS))
        query = {**params, "watch": "true", "timeoutSeconds": str(seconds)}
        path = kinds.collection_path(kind, namespace)
        what = f"watch {kind.definition.plural} in {namespace}"
        began, heard = _patience.clock(), False
        error: TrainyardError = Unreachable(f"Cannot {what}: the stream ended at once")
        try:
            with self.kube.stream(path, what=what, params=query, idle=seconds + 10) as answer:
                for line in lines(answer):
                    if (event := _event(line)) is None:
                        break
                    heard = True
                    yield event["type"], kinds.parse(kind, event["object"])
        except TrainyardError as exc:
            if not exc.passing and getattr(exc, "status", 0) != _EXPIRED:
                raise
            error = exc
        return None if heard or _patience.clock() - began > _STEADY_SECONDS else error


def _event(line: bytes) -> Object | None:
    """Read a line of a watch; None for an error, and for half a line of a stream that broke."""
    try:
        event: Object = json.loads(line)
    except ValueError:
        return None
    return None if event.get("type") == "ERROR" else event


def _seconds() -> float:
    given = os.environ.get("TRAINYARD_PATIENCE") or str(_patience.SECONDS)
    if not re.fullmatch(r"\d+(\.\d*)?", given):
        raise InvalidInput(
            f"TRAINYARD_PATIENCE={given!r} is no number of seconds", fix="Write 300, or 0"
        )
    return float(given)
