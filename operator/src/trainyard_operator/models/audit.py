"""The audit trail of a Model's moves. Pure.

A move holds once the status says so; from then on it is owed to the trail, which is paid in a step
of its own. So a tracking service that is down delays no promotion, and no move is forgotten:

    move ─▶ status: it holds, unaudited + 1 ─▶ nothing else to write ─▶ Audit … ─▶ unaudited 0
"""

from collections.abc import Sequence
from datetime import datetime

from trainyard_api.moment import rfc3339

from trainyard_operator.engine.conditions import Condition, find, merge
from trainyard_operator.engine.plan import Object, Plan
from trainyard_operator.models.effects import Audit
from trainyard_operator.models.pointers import HISTORY_LIMIT, Move

AUDITED = "Audited"
_UNAUDITED = "unaudited"


def owe(status: Object, moves: Sequence[Move]) -> Object:
    """Return the status with the moves that were just made owed to the trail."""
    if not moves:
        return status
    owed = status.get(_UNAUDITED, 0) + len(moves)
    # The trail is told from the history, which is no longer.
    return {**status, _UNAUDITED: min(owed, HISTORY_LIMIT)}


def pay(resource: Object, history: Sequence[Move], *, now: datetime) -> Plan | None:
    """Return the step that tells the trail what is owed to it, None if nothing is."""
    status = resource.get("status") or {}
    owed = status.get(_UNAUDITED, 0)
    if not owed:
        return None
    paid = {key: value for key, value in status.items() if key != _UNAUDITED}
    if (find(status, AUDITED) or {}).get("status") == "False":
        told = Condition(AUDITED, "True", "Audited", "Every move is on the audit trail")
        paid = merge(resource, paid, told, now=now)
    meta = resource["metadata"]
    lines = (_line(resource, move) for move in history[-owed:])
    return Plan(
        status=paid,
        effects=tuple(Audit(meta["namespace"], meta["name"], line) for line in lines),
    )


def _line(resource: Object, move: Move) -> Object:
    """Describe a move; told twice, it has the same time and id."""
    return {
        "time": rfc3339(move.time),
        "id": f"{move.stage}-{move.after or 0}",
        "namespace": resource["metadata"]["namespace"],
        "model": resource["metadata"]["name"],
        "stage": move.stage,
        "from": move.before,
        "to": move.after,
        "by": move.by,
        "reason": move.reason,
    }
