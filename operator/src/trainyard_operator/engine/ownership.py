"""Whose an object is that has the name of one that we want to make. Pure."""

from collections.abc import Mapping
from typing import Any

from trainyard_operator.engine import objects
from trainyard_operator.engine.errors import NameTaken
from trainyard_operator.engine.plan import Object


def is_same(found: Object, desired: Object, label: str) -> bool:
    """Tell whether both have the same controller or, without any, the same value of a label."""
    owner = objects.controller_uid(desired)
    if owner:
        return owner == objects.controller_uid(found)
    wanted = (desired["metadata"].get("labels") or {}).get(label)
    return bool(wanted) and (found["metadata"].get("labels") or {}).get(label) == wanted


def unlabelled(found: Object, desired: Object) -> NameTaken | None:
    """Return that an object of ours has lost the label by which it is watched, if it has."""
    held = found["metadata"].get("labels") or {}
    wanted = desired["metadata"].get("labels") or {}
    lost = [f"{key}={v}" for key, v in objects.MANAGED_BY.items() if held.get(key) != v]
    if not lost or not objects.MANAGED_BY.items() <= wanted.items():
        return None
    kind, name = desired["kind"], desired["metadata"]["name"]
    return NameTaken(
        f"{kind}NameTaken",
        f"{kind} {name} has lost its label {lost[0]}, so nobody sees how it gets on: put it back"
        f" with `kubectl label {kind.lower()} {name} --overwrite {lost[0]}`",
    )


def name_taken(found: Object, desired: Object) -> NameTaken:
    """Return that another has the name, whose it is, and the way out.

    Without a time: the pause doubles, because what is there may stay for ever.
    """
    kind, name = desired["kind"], desired["metadata"]["name"]
    ours, theirs = (_controller(each) for each in (desired, found))
    said = f"another {kind} is named {name}"
    if theirs and ours and (theirs["kind"], theirs["name"]) == (ours["kind"], ours["name"]):
        fix = (
            f"it is that of an earlier {theirs['kind']} {theirs['name']}: waiting until it is gone"
        )
    elif theirs:
        fix = f"it belongs to {theirs['kind']} {theirs['name']}: delete that, or use another name"
    else:
        made = next((m.get("manager") for m in found["metadata"].get("managedFields") or ()), "")
        by = f", made by {made}" if made else ""
        fix = f"it belongs to nobody{by}: delete it, or use another name"
    return NameTaken(f"{kind}NameTaken", f"{said}; {fix}")


def _controller(resource: Object) -> Mapping[str, Any] | None:
    owners = resource["metadata"].get("ownerReferences") or ()
    return next((owner for owner in owners if owner.get("controller")), None)
