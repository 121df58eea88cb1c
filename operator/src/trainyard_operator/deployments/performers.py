"""Make the calls that a Deployment's plans describe. Each is idempotent."""

from collections.abc import Mapping

from trainyard_operator.deployments import effects, pacing
from trainyard_operator.engine.objects import DEPLOYMENTS
from trainyard_operator.engine.performing import Answer, Performers
from trainyard_operator.tools import Tools


async def _restart(call: effects.Restart, tools: Tools, _: Mapping[str, Answer]) -> Answer:
    # What is written is in the caches before the next one looks.
    if tools.turn.locked() or not pacing.is_free(tools.world.all(DEPLOYMENTS)):
        return {"waits": True}
    async with tools.turn:
        if call.secret is not None:
            await tools.kube.create(call.secret)
        await tools.kube.apply(call.child)
    return {}


PERFORMERS: Performers = {effects.Restart: _restart}
