"""Make the calls that a Model's plans describe. Each is idempotent."""

from collections.abc import Mapping
from datetime import timedelta

from trainyard_operator import names
from trainyard_operator.engine import objects
from trainyard_operator.engine.errors import Conflict, Retry, Terminal
from trainyard_operator.engine.performing import Answer, Performers
from trainyard_operator.engine.plan import Object, Ref
from trainyard_operator.finalizers.performers import PERFORMERS as FINALIZERS
from trainyard_operator.models import effects
from trainyard_operator.tools import Tools


async def _set_alias(call: effects.SetAlias, tools: Tools, _: Mapping[str, Answer]) -> Answer:
    desired: Object = {
        "apiVersion": objects.API_VERSION,
        "kind": "Model",
        "metadata": {"name": call.model, "namespace": call.namespace, "uid": call.uid},
        "spec": {"aliases": dict(call.aliases), **call.spec},
    }
    try:
        await tools.kube.apply(desired, manager=names.PROMOTER, force=False)
    except (Conflict, Terminal) as exc:
        # Of another UID: 409 if there is no Model, 422 if there is a namesake.
        live = await tools.kube.read(Ref.of(desired))
        if live is None or live["metadata"]["uid"] != call.uid:
            # Its own look decides, should it have been made anew.
            return {}
        if isinstance(exc, Terminal):
            raise
        raise Retry("AliasOwnedElsewhere", exc.message, after=timedelta(minutes=5)) from exc
    return {}


async def _note_retired(call: effects.NoteRetired, tools: Tools, _: Mapping[str, Answer]) -> Answer:
    note = {names.RETIRED: str(call.highest)}
    await tools.kube.patch(call.ref, {"metadata": {"annotations": note}})
    return {}


async def _audit(call: effects.Audit, tools: Tools, _: Mapping[str, Answer]) -> Answer:
    await tools.tracking.audit(call.namespace, {"model": call.model, **call.line})
    return {}


PERFORMERS: Performers = {
    **FINALIZERS,
    effects.SetAlias: _set_alias,
    effects.NoteRetired: _note_retired,
    effects.Audit: _audit,
}
