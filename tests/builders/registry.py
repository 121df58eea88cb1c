"""Builders for tests of the registry and of rollouts: what a test does not name is ordinary."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from trainyard_operator.deployments.rollout import Child, Failure, Target
from trainyard_operator.models.gates import Requirement
from trainyard_operator.models.pointers import Holding, Move, Registry, Stage, Version
from trainyard_operator.names import PROMOTER

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
EARLIER = NOW - timedelta(hours=1)
KEY = """-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEIGtra2tra2tra2tra2tra2tra2tra2tra2tra2tra2tr
-----END PRIVATE KEY-----
"""  # a test's own, made of the letter k


def at_least(metric: str, threshold: str) -> Requirement:
    return Requirement(metric, threshold=Decimal(threshold))


def at_most(metric: str, threshold: str) -> Requirement:
    return Requirement(metric, goal="minimize", threshold=Decimal(threshold))


def better_than(
    stage: str, metric: str = "accuracy", *, margin: str = "0", goal: str = "maximize"
) -> Requirement:
    return Requirement(metric, goal=goal, better_than=stage, margin=Decimal(margin))


def version(number: int, accuracy: str | None = None, **more: object) -> Version:
    metrics = {} if accuracy is None else {"accuracy": accuracy}
    return Version(number, **{"metrics": metrics, **more})  # type: ignore[arg-type]  # by name


def approval(*requires: Requirement, name: str = "production") -> Stage:
    return Stage(name, requires=requires)


def automatic(*requires: Requirement, name: str = "staging") -> Stage:
    return Stage(name, automatic=True, requires=requires)


def move(stage: str, before: int | None, after: int | None, *, time: datetime = EARLIER) -> Move:
    return Move(time, stage, before, after, by="ann", reason="GatesPassed")


def registry(
    *stages: Stage,
    versions: tuple[Version, ...] = (),
    held: Mapping[str, int] | None = None,
    **more: object,
) -> Registry:
    """Build a Model's registry; `held` is what each stage holds."""
    holdings = {
        name: Holding(name, version=number, since=EARLIER, by="ann")
        for name, number in (held or {}).items()
    }
    fields: dict[str, object] = {
        "stages": stages,
        "versions": {v.number: v for v in versions},
        "holdings": holdings,
        "aliases": dict(held or {}),
        "wanted": dict(held or {}),
        **more,
    }
    return Registry(**fields)  # type: ignore[arg-type]  # built by name


def promoter_owns(*aliases: str) -> dict[str, str]:
    return dict.fromkeys(aliases, PROMOTER)


def target(number: int) -> Target:
    return Target(number, f"sha256:{number:064d}")


def child(
    number: int, *, ready: int = 0, age: timedelta = timedelta(minutes=1), **more: object
) -> Child:
    return Child(target(number), NOW - age, ready=ready, **more)  # type: ignore[arg-type]


def crash(restarts: int = 1) -> Failure:
    return Failure("LoadFailed", "model.pkl could not be loaded", restarts=restarts)
