"""What a Deployment says of itself: its conditions and its phase. Pure."""

from collections.abc import Iterator

from trainyard_api.conditions import ServingReason

from trainyard_operator.deployments.following import Order
from trainyard_operator.deployments.rollout import Failure, Rollout
from trainyard_operator.engine.conditions import Condition

AVAILABLE = "Available"
PROGRESSING = "Progressing"
SERVABLE = "Servable"


def tell(order: Order, decided: Rollout, *, ready: int) -> tuple[Condition, ...]:
    """Return the conditions; `ready` counts the ready pods of the stable version."""
    told = (
        _available(decided, wanted=order.wish.replicas, ready=ready),
        _progressing(decided, order.problem or decided.progressing),
    )
    return (*told, *_servable(order))


def phase(order: Order, decided: Rollout, *, ready: int) -> str:
    """Return where the Deployment is, for the eye."""
    problem = order.problem or decided.progressing
    wanted = order.wish.replicas
    if decided.stable is None:
        return "Degraded" if decided.rejected else "Pending"
    if problem is not None or ready < wanted:
        return "Degraded"
    if decided.updating is not None:
        return "Progressing"
    return "Available" if wanted else "Pending"


def _available(decided: Rollout, *, wanted: int, ready: int) -> Condition:
    if decided.stable is None:
        reason, message = ServingReason.STARTING, "No version has been ready yet"
        return Condition(AVAILABLE, "False", reason, message)
    number = decided.stable.version
    if wanted == 0:
        message = f"Version {number} is scaled to zero: nothing answers"
        return Condition(AVAILABLE, "False", ServingReason.SCALED_TO_ZERO, message)
    message = f"Version {number} is served by {ready} of {wanted} replicas"
    if ready:
        return Condition(AVAILABLE, "True", ServingReason.AVAILABLE, message)
    return Condition(AVAILABLE, "False", ServingReason.NOT_READY, message)


def _progressing(decided: Rollout, problem: Failure | None) -> Condition:
    if problem is not None:
        stays = f"; version {decided.stable.version} goes on serving" if decided.stable else ""
        return Condition(PROGRESSING, "False", problem.reason, f"{problem.message}{stays}")
    if decided.updating is not None:
        message = f"Version {decided.updating.version} is starting"
        return Condition(PROGRESSING, "True", ServingReason.UPDATING, message)
    if not decided.finished:
        message = "Not all replicas are up to date and ready"
        return Condition(PROGRESSING, "True", ServingReason.STARTING, message)
    message = "Every replica is up to date and ready"
    return Condition(PROGRESSING, "True", ServingReason.COMPLETE, message)


def _servable(order: Order) -> Iterator[Condition]:
    verdict = order.verdict
    if verdict is not None:
        yield Condition(SERVABLE, verdict.status, verdict.reason, verdict.message)
