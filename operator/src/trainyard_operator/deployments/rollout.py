"""How a Deployment gets from the version it serves to the version it should serve.

Pure. Each version has a child of its own, named by the model's digest, and one Service covers
them all:

    nothing ──▶ updating ──all ready──▶ stable ──target moves──▶ stable + updating ──▶ …
                   │ deadline or crash limit
                   └──▶ rejected: the child goes, what was stable stays; tried again only
                        once the target moves or spec.retry changes

It decides which children exist; objects/serving.py says what they look like.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

DEADLINE = timedelta(minutes=10)
CRASH_LIMIT = 3


@dataclass(frozen=True, slots=True)
class Target:
    """A published version of a model."""

    version: int
    digest: str


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a child's pod is not ready.

    Attributes:
        waits: Whether it is the cluster's, a registry's or the tracking service's to mend,
            whatever the model: waiting is right then, and rejecting the digest is not.
        is_final: Whether no other try can end otherwise.
    """

    reason: str
    message: str
    restarts: int = 0
    waits: bool = False
    is_final: bool = False


@dataclass(frozen=True, slots=True)
class Child:
    """What is seen of the child of one digest.

    `since` is when we saw that its server began to try, None if none has started: time spent
    waiting for room, an image or the tracking service is not held against the digest. `started`
    is when it began as its node says, whose clock tells this try from another and no more.
    """

    target: Target
    since: datetime | None
    started: datetime | None = None
    ready: int = 0
    is_current: bool = True
    deleting: bool = False
    failure: Failure | None = None


@dataclass(frozen=True, slots=True)
class Rejected:
    """A digest that failed to become ready, and the retry token that it failed under."""

    digest: str
    reason: str
    message: str = ""
    retry: int | None = None


@dataclass(frozen=True, slots=True)
class Wish:
    """What is wanted: the target (None while there is none to roll out), how many, which try.

    `blocked` says why an existing target must not be rolled out (not servable).
    """

    target: Target | None
    replicas: int = 1
    retry: int | None = None
    blocked: Failure | None = None


@dataclass(frozen=True, slots=True)
class Rollout:
    """The decision.

    Attributes:
        keep: The targets that must have a child, at full replicas.
        remove: The digests whose children go.
        stable: What is served, None until a first version was ready.
        updating: What is on its way.
        child: What is seen of its child.
        progressing: Reason and message if the way is barred or has stumbled, else None.
    """

    keep: tuple[Target, ...]
    remove: tuple[str, ...] = ()
    stable: Target | None = None
    updating: Target | None = None
    child: Child | None = None
    rejected: Rejected | None = None
    progressing: Failure | None = None
    finished: bool = False
    recheck_after: timedelta | None = None


def decide(
    wish: Wish,
    *,
    children: Sequence[Child],
    stable: Target | None,
    rejected: Rejected | None,
    now: datetime,
) -> Rollout:
    """Decide which children exist next."""
    present = {c.target.digest: c for c in children if not c.deleting}
    target = wish.target
    stable = stable or _serving(present, target)
    rejected = _still_rejected(rejected, wish=wish)
    if target is None:
        return _hold(present, stable=stable, rejected=rejected, why=None)
    if stable and target.digest == stable.digest:
        return _settled(wish, target=target, present=present)
    if wish.blocked:
        return _hold(present, stable=stable, rejected=rejected, why=wish.blocked)
    if rejected:
        why = Failure(rejected.reason, _rejected_message(rejected, wish=wish))
        return _hold(present, stable=stable, rejected=rejected, why=why)
    return _update(wish, target=target, present=present, stable=stable, now=now)


def _serving(present: Mapping[str, Child], target: Target | None) -> Target | None:
    """Return what is served though the status does not say so, as when somebody wiped it."""
    others = (c for d, c in present.items() if c.ready and (target is None or d != target.digest))
    served = max(others, key=lambda child: (child.ready, child.target.version), default=None)
    return served.target if served else None


def _still_rejected(rejected: Rejected | None, *, wish: Wish) -> Rejected | None:
    if rejected is None or wish.target is None:
        return rejected
    same = rejected.digest == wish.target.digest and rejected.retry == wish.retry
    return rejected if same else None


def _rejected_message(rejected: Rejected, *, wish: Wish) -> str:
    token = "unset" if wish.retry is None else wish.retry
    return (
        f"{rejected.message}; this digest is not tried again until the model's pointer moves"
        f" or spec.retry changes (it is {token})"
    )


def _hold(
    present: dict[str, Child],
    *,
    stable: Target | None,
    rejected: Rejected | None,
    why: Failure | None,
) -> Rollout:
    # Without a target or with a barred one, only what is served stays.
    keep = (stable,) if stable else ()
    remove = tuple(sorted(d for d in present if stable is None or d != stable.digest))
    return Rollout(keep=keep, remove=remove, stable=stable, rejected=rejected, progressing=why)


def _settled(wish: Wish, *, target: Target, present: dict[str, Child]) -> Rollout:
    child = present.get(target.digest)
    ready = child is not None and child.is_current and child.ready >= wish.replicas
    return Rollout(
        keep=(target,),
        remove=tuple(sorted(d for d in present if d != target.digest)),
        stable=target,
        progressing=None if ready or child is None else child.failure,
        finished=ready,
    )


def _update(
    wish: Wish,
    *,
    target: Target,
    present: dict[str, Child],
    stable: Target | None,
    now: datetime,
) -> Rollout:
    child = present.get(target.digest)
    if child is not None and child.is_current and child.ready >= wish.replicas:
        return _settled(wish, target=target, present=present)
    failure = child.failure if child else None
    if child is not None and _is_hopeless(child, now=now):
        failed = failure or Failure(
            "ProgressDeadlineExceeded",
            f"version {target.version} was not ready within {int(DEADLINE.total_seconds())} s",
        )
        rejected = Rejected(target.digest, failed.reason, failed.message, wish.retry)
        why = Failure(failed.reason, _rejected_message(rejected, wish=wish))
        return _hold(present, stable=stable, rejected=rejected, why=why)
    keep = (stable, target) if stable else (target,)
    kept = {t.digest for t in keep}
    return Rollout(
        keep=keep,
        remove=tuple(sorted(d for d in present if d not in kept)),
        stable=stable,
        updating=target,
        child=child,
        progressing=failure,
        recheck_after=_until_deadline(child, now=now),
    )


def _is_hopeless(child: Child, *, now: datetime) -> bool:
    failure = child.failure
    if failure and failure.waits:
        return False
    if failure and (failure.is_final or failure.restarts >= CRASH_LIMIT):
        return True
    return not child.ready and child.since is not None and now - child.since >= DEADLINE


def _until_deadline(child: Child | None, *, now: datetime) -> timedelta:
    if child is None or child.since is None:
        return DEADLINE
    return max(child.since + DEADLINE - now, timedelta(seconds=1))
