"""A small cluster in memory: what the operator's tests run on instead of mocks.

FakeKube keeps the API server's promises that the operator relies on (UIDs, resource versions,
generations, a status of its own, names taken, owners' children collected, finalizers).
fake_services.py has the tracking service, fake_cluster.py moves Jobs, pods and Deployments.
`Killed` is raised at a chosen write, before or after it happened: a process that dies there.
`Faults` lets a chosen call fail, before or after it happened, and the process lives on.
"""

import copy
import functools
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from trainyard_api.moment import rfc3339
from trainyard_operator import names
from trainyard_operator.engine import objects
from trainyard_operator.engine.errors import Conflict, NameTaken, NotFound, Terminal, Unavailable
from trainyard_operator.engine.plan import Object, Ref

Address = tuple[str, str, str]
_NEVER_CONFLICTING = ("read", "list", "delete", "tracking")


class Killed(BaseException):
    """The process died here."""


@dataclass
class Faults:
    """Every call that leaves the process, counted; the chosen one fails.

    Attributes:
        at: Number of the call that fails, and whether it was made all the same (`lost`).
        lasts: How many calls fail in a row.
    """

    calls: list[str] = field(default_factory=list)
    at: tuple[int, str] = (0, "")
    lasts: int = 1
    error: Exception = field(
        default_factory=lambda: Unavailable("APIServerUnavailable", "it does not answer")
    )

    @contextmanager
    def calling(self, what: str) -> Iterator[None]:
        self.calls.append(what)
        first, moment = self.at
        fails = first <= len(self.calls) < first + self.lasts
        if fails and moment == "refused":
            raise self._error(what)
        yield
        if fails and moment == "lost":
            raise self._error(what)

    def _error(self, what: str) -> Exception:
        # Reading and deleting never conflict.
        conflicts = isinstance(self.error, Conflict) and what.startswith(_NEVER_CONFLICTING)
        return Unavailable("APIServerUnavailable", what) if conflicts else self.error


class Clock:
    """A clock that moves only when told."""

    def __init__(self) -> None:
        self.time = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.time

    def pass_by(self, seconds: float) -> None:
        self.time += timedelta(seconds=seconds)


def merged(into: Object, patch: Object) -> Object:
    """Return a JSON merge patch applied."""
    result = {k: v for k, v in into.items() if not (k in patch and patch[k] is None)}
    for key, value in patch.items():
        if value is None:
            continue
        nested = isinstance(value, dict) and isinstance(result.get(key), dict)
        result[key] = merged(result[key], value) if nested else value
    return result


def _answering(write: Callable[..., Awaitable[Object]]) -> Callable[..., Awaitable[Object]]:
    """Have the caller's caches told of what a write answered, unless the answer was lost."""

    @functools.wraps(write)
    async def wrapped(kube: "FakeKube", *args: Any, **more: Any) -> Object:
        answer = await write(kube, *args, **more)
        kube.on_answered(answer)
        return answer

    return wrapped


class FakeKube:
    """The API server, as kube.Kube shows it.

    `writes` lists what was written: verb and name. `made` lists all objects that there ever were.
    """

    def __init__(self, clock: Clock, faults: Faults | None = None) -> None:
        self.clock = clock
        self.faults = faults or Faults()
        self.objects: dict[Address, Object] = {}
        self.writes: list[str] = []
        self.made: list[str] = []
        self.kill_at: tuple[int, str] | None = None
        self.on_written: Callable[[Object], None] = lambda _: None
        self.on_answered: Callable[[Object], None] = lambda _: None
        self.on_deleted: Callable[[Object], None] = lambda _: None
        self.nodes: list[Object] = []
        self.warnings: list[Object] = []
        self._versions = itertools.count(1)
        self._uids = itertools.count(1)

    # What tests and controllers do.

    def put(self, made: Object) -> Object:
        """Create or replace an object without counting it as the operator's."""
        address = _address(Ref.of(made))
        meta = dict(made["metadata"])
        before = self.objects.get(address)
        if before is None:
            self.made.append(f"{made['kind']}/{made['metadata']['name']}")
        meta.setdefault("uid", before["metadata"]["uid"] if before else f"uid-{next(self._uids)}")
        meta.setdefault("creationTimestamp", rfc3339(self.clock()))
        meta.setdefault("generation", 1)
        meta["resourceVersion"] = str(next(self._versions))
        stored = {**copy.deepcopy(made), "metadata": meta}
        self.objects[address] = stored
        self.on_written(stored)
        return stored

    def find(self, kind: str) -> list[Object]:
        """Return all objects of a kind, by name."""
        return [o for (k, _, _), o in sorted(self.objects.items()) if k == kind]

    def remove(self, doomed: Object) -> None:
        """Delete an object and, as the garbage collector would, what it owns."""
        held = self.objects.get(_address(Ref.of(doomed)))
        if held and held["metadata"].get("finalizers"):
            if "deletionTimestamp" not in held["metadata"]:
                meta = {**held["metadata"], "deletionTimestamp": rfc3339(self.clock())}
                self.put({**held, "metadata": meta})
            return
        self.objects.pop(_address(Ref.of(doomed)), None)
        self.on_deleted(doomed)
        for each in tuple(self.objects.values()):
            if objects.controller_uid(each) == doomed["metadata"]["uid"]:
                self.remove(each)

    # What the operator does. What it writes it is told at once, if the answer arrives.

    async def read(self, ref: Ref) -> Object | None:
        with self.faults.calling(f"read {ref.kind}/{ref.name}"):
            return self.objects.get(_address(ref))

    async def list(
        self, api_version: str, kind: str, namespace: str = "", **params: str
    ) -> AsyncIterator[Object]:
        found = {"Node": self.nodes, "Event": self.warnings}.get(kind)
        with self.faults.calling(f"list {kind}"):
            pass
        key, _, value = params.get("labelSelector", "").partition("=")
        for each in self.find(kind) if found is None else found:
            labels = each["metadata"].get("labels") or {}
            if each["apiVersion"] == api_version and (not key or labels.get(key) == value):
                yield each

    @_answering
    async def apply(
        self, desired: Object, *, manager: str = objects.FIELD_MANAGER, force: bool = True
    ) -> Object:
        del force
        with self._writing(f"apply {desired['kind']}/{desired['metadata']['name']}"):
            held = self.objects.get(_address(Ref.of(desired)))
            if manager == names.PROMOTER:
                desired = _owning_aliases(desired, manager)
            meant = desired["metadata"].get("uid")
            if meant and held is None:
                raise Conflict("Conflict", f"uid mismatch: {meant}")
            if meant and held and held["metadata"]["uid"] != meant:
                raise Terminal("InvalidSpec", "metadata.uid: field is immutable")
            if held is None:
                return self.put(desired)
            changed = merged(held, desired)
            if changed != held:
                changed["metadata"]["generation"] = held["metadata"]["generation"] + 1
                return self.put(changed)
            return held

    async def claim(self, desired: Object) -> Object:
        held = self.objects.get(_address(Ref.of(desired)))
        if held and objects.controller_uid(held) != objects.controller_uid(desired):
            raise NameTaken(f"{desired['kind']}NameTaken", "taken")
        return await self.apply(desired, force=False)

    @_answering
    async def create(self, desired: Object, *, known_by: str = "") -> Object:
        with self._writing(f"create {desired['kind']}/{desired['metadata']['name']}"):
            held = self.objects.get(_address(Ref.of(desired)))
            if held is None:
                return self.put(desired)
        owner = objects.controller_uid(desired)
        label = (desired["metadata"].get("labels") or {}).get(known_by)
        known = label and (held["metadata"].get("labels") or {}).get(known_by) == label
        if known or (owner and owner == objects.controller_uid(held)):
            return held
        raise NameTaken(f"{desired['kind']}NameTaken", "taken")

    async def delete(self, ref: Ref) -> None:
        assert ref.uid or ref.owner, f"{ref.name} may be a user's"
        with self._writing(f"delete {ref.kind}/{ref.name}"):
            held = self.objects.get(_address(ref))
            if held is None:
                return
            owner = objects.controller_uid(held)
            if held["metadata"]["uid"] == ref.uid or (ref.owner and owner == ref.owner):
                self.remove(held)

    @_answering
    async def patch_status(
        self, resource: Object, patch: Object, *, is_steady: bool = False
    ) -> Object:
        ref = Ref.of(resource)
        with self._writing(f"status {ref.kind}/{ref.name}"):
            held = self.objects.get(_address(ref))
            if held is None:
                raise NotFound("NotFound", ref.name)
            if held["metadata"]["uid"] != ref.uid:
                raise Conflict("Conflict", ref.name)
            return self.put({**held, "status": merged(held.get("status") or {}, patch)})

    @_answering
    async def patch(self, ref: Ref, patch: Object) -> Object:
        with self._writing(f"patch {ref.kind}/{ref.name}"):
            return self.put(merged(self.objects[_address(ref)], patch))

    @_answering
    async def json_patch(self, ref: Ref, operations: Sequence[Mapping[str, Any]]) -> Object:
        with self._writing(f"patch {ref.kind}/{ref.name}"):
            held = self.objects[_address(ref)]
            finalizers = operations[-1]["value"]
            left = {**held, "metadata": {**held["metadata"], "finalizers": finalizers}}
            if not finalizers and "deletionTimestamp" in held["metadata"]:
                self.objects[_address(ref)] = left
                self.remove(left)
                return left
            return self.put(left)

    @contextmanager
    def _writing(self, what: str) -> Iterator[None]:
        with _Write(self, what), self.faults.calling(what):
            yield


@dataclass
class _Write:
    kube: FakeKube
    what: str

    def __enter__(self) -> None:
        self.kube.writes.append(self.what)
        if self.kube.kill_at == (len(self.kube.writes), "before"):
            raise Killed(self.what)

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None and self.kube.kill_at == (len(self.kube.writes), "after"):
            raise Killed(self.what)


def _owning_aliases(desired: Object, manager: str) -> Object:
    fields = {"f:spec": {"f:aliases": {f"f:{alias}": {} for alias in desired["spec"]["aliases"]}}}
    managed = [{"manager": manager, "operation": "Apply", "fieldsV1": fields}]
    return {**desired, "metadata": {**desired["metadata"], "managedFields": managed}}


def _address(ref: Ref) -> Address:
    return ref.kind, ref.namespace, ref.name


def without_times(value: Any) -> Any:
    """Return a status or object without what two equal worlds may differ in."""
    masked = {"lastTransitionTime", "resourceVersion", "uid", "creationTimestamp", "runID"}
    masked |= {"deletionTimestamp", "since", "time"}
    if isinstance(value, dict):
        kept = {
            k: v for k, v in value.items() if k not in masked and not k.endswith(("Time", "At"))
        }
        return {k: without_times(v) for k, v in kept.items() if k not in {"duration", "value"}}
    if isinstance(value, list):
        return [without_times(v) for v in value]
    return value


def versions(kube: FakeKube) -> Iterator[str]:
    """Yield the names of all ModelVersions."""
    for each in kube.find("ModelVersion"):
        yield each["metadata"]["name"]
