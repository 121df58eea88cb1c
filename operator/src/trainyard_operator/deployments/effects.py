"""What is asked of the cluster for a Deployment, besides its children.

Descriptions only; performers.py makes the calls.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from trainyard_operator.deployments.status import PROGRESSING
from trainyard_operator.engine.plan import Effect, Object

_WAITS = "; they restart for the operator's upgrade once others have"


@dataclass(frozen=True, slots=True)
class Restart(Effect):
    """Give a child its new template, if no other of the cluster is being restarted.

    Attributes:
        child: The child as it is applied.
        secret: What its pods mount, if it has to be made first.
    """

    child: Object
    secret: Object | None = None

    def fold(self, status: Object, answer: Mapping[str, Any]) -> Object:
        """Say that it waits, in the same words for as long as it does."""
        if not answer.get("waits"):
            return status
        told = [_waiting(each) for each in status.get("conditions") or ()]
        return {**status, "conditions": told}


def _waiting(condition: Object) -> Object:
    message = condition.get("message", "")
    if condition["type"] != PROGRESSING or message.endswith(_WAITS):
        return condition
    return {**condition, "message": f"{message}{_WAITS}"}
