"""Make the calls that a Deployment's plans describe. Each is idempotent."""

from collections.abc import Mapping

from trainyard_operator.deployments import effects, pacing
from trainyard_operator.engine.objects import DEPLOYMENTS, SELECTOR
from trainyard_operator.engine.performing import Answer, Performers
from trainyard_operator.engine.world import World
from trainyard_operator.tools import Tools


async def _restart(call: effects.Restart, tools: Tools, _: Mapping[str, Answer]) -> Answer:
    if tools.turn.locked() or not pacing.is_free(tools.world.all(DEPLOYMENTS)):
        return {"waits": True}
    async with tools.turn:
        if not await _is_free(tools.world):
            return {"waits": True}
        if call.secret is not None:
            await tools.kube.create(call.secret)
        await tools.kube.apply(call.child)
    return {}


async def _is_free(world: World) -> bool:
    """Ask, since a turn is rare: a restart whose answer was lost may not be in the cache yet."""
    for namespace in sorted({each["metadata"]["namespace"] for each in world.all(DEPLOYMENTS)}):
        held = await world.read_all("apps/v1", "Deployment", namespace, labelSelector=SELECTOR)
        if not pacing.is_free(held):
            return False
    return True


PERFORMERS: Performers = {effects.Restart: _restart}
