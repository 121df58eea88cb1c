"""Make the calls that hold objects and let them go. Each is idempotent."""

from collections.abc import Mapping

from trainyard_operator.engine.errors import Conflict, NotFound, Unavailable
from trainyard_operator.engine.performing import Answer, Performers
from trainyard_operator.engine.plan import Object, Ref
from trainyard_operator.finalizers import effects
from trainyard_operator.tools import Tools


async def _hold(call: effects.Hold, tools: Tools, _: Mapping[str, Answer]) -> Answer:
    found = await _live(call.ref, tools)
    if found is None or "deletionTimestamp" in found["metadata"]:
        return {}
    meta = found["metadata"]
    held: Object = {
        "finalizers": sorted({*meta.get("finalizers", ()), call.finalizer}),
        # A merge patch replaces lists: nobody may have changed them since they were read.
        "resourceVersion": meta["resourceVersion"],
    }
    if call.disown:
        owners = meta.get("ownerReferences") or ()
        held["ownerReferences"] = [o for o in owners if o["uid"] not in call.disown]
    try:
        await tools.kube.patch(call.ref, {"metadata": held})
    except (Conflict, NotFound) as exc:
        # Whoever edits it in the same moment is no news: look anew.
        raise Unavailable(exc.reason, exc.message) from exc
    return {}


async def _release(call: effects.ReleaseFinalizer, tools: Tools, _: Mapping[str, Answer]) -> Answer:
    found = await _live(call.ref, tools)
    held = list(found["metadata"].get("finalizers") or ()) if found else []
    if call.finalizer not in held:
        return {}
    path = "/metadata/finalizers"
    left = [each for each in held if each != call.finalizer]
    test = {"op": "test", "path": path, "value": held}
    await tools.kube.json_patch(call.ref, [test, {"op": "replace", "path": path, "value": left}])
    return {}


async def _live(ref: Ref, tools: Tools) -> Object | None:
    found = await tools.kube.read(ref)
    gone = found is None or (ref.uid and found["metadata"]["uid"] != ref.uid)
    return None if gone else found


PERFORMERS: Performers = {effects.Hold: _hold, effects.ReleaseFinalizer: _release}
