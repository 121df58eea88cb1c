"""Figures with names, and how they are shown. Pure."""

import statistics
from collections.abc import Mapping, Sequence

Figures = dict[str, float | str]


def spread(name: str, values: Sequence[float]) -> Figures:
    """Return the middle, the 95th centile and the largest of some seconds."""
    if not values:
        return {f"{name}: none": 0}
    centiles = statistics.quantiles([*values] * 2, n=100, method="inclusive")
    return {
        f"{name}, p50, s": statistics.median(values),
        f"{name}, p95, s": centiles[94],
        f"{name}, max, s": max(values),
    }


def prefixed(name: str, figures: Figures) -> Figures:
    """Return figures of a part, with its name before theirs."""
    return {f"{name}: {key}": value for key, value in figures.items()}


def shown(figures: Mapping[str, float | str]) -> str:
    """Return a table."""
    lines = []
    for name, value in figures.items():
        text = value if isinstance(value, str) else f"{value:,.2f}".removesuffix(".00")
        lines.append(f"{name:<62} {text:>12}")
    return "\n".join(lines)
