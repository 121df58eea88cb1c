"""Make the calls that a ModelVersion's plans describe. Each is idempotent."""

from collections.abc import Mapping

from trainyard_operator import names
from trainyard_operator.engine.performing import Answer, Performers
from trainyard_operator.engine.plan import Object, Ref
from trainyard_operator.tools import Tools
from trainyard_operator.versions import effects


async def _release_finalizer(
    call: effects.ReleaseFinalizer, tools: Tools, _: Mapping[str, Answer]
) -> Answer:
    held = _finalizers(await _live(call.ref, tools))
    if held is None or call.finalizer not in held:
        return {}
    await _set_finalizers(call.ref, held, [f for f in held if f != call.finalizer], tools)
    return {}


async def _hold_version(call: effects.HoldVersion, tools: Tools, _: Mapping[str, Answer]) -> Answer:
    found = await _live(call.ref, tools)
    if found is None or "deletionTimestamp" in found["metadata"]:
        return {}
    meta = found["metadata"]
    owners = [o for o in meta.get("ownerReferences") or () if not o.get("controller")]
    finalizers = meta.get("finalizers") or ()
    held = {
        "ownerReferences": [*owners, dict(call.owner)],
        "finalizers": sorted({*finalizers, names.RETIRE_FINALIZER}),
        "resourceVersion": meta["resourceVersion"],
    }
    await tools.kube.patch(call.ref, {"metadata": held})
    return {}


async def _live(ref: Ref, tools: Tools) -> Object | None:
    found = await tools.kube.read(ref)
    gone = found is None or (ref.uid and found["metadata"]["uid"] != ref.uid)
    return None if gone else found


def _finalizers(found: Object | None) -> list[str] | None:
    return None if found is None else list(found["metadata"].get("finalizers") or ())


async def _set_finalizers(ref: Ref, held: list[str], wanted: list[str], tools: Tools) -> None:
    path = "/metadata/finalizers"
    test = [{"op": "test", "path": path, "value": held}] if held else []
    change = {"op": "replace" if held else "add", "path": path, "value": wanted}
    await tools.kube.json_patch(ref, [*test, change])


PERFORMERS: Performers = {
    effects.ReleaseFinalizer: _release_finalizer,
    effects.HoldVersion: _hold_version,
}
