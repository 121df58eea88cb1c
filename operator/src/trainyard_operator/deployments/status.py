"""What a Deployment says of itself: its conditions and its phase. Pure."""

from collections.abc import Iterator

from trainyard_api.conditions import ServingReason

from trainyard_operator.deployments.following import Order
from trainyard_operator.deployments.rollout import Failure, Rollout
from trainyard_operator.engine.conditions import Condition

AVAILABLE = "Available"
PROGRESSING = "Progressing"
SERVABLE = "Servable"


def tell(
    order: Order, decided: Rollout, *, ready: int, unrest: Failure | None = None
) -> tuple[Condition, ...]:
    """Return the conditions.

    Args:
        ready: How many pods of the stable version are ready.
        unrest: The last crash of the stable version's pods, if they were restarted.
    """
    told = (
        _available(decided, wanted=order.wish.replicas, ready=ready, unrest=unrest),
        _progressing(decided, order.problem or decided.progressing, ready=ready),
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


def _available(decided: Rollout, *, wanted: int, ready: int, unrest: Failure | None) -> Condition:
    if decided.stable is None:
        reason, message = ServingReason.STARTING, "No version has been ready yet"
        return Condition(AVAILABLE, "False", reason, message)
    number = decided.stable.version
    if wanted == 0:
        message = f"Version {number} is scaled to zero: nothing answers"
        return Condition(AVAILABLE, "False", ServingReason.SCALED_TO_ZERO, message)
    message = f"Version {number} is served by {ready} of {wanted} replicas"
    if unrest is not None:
        times = "once" if unrest.restarts == 1 else f"{unrest.restarts} times"
        message += f"; a replica ended and was started again {times}, last: {unrest.message}"
    if ready:
        return Condition(AVAILABLE, "True", ServingReason.AVAILABLE, message)
    return Condition(AVAILABLE, "False", ServingReason.NOT_READY, message)


def _progressing(decided: Rollout, problem: Failure | None, *, ready: int) -> Condition:
    if problem is not None:
        serving = "goes on serving" if ready else "serves too, but none of its replicas is ready"
        stays = f"; version {decided.stable.version} {serving}" if decided.stable else ""
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
