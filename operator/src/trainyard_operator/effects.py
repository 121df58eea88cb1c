"""Perform the calls that plans describe: one function per class of calls.py.

The only place where deciding meets the tracking service and other resources. Every performer
is idempotent and raises Retry or Terminal; none writes the reconciled resource's status.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar, cast

from trainyard_operator.plan import Effect

Answer = Mapping[str, Any]
E = TypeVar("E", bound=Effect)

# call class → performer(call, tools, answers of the plan's earlier calls by class name)
_PERFORMERS: dict[type[Effect], Callable[..., Awaitable[Answer]]] = {}


def performs(
    call: type[E],
) -> Callable[
    [Callable[[E, Any, Mapping[str, Answer]], Awaitable[Answer]]],
    Callable[[E, Any, Mapping[str, Answer]], Awaitable[Answer]],
]:
    """Register the performer of a call."""

    def register(
        performer: Callable[[E, Any, Mapping[str, Answer]], Awaitable[Answer]],
    ) -> Callable[[E, Any, Mapping[str, Answer]], Awaitable[Answer]]:
        _PERFORMERS[call] = cast("Callable[..., Awaitable[Answer]]", performer)
        return performer

    return register


async def perform(effect: Effect, tools: Any, answers: Mapping[str, Answer]) -> Answer:
    """Make one call and return its answer.

    Raises:
        Retry: Time mends it (a service is down).
        Terminal: The user must change something.
    """
    return await _PERFORMERS[type(effect)](effect, tools, answers)
