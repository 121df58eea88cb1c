"""Which version each alias of a Model holds: the one decision of the registry.

Pure: a Model's intent, what held until now, and its versions go in; what holds, what was
refused and what the promoter should write come out. It makes no Kubernetes object and reads
no clock but the `now` that it is given.

    spec.aliases (wanted) ──▶ exists? ─▶ published? ─▶ forced? ─▶ held before? ─▶ gates
                                 │no        │no           │yes        │yes        │pass/refuse
                                 ▼          ▼             └───────────┴──▶ moves  ▼
                             the pointer that holds stays, and a refusal says why

An alias that is no stage goes through the first two only.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from trainyard_api.conditions import RefusalReason

from trainyard_operator.models import gates
from trainyard_operator.models.gates import Figures, Requirement
from trainyard_operator.names import PROMOTER

HISTORY_LIMIT = 20
BY_TRAINYARD = "trainyard"


@dataclass(frozen=True, slots=True)
class Version:
    """A ModelVersion as pointers see it; `problem` says why a rejected one was."""

    number: int
    phase: str = "Ready"
    metrics: Mapping[str, str] = field(default_factory=dict)
    deleting: bool = False
    problem: str = ""

    @property
    def is_ready(self) -> bool:
        return self.phase == "Ready" and not self.deleting

    def figures(self) -> Figures:
        return Figures(self.number, self.metrics)


@dataclass(frozen=True, slots=True)
class Stage:
    """A stage's policy."""

    name: str
    automatic: bool = False
    requires: tuple[Requirement, ...] = ()


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a pointer does not follow what is wanted."""

    version: int
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Move:
    """One move of a stage's pointer; None stands for empty."""

    time: datetime
    stage: str
    before: int | None
    after: int | None
    by: str
    reason: str


@dataclass(frozen=True, slots=True)
class Holding:
    """What one stage holds, and since when, by whom and after what."""

    stage: str
    version: int | None = None
    since: datetime | None = None
    by: str = ""
    previous: int | None = None
    candidate: int | None = None
    refusal: Refusal | None = None


@dataclass(frozen=True, slots=True)
class Registry:
    """Everything that a decision about pointers reads.

    Attributes:
        wanted: `spec.aliases`.
        promoters: `spec.promoters`, who wished for what each stage with approval is to hold.
        owners: Field manager that owns each alias of `wanted`.
        aliases: `status.aliases`, all pointers that held until now.
        history: `status.history`, oldest first.
    """

    stages: tuple[Stage, ...] = ()
    wanted: Mapping[str, int] = field(default_factory=dict)
    owners: Mapping[str, str] = field(default_factory=dict)
    versions: Mapping[int, Version] = field(default_factory=dict)
    holdings: Mapping[str, Holding] = field(default_factory=dict)
    aliases: Mapping[str, int] = field(default_factory=dict)
    history: tuple[Move, ...] = ()
    force: int | None = None
    promoters: Mapping[str, str] = field(default_factory=dict)

    def held(self, stage: str) -> int | None:
        """Return what the stage holds; an alias that became a stage keeps what it held."""
        holding = self.holdings.get(stage)
        return holding.version if holding else self.aliases.get(stage)

    def ever_held(self, stage: str) -> frozenset[int]:
        """Return every version known to have held the stage, this one included."""
        moves = [m for m in self.history if m.stage == stage]
        holding = self.holdings.get(stage, Holding(stage))
        numbers = [n for m in moves for n in (m.before, m.after)]
        return frozenset(n for n in [*numbers, self.held(stage), holding.previous] if n is not None)

    def incumbents(self) -> dict[str, Figures]:
        """Return the figures of what each stage holds; of a deleted version, none."""
        held = {stage.name: self.held(stage.name) for stage in self.stages}
        unknown = Version(0)
        return {
            name: Figures(number, self.versions.get(number, unknown).metrics)
            for name, number in held.items()
            if number is not None
        }


@dataclass(frozen=True, slots=True)
class Pointers:
    """The decision: what holds now, the moves made and the pointers that are refused."""

    holdings: tuple[Holding, ...]
    aliases: Mapping[str, int]
    moves: tuple[Move, ...]
    history: tuple[Move, ...]
    plain_refusals: tuple[tuple[str, Refusal], ...] = ()


def decide(registry: Registry, *, now: datetime) -> Pointers:
    """Decide every pointer of a Model from what is wanted and what holds."""
    stage_names = {stage.name for stage in registry.stages}
    decided = [_decide_stage(registry, stage, now=now) for stage in registry.stages]
    plain, refusals = _plain_aliases(registry, skip=stage_names)
    held = {h.stage: h.version for h, _ in decided if h.version is not None}
    moves = tuple(move for _, move in decided if move)
    return Pointers(
        holdings=tuple(holding for holding, _ in decided),
        aliases={**plain, **held},
        moves=moves,
        history=trimmed((*registry.history, *moves)),
        plain_refusals=refusals,
    )


def refuse(registry: Registry, number: int, *, stage: Stage) -> Refusal | None:
    """Return why the version may not hold the stage, or None if it may."""
    unusable = refuse_unusable(registry.versions, number)
    if unusable or number == registry.force or number in registry.ever_held(stage.name):
        return unusable
    failures = gates.check_all(
        stage.requires,
        candidate=registry.versions[number].figures(),
        incumbents=registry.incumbents(),
    )
    if not failures:
        return None
    message = "; ".join(failure.message for failure in failures)
    return Refusal(number, failures[0].reason, message)


def refuse_unusable(versions: Mapping[int, Version], number: int) -> Refusal | None:
    """Return why nothing can point at the version, whatever its figures."""
    version = versions.get(number)
    if version is None:
        return Refusal(number, RefusalReason.VERSION_MISSING, f"there is no version {number}")
    if version.deleting:
        return Refusal(number, RefusalReason.VERSION_MISSING, f"version {number} is being deleted")
    if version.phase == "Rejected":
        why = f": {version.problem}" if version.problem else ""
        return Refusal(
            number, RefusalReason.VERSION_REJECTED, f"version {number} was not published{why}"
        )
    if version.phase != "Ready":
        return Refusal(
            number,
            RefusalReason.VERSION_NOT_PUBLISHED,
            f"version {number} is not published yet ({version.phase or 'Pending'})",
        )
    return None


def trimmed(history: Sequence[Move]) -> tuple[Move, ...]:
    """Keep the last moves, and of each stage the one to its highest version.

    The highest is what automatic promotion must not fall behind, however long ago it was.
    """
    excess = len(history) - HISTORY_LIMIT
    if excess <= 0:
        return tuple(history)
    highest: dict[str, Move] = {}
    for move in history:
        best = highest.get(move.stage)
        if move.after is not None and (best is None or move.after >= (best.after or 0)):
            highest[move.stage] = move
    kept: list[Move] = []
    for move in history:
        if excess > 0 and highest.get(move.stage) is not move:
            excess -= 1
            continue
        kept.append(move)
    return tuple(kept[-HISTORY_LIMIT:])


def _decide_stage(
    registry: Registry, stage: Stage, *, now: datetime
) -> tuple[Holding, Move | None]:
    held = registry.held(stage.name)
    holding = registry.holdings.get(stage.name, Holding(stage.name, version=held))
    holding = replace(holding, refusal=None, candidate=None)
    wanted = registry.wanted.get(stage.name)
    if wanted == held:
        return holding, None
    if wanted is None and stage.automatic:
        # The promoter writes the alias again; until then nobody's endpoint loses its model.
        return holding, None
    if wanted is not None:
        refusal = refuse(registry, wanted, stage=stage)
        if refusal:
            return replace(holding, candidate=wanted, refusal=refusal), None
    move = Move(
        time=now,
        stage=stage.name,
        before=held,
        after=wanted,
        by=_mover(registry, stage),
        reason=_reason(registry, stage, wanted),
    )
    moved = Holding(stage.name, version=wanted, since=now, by=move.by, previous=held)
    return moved, move


def _mover(registry: Registry, stage: Stage) -> str:
    owner = registry.owners.get(stage.name, "")
    if stage.automatic:
        # Nobody has to sign for these: a name that stands there may be of an earlier policy.
        return BY_TRAINYARD if owner == PROMOTER else owner
    return registry.promoters.get(stage.name) or owner


def _reason(registry: Registry, stage: Stage, wanted: int | None) -> str:
    if wanted is None:
        return "Released"
    if wanted in registry.ever_held(stage.name):
        return "HeldBefore"
    if wanted == registry.force:
        return "Forced"
    return "GatesPassed" if stage.requires else "NoGates"


def _plain_aliases(
    registry: Registry, *, skip: Iterable[str]
) -> tuple[dict[str, int], tuple[tuple[str, Refusal], ...]]:
    aliases: dict[str, int] = {}
    refusals: list[tuple[str, Refusal]] = []
    for alias, number in sorted(registry.wanted.items()):
        if alias in skip:
            continue
        held = registry.aliases.get(alias)
        refusal = None if held == number else refuse_unusable(registry.versions, number)
        if refusal:
            refusals.append((alias, refusal))
        if refusal is None:
            aliases[alias] = number
        elif held is not None:
            aliases[alias] = held
    return aliases, tuple(refusals)
