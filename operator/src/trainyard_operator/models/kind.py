"""The Model kind: what wakes it, what decides, and who carries it out."""

from collections.abc import Iterable
from datetime import timedelta

from trainyard_operator import names
from trainyard_operator.engine.kind import Kind
from trainyard_operator.engine.plan import Object
from trainyard_operator.models.performers import PERFORMERS
from trainyard_operator.models.plan import READY, observe, plan


def _model_of(version: Object) -> Iterable[str]:
    return (version["spec"]["model"],)


KIND = Kind(
    resource=names.MODELS,
    condition=READY,
    observe=observe,
    plan=plan,
    performers=PERFORMERS,
    # A look reads all versions, and they come in crowds: a sweep, a restored backup.
    settle=timedelta(seconds=1),
    # Who owns an alias decides whether promotion may write it.
    keeps_managers=True,
    wakes={names.MODEL_VERSIONS: lambda version, world: _model_of(version)},
    indexes={names.MODEL_VERSIONS: {names.BY_MODEL: _model_of}},
)
