"""Make the calls that plans describe: a kind names the function that performs each.

The only place where deciding meets what is neither a child nor the status.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from trainyard_operator.engine.errors import Conflict, NotFound, Retry
from trainyard_operator.engine.plan import Effect

Answer = Mapping[str, Any]
# performer(effect, tools, answers of the plan's earlier effects by class name)
Performer = Callable[[Any, Any, Mapping[str, Answer]], Awaitable[Answer]]
Performers = Mapping[type[Effect], Performer]


async def perform(
    effect: Effect, performers: Performers, tools: Any, answers: Mapping[str, Answer]
) -> Answer:
    """Make one call and return its answer.

    Raises:
        Retry: Time mends it (a service is down).
        Terminal: The user must change something.
    """
    try:
        return await performers[type(effect)](effect, tools, answers)
    except (Conflict, NotFound) as exc:
        raise Retry(exc.reason, exc.message) from exc
