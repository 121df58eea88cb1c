"""The one loop: observe → plan → do → report, the same for every kind.

Status is written last and once, so that a reader never sees a promise whose objects do not
exist. Every step is idempotent: a crash between any two leaves something that the next look
completes. Expected failures become conditions here, and nowhere else:

    a step fails ─▶ the present status, with the answers that did arrive, and one condition
                    that says why; never what the plan promised, never an end undone
"""

import asyncio
import hashlib
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Protocol

import orjson

from trainyard_operator.engine import conditions, objects
from trainyard_operator.engine.errors import (
    Conflict,
    NotFound,
    NotYet,
    Retry,
    Terminal,
    Unavailable,
)
from trainyard_operator.engine.kind import Kind
from trainyard_operator.engine.performing import Answer, perform
from trainyard_operator.engine.plan import Event, Object, Plan, Ref
from trainyard_operator.engine.world import Key, World
from trainyard_operator.settings import Settings

TOLD_AFTER = timedelta(seconds=10)
"""A service that fails for less is no news: to tell it would be one write more for a server that
has too many."""
TOGETHER = timedelta(seconds=2)
"""So long at most the step after one that is done may take to be told of in the same write."""
NEAR = timedelta(seconds=5)
"""So long it is tried again, while what it needs is on its way: the last lines of a log."""
_APPLIED = 20_000
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Step:
    """How far a step came: all of it, or until an error that belongs into a condition."""

    status: Object
    error: Retry | Terminal | None = None
    condition: str = ""
    events: tuple[Event, ...] = ()
    recheck_after: timedelta | None = None
    is_steady: bool = False


class Writer(Protocol):
    """What the loop writes with: kube.Kube, or a fake."""

    async def apply(self, desired: Object) -> Object: ...
    async def claim(self, desired: Object) -> Object: ...
    async def create(self, desired: Object) -> Object: ...
    async def delete(self, ref: Ref) -> None: ...
    async def patch_status(
        self, resource: Object, patch: Object, *, is_steady: bool = False
    ) -> Object: ...


class Teller(Protocol):
    """Who tells Events: recorder.Recorder, or a fake."""

    def tell(self, about: Object, event: Event, *, now: datetime) -> None: ...


@dataclass(slots=True)
class Reconciler:
    """Takes one resource a step further.

    Attributes:
        tools: What performers of effects get (tools.Tools).
    """

    kinds: Mapping[str, Kind[Any]]
    world: World
    kube: Writer
    recorder: Teller
    tools: Any
    settings: Settings
    now: Callable[[], datetime]
    _applied: dict[Ref, str] = field(default_factory=dict)
    _failing: dict[Key, datetime] = field(default_factory=dict)

    async def reconcile(self, key: Key) -> timedelta | None:
        """Take the resource one step closer to its spec; return when to look again.

        Raises:
            Retry: The step failed, the status says why; look again.
        """
        resource = self.world.get(*key)
        if resource is None:
            self._failing.pop(key, None)
            return None
        kind = self.kinds[key.resource]
        now = self.now()
        try:
            observed = await kind.observe(resource, self.world)
            plan = kind.plan(resource, observed, now=now, settings=self.settings)
        except (Retry, Terminal) as exc:
            step = _Step(resource.get("status") or {}, exc, kind.condition)
        else:
            step = await self._do(kind, resource, plan)
            if plan.then is not None and step.error is None:
                step = await self._go_on(kind, key, resource, step, plan.then)
        if step.error is None:
            self._failing.pop(key, None)
        return await self._report(kind, key, resource, step)

    async def _do(self, kind: Kind[Any], resource: Object, plan: Plan) -> "_Step":
        promised, known = plan.status, resource.get("status") or {}
        answers: dict[str, Answer] = {}
        try:
            for effect in plan.effects:
                failing = effect.condition or kind.condition
                answer = await perform(effect, kind.performers, self.tools, answers)
                answers[type(effect).__name__] = answer
                promised, known = effect.fold(promised, answer), effect.fold(known, answer)
            failing = plan.condition or kind.condition
            await self._write(plan)
        except (Retry, Terminal) as exc:
            return _Step(known, exc, failing)
        except (Conflict, NotFound) as exc:
            # What was planned for is gone or changed meanwhile, as with a namespace: look anew.
            return _Step(known, Unavailable(exc.reason, exc.message), failing)
        return _Step(
            promised,
            events=plan.events,
            recheck_after=plan.recheck_after,
            is_steady=plan.is_steady,
        )

    async def _go_on(
        self, kind: Kind[Any], key: Key, resource: Object, done: "_Step", plan: Plan
    ) -> "_Step":
        """Take the step after one that is done, if that takes no time: one write tells of both."""
        since = self._failing.setdefault(key, self.now())
        try:
            async with asyncio.timeout(TOGETHER.total_seconds()):
                step = await self._do(kind, {**resource, "status": done.status}, plan)
        except TimeoutError:
            return done
        if step.error is None:
            return replace(step, events=(*done.events, *step.events))
        is_near = isinstance(step.error, NotYet) and self.now() - since < NEAR
        return replace(step, status=resource.get("status") or {}) if is_near else done

    async def _write(self, plan: Plan) -> None:
        # A token before the pods that mount it.
        for desired in plan.create:
            await self.kube.create(desired)
        for desired in plan.apply:
            await self._apply(desired)
        for doomed in plan.delete:
            try:
                await self.kube.delete(doomed)
            except Terminal as exc:
                # No fault of the resource's spec: a policy refuses the deletion.
                raise Retry("Forbidden", exc.message, after=timedelta(minutes=1)) from exc
            # Should it be wanted again, it must be made again.
            self._applied.pop(replace(doomed, uid=""), None)

    async def _apply(self, desired: Object) -> None:
        ref, said = Ref.of(desired), _digest(desired)
        resource = objects.PLURALS[ref.api_version, ref.kind]
        held = self.world.get(resource, ref.namespace, ref.name)
        mark = f"{said}/{_state(held)}" if held else said
        if self._applied.get(ref) == mark:
            return
        owner = objects.controller_uid(desired)
        known = held is not None and objects.controller_uid(held) == owner
        done = await (self.kube.apply(desired) if known else self.kube.claim(desired))
        if len(self._applied) > _APPLIED:
            self._applied.clear()
        # A later change by somebody else raises the generation, and we apply again.
        watched = self.world.get(resource, ref.namespace, ref.name) is not None
        self._applied[ref] = f"{said}/{_state(done)}" if watched else said

    async def _report(
        self, kind: Kind[Any], key: Key, resource: Object, step: "_Step"
    ) -> timedelta | None:
        before = resource.get("status") or {}
        status = step.status
        if step.error is not None and self._is_to_be_told(kind, key, before, step):
            status = kind.refused(
                resource, status, error=step.error, condition=step.condition, now=self.now()
            )
        written = await self._write_status(resource, status, is_steady=step.is_steady)
        if written is not None:
            _count_end(kind, before, status)
            for event in step.events:
                self.recorder.tell(resource, event, now=self.now())
        if isinstance(step.error, Retry):
            raise step.error
        if written is not None and step.is_steady and _has_changed(resource, written):
            return timedelta(0)  # as the write found it, nobody looked at it yet
        return step.recheck_after

    def _is_to_be_told(self, kind: Kind[Any], key: Key, before: Object, step: "_Step") -> bool:
        """Tell whether an error belongs into the status: not what passes in a moment."""
        if step.condition == kind.condition and kind.is_settled(before):
            _log.info("%s", step.error, extra={"kind": key.resource, "object": key.name})
            return False
        if isinstance(step.error, NotYet):
            return False
        if not isinstance(step.error, Unavailable):
            return True
        return self.now() - self._failing.setdefault(key, self.now()) >= TOLD_AFTER

    async def _write_status(
        self, resource: Object, status: Object, *, is_steady: bool
    ) -> Object | None:
        """Write what is new of a status; return the resource as it is then, None if as before."""
        patch = merge_patch(resource.get("status") or {}, status)
        if not patch:
            return None
        try:
            return await self.kube.patch_status(resource, patch, is_steady=is_steady)
        except NotFound:
            return None
        except Conflict as exc:
            # Another object has the name by now: it is looked at when its watch event arrives.
            raise Retry("Conflict", exc.message, after=timedelta(seconds=1)) from exc
        except Terminal as exc:
            # A bug of ours, but the others go on, and so does this one once it is mended.
            _log.error("the API server refuses a status: %s", exc.message)
            raise Retry(exc.reason, exc.message, after=timedelta(minutes=1)) from exc


def _count_end(kind: Kind[Any], before: Object, after: Object) -> None:
    if kind.counted is None or conditions.is_true(before, kind.ends):
        return
    if conditions.is_true(after, kind.ends):
        kind.counted.labels((conditions.find(after, kind.ends) or {})["reason"]).inc()


def _has_changed(seen: Object, written: Object) -> bool:
    """Tell whether somebody changed a resource, other than its status, since it was looked at."""
    then, now = seen["metadata"], written["metadata"]
    return any(then.get(field) != now.get(field) for field in ("generation", "deletionTimestamp"))


def _state(held: Object) -> str:
    """Return what changes with an object's spec: Services have no generation."""
    meta = held["metadata"]
    return str(meta.get("generation") or meta.get("resourceVersion", ""))


def _digest(desired: Object) -> str:
    return hashlib.sha256(orjson.dumps(desired, option=orjson.OPT_SORT_KEYS)).hexdigest()


def merge_patch(old: Object, new: Object) -> Object:
    """Return the JSON merge patch (RFC 7396) from *old* to *new*; empty if they are equal."""
    patch: Object = {key: None for key in old if key not in new}
    for key, value in new.items():
        if key not in old:
            patch[key] = value
        elif isinstance(value, dict) and isinstance(old[key], dict):
            inner = merge_patch(old[key], value)
            if inner:
                patch[key] = inner
        elif old[key] != value:
            patch[key] = value
    return patch
