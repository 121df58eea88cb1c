"""What a version must show before a stage may point at it.

Pure: figures in, refusals out. It knows nothing of pointers, who asked, or when (promotion.py
does), and it reads metrics as the strings that statuses hold, because NaN has no JSON number.
NaN and infinity are what a training that diverged logs: neither passes any gate.

Figures are compared as decimals, so that 0.96 is exactly 0.01 better than 0.95.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

from trainyard_api.conditions import RefusalReason

MAXIMIZE = "maximize"
MINIMIZE = "minimize"


@dataclass(frozen=True, slots=True)
class Requirement:
    """One line of a stage's `requires`: an absolute threshold, or better than a stage."""

    metric: str
    goal: str = MAXIMIZE
    threshold: Decimal | None = None
    better_than: str | None = None
    margin: Decimal = Decimal(0)


@dataclass(frozen=True, slots=True)
class Figures:
    """A version and the metrics that were snapshotted when it was published."""

    version: int
    metrics: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Failure:
    """Why one requirement does not hold; the message names the metric and the figures."""

    reason: str
    message: str


def check_all(
    requirements: Sequence[Requirement],
    *,
    candidate: Figures,
    incumbents: Mapping[str, Figures],
) -> tuple[Failure, ...]:
    """Return every failure, in the order of the requirements; empty means the gates pass.

    Args:
        requirements: The stage's `requires`.
        candidate: The version that wants the stage.
        incumbents: What each stage holds now; a stage that holds nothing is absent.
    """
    failures = (check(r, candidate=candidate, incumbents=incumbents) for r in requirements)
    return tuple(failure for failure in failures if failure is not None)


def check(
    requirement: Requirement,
    *,
    candidate: Figures,
    incumbents: Mapping[str, Figures],
) -> Failure | None:
    """Return why the candidate fails the requirement, or None if it holds."""
    figure = _figure(candidate, requirement.metric)
    if isinstance(figure, Failure):
        return figure
    if requirement.threshold is not None:
        return _against_threshold(requirement, requirement.threshold, figure)
    incumbent = incumbents.get(requirement.better_than or "")
    if incumbent is None:
        return None
    return _against_incumbent(requirement, figure, candidate=candidate, incumbent=incumbent)


def _figure(figures: Figures, metric: str) -> Decimal | Failure:
    text = figures.metrics.get(metric)
    if text is None:
        had = ", ".join(sorted(figures.metrics)[:10]) or "none"
        return Failure(
            RefusalReason.METRIC_MISSING,
            f"{metric} was not logged for version {figures.version} (metrics it has: {had})",
        )
    value = parse_figure(text)
    if value is None or not value.is_finite():
        what = "infinite" if value is not None and value.is_infinite() else "not a number"
        return Failure(
            RefusalReason.METRIC_NOT_A_NUMBER,
            f"{metric} of version {figures.version} is {text}, {what}: no gate takes it",
        )
    return value


def parse_figure(text: str) -> Decimal | None:
    """Read a metric as a decimal (infinities and NaN included); None if it is no figure."""
    try:
        return Decimal(text.strip())
    except InvalidOperation:
        return None


def _against_threshold(
    requirement: Requirement, threshold: Decimal, figure: Decimal
) -> Failure | None:
    metric = requirement.metric
    if requirement.goal == MINIMIZE:
        if figure <= threshold:
            return None
        return Failure(
            RefusalReason.ABOVE_THRESHOLD, f"{metric} is {figure}, must be at most {threshold}"
        )
    if figure >= threshold:
        return None
    return Failure(
        RefusalReason.BELOW_THRESHOLD, f"{metric} is {figure}, must be at least {threshold}"
    )


def _against_incumbent(
    requirement: Requirement, figure: Decimal, *, candidate: Figures, incumbent: Figures
) -> Failure | None:
    held = _figure(incumbent, requirement.metric)
    if isinstance(held, Failure):
        return Failure(
            RefusalReason.INCUMBENT_NOT_COMPARABLE,
            f"there is nothing to compare with: {held.message}, and stage"
            f" {requirement.better_than} holds it",
        )
    if _is_better(figure, held, requirement=requirement):
        return None
    by = f" by {requirement.margin} or more" if requirement.margin else ""
    same = ", the same version" if candidate.version == incumbent.version else ""
    return Failure(
        RefusalReason.NOT_BETTER,
        f"{requirement.metric} is {figure}, must be better than {held}{by}"
        f" (version {incumbent.version} in stage {requirement.better_than}{same};"
        f" goal {requirement.goal})",
    )


def _is_better(figure: Decimal, held: Decimal, *, requirement: Requirement) -> bool:
    gain = held - figure if requirement.goal == MINIMIZE else figure - held
    # Equal figures are never better, whatever the margin.
    return gain >= requirement.margin and gain > 0
