"""What automatic promotion would write into a Model's aliases.

Pure. It decides only what the promoter *wants* to write: the pointer itself moves when
pointers.py sees the alias, whoever wrote it. It never takes an alias from another owner.
"""

from dataclasses import dataclass

from trainyard_operator.models.pointers import Refusal, Registry, Stage, refuse
from trainyard_operator.names import PROMOTER


@dataclass(frozen=True, slots=True)
class Promotion:
    """What one automatic stage comes to.

    Attributes:
        write: The version to write into the alias, None if it is right already.
        blocked_by: The field manager that owns the alias, if it is not the promoter.
        refusal: Why the newest candidate was passed over.
    """

    stage: str
    write: int | None = None
    blocked_by: str = ""
    candidate: int | None = None
    refusal: Refusal | None = None


def decide(registry: Registry) -> tuple[Promotion, ...]:
    """Decide for every automatic stage what its alias should be."""
    return tuple(_decide(registry, stage) for stage in registry.stages if stage.automatic)


def _decide(registry: Registry, stage: Stage) -> Promotion:
    name = stage.name
    best, refusal = _choose(registry, stage)
    candidate = best if best is not None else (refusal.version if refusal else None)
    wanted = registry.wanted.get(name)
    # An alias that was taken away comes back as it was: an un-pin must not empty the stage.
    target = best if best is not None else (registry.held(name) if wanted is None else None)
    if target is None or target == wanted:
        return Promotion(name, candidate=candidate, refusal=refusal)
    owner = registry.owners.get(name, "")
    if wanted is not None and owner != PROMOTER:
        return Promotion(name, blocked_by=owner or "another client", candidate=candidate)
    return Promotion(name, write=target, candidate=candidate, refusal=refusal)


def _choose(registry: Registry, stage: Stage) -> tuple[int | None, Refusal | None]:
    """Return the newest version that passes, and the refusal of the newest that did not.

    Looking past a refused newest version makes the outcome the same whether two versions
    arrive one by one or at once.
    """
    newest_held = max(registry.ever_held(stage.name), default=0)
    ready = [v.number for v in registry.versions.values() if v.is_ready]
    first_refusal: Refusal | None = None
    for number in sorted((n for n in ready if n > newest_held), reverse=True):
        refusal = refuse(registry, number, stage=stage)
        if refusal is None:
            return number, first_refusal
        first_refusal = first_refusal or refusal
    return None, first_refusal
