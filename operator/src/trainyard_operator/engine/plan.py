"""The vocabulary between deciding and doing: what a kind's plan() answers.

Plain frozen data. Nothing here decides, and nothing here performs: kinds make Plans,
reconcile.py carries them out in this order and stops at the first failure:

    effects ─▶ create ─▶ apply ─▶ delete ─▶ (then) ─▶ one status patch ─▶ events
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Literal

# A Kubernetes object as the API server sends it.
Object = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Ref:
    """The address of one Kubernetes object.

    Attributes:
        uid: When given, a delete only hits the object with this UID.
        owner: For an object that is not watched, so whose UID is not known: a delete only hits
            what this UID controls.
    """

    api_version: str
    kind: str
    namespace: str
    name: str
    uid: str = ""
    owner: str = ""

    @classmethod
    def of_child(cls, desired: Object) -> "Ref":
        """Return the address of a child as it is described, which its controller alone deletes."""
        (controller,) = (o for o in desired["metadata"]["ownerReferences"] if o["controller"])
        ref = cls.of(desired)
        return cls(ref.api_version, ref.kind, ref.namespace, ref.name, owner=controller["uid"])

    @classmethod
    def of(cls, resource: Object) -> "Ref":
        """Return the address of an object that the API server sent (with its UID)."""
        meta = resource["metadata"]
        return cls(
            resource["apiVersion"],
            resource["kind"],
            meta.get("namespace", ""),
            meta["name"],
            meta.get("uid", ""),
        )


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened, for `kubectl describe`; written after the status was."""

    type: Literal["Normal", "Warning"]
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Effect:
    """A call to the world outside the plan's own children, described but not made.

    Concrete effects live beside their kind and are made before the status is written. All are
    idempotent: a crash after one means that it is made again.

    Attributes:
        condition: The condition type that turns False, with the error's reason, when the
            call fails; empty for the kind's own main condition.
    """

    condition: str = field(default="", kw_only=True)

    def fold(self, status: Object, answer: Mapping[str, Any]) -> Object:
        """Return the status with the call's answer in it. Pure; the input is not changed."""
        del answer
        return status


@dataclass(frozen=True, slots=True)
class Plan:
    """The next step for one resource.

    Attributes:
        status: The whole status that shall hold after the step, if all of it is done: a step
            that fails leaves the present one. Equal to the present one means that nothing is
            written.
        apply: Children that are kept as described (server-side apply); by force only once they
            are known to be ours.
        create: Children made once and never touched again. A child of that name that is
            ours is fine; another's is an error that waits until it is gone.
        delete: Objects to delete in the background, known by UID or by owner; already gone is
            fine.
        effects: Calls to make first.
        events: Told once the status is written, so only when something happened.
        recheck_after: Look again after this time even if nothing changes.
        is_steady: Looking at the status once it is written would decide nothing more, so that
            the write need not wake its own resource.
        condition: The condition type that turns False when a write of the step's own objects
            fails; empty for the kind's own main condition.
        then: The step after this one, taken before the status is written if it takes no time, so
            that one write tells of both; else the status tells of this one alone.
    """

    status: Object
    apply: tuple[Object, ...] = ()
    create: tuple[Object, ...] = ()
    delete: tuple[Ref, ...] = ()
    effects: tuple[Effect, ...] = ()
    events: tuple[Event, ...] = ()
    recheck_after: timedelta | None = None
    is_steady: bool = False
    condition: str = ""
    then: "Plan | None" = None
