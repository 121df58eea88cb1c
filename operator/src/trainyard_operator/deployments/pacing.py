"""When a child gets a new template that restarts its pods: at once, or in turn. Pure.

What the Deployment's spec or the registry asks for is somebody's wish, and goes at once. What
differs only because this operator or its settings are new is everybody's at the same moment, and
goes one after the other across the cluster, so that an upgrade restarts no two models at once.

Two annotations of the child tell the one from the other, and a third who is at it, so that no
memory of ours is needed: whoever leads next reads the same.
"""

import hashlib
from collections.abc import Iterable
from enum import Enum, auto

import orjson
from trainyard_api import contract

from trainyard_operator.deployments.pods import is_stuck
from trainyard_operator.deployments.rollout import Target
from trainyard_operator.engine.conditions import find
from trainyard_operator.engine.plan import Object

INTENT = f"{contract.GROUP}/intent"
"""What was asked for, hashed."""
MADE_AS = f"{contract.GROUP}/made-as"
"""The template that this operator made of it, hashed: the API server adds defaults to the rest."""
PACED = f"{contract.GROUP}/paced"
"""That the last change of the template was made in turn."""
_MARKS = (INTENT, MADE_AS, PACED)

# The Deployment controller's words: all pods are new; it has given up (children._START_SECONDS).
_ENDED = {"NewReplicaSetAvailable", "ProgressDeadlineExceeded"}


class Change(Enum):
    """How a child becomes what it should be."""

    AT_ONCE = auto()
    IN_TURN = auto()


def marked(child: Object, resource: Object, target: Target, *, present: Object | None) -> Object:
    """Return the child as described, with its marks; PACED stays until something is asked for."""
    spec = resource["spec"]
    asked = {
        "model": [spec["model"]["name"], target.version, target.digest],
        "runtime": spec.get("runtime"),
        "resources": spec.get("resources"),
        # Left out where it says nothing, so that an upgrade is no change of what was asked for.
        **({} if spec.get("batching", True) else {"batching": False}),
    }
    if longest := spec.get("maxBodyBytes"):  # without it, what was asked for stays as it was
        asked["maxBodyBytes"] = longest
    marks = {INTENT: _hash(asked), MADE_AS: _hash(child["spec"]["template"])}
    paced = {**marks, PACED: "true"}
    return _with(child, paced if _marks(present) == paced else marks)


def decide(wanted: Object, present: Object | None) -> Change:
    """Decide how a marked child replaces the present one.

    One that serves nothing has nothing to lose, and may be waiting for just this change. One
    without marks is an earlier operator's, which asked for the same.
    """
    before, after = _marks(present), _marks(wanted)
    if present is None or before.get(INTENT, after[INTENT]) != after[INTENT]:
        return Change.AT_ONCE
    serves = (present.get("status") or {}).get("readyReplicas", 0) > 0
    return Change.IN_TURN if serves and before.get(MADE_AS) != after[MADE_AS] else Change.AT_ONCE


def in_turn(wanted: Object) -> Object:
    """Return the child as it is applied when its turn has come."""
    return _with(wanted, {**_marks(wanted), PACED: "true"})


def meanwhile(wanted: Object, present: Object) -> Object | None:
    """Return how a child that waits is applied: scaled, with the template that it has."""
    if wanted["spec"]["replicas"] == present["spec"]["replicas"]:
        return None
    template = present["spec"]["template"]
    return _with({**wanted, "spec": {**wanted["spec"], "template": template}}, _marks(present))


def is_free(children: Iterable[Object]) -> bool:
    """Tell whether no child of the cluster is in the middle of a restart in turn."""
    return not any(map(_is_under_way, children))


def _is_under_way(child: Object) -> bool:
    meta, status = child["metadata"], child.get("status") or {}
    if PACED not in _marks(child) or "deletionTimestamp" in meta or child["spec"].get("paused"):
        return False
    seen = status.get("observedGeneration", 0) >= meta.get("generation", 0)
    has_ended = seen and (find(status, "Progressing") or {}).get("reason") in _ENDED
    return not has_ended and not is_stuck(child)


def _marks(child: Object | None) -> dict[str, str]:
    notes = ((child or {}).get("metadata") or {}).get("annotations") or {}
    return {key: notes[key] for key in _MARKS if key in notes}


def _with(child: Object, marks: dict[str, str]) -> Object:
    return {**child, "metadata": {**child["metadata"], "annotations": marks}}


def _hash(value: object) -> str:
    return hashlib.sha256(orjson.dumps(value, option=orjson.OPT_SORT_KEYS)).hexdigest()[:16]
