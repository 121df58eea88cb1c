"""Compare runs: which parameters differ, which metrics they reached, which is best. Pure."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

_LESS_IS_BETTER = frozenset(
    {"loss", "error", "err", "mse", "mae", "mape", "rmse", "perplexity", "deviance", "brier"}
    | {"time", "duration", "latency", "seconds"}
)


@dataclass(frozen=True, slots=True)
class Result:
    """One run as MLflow knows it."""

    name: str
    run_id: str
    status: str = ""
    params: Mapping[str, str] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the comparison: a value per run, "" for none; *best* are positions."""

    name: str
    values: tuple[str, ...]
    best: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Comparison:
    """Parameters that differ and all metrics, in the order of the runs."""

    runs: tuple[Result, ...]
    params: tuple[Line, ...]
    metrics: tuple[Line, ...]

    @property
    def same_params(self) -> int:
        """How many parameters are the same everywhere and so left out."""
        names = {name for run in self.runs for name in run.params}
        return len(names) - len(self.params)

    def as_object(self) -> dict[str, Any]:
        """Return it as JSON: by name, a value by run."""
        return {
            "runs": [
                {"name": run.name, "runID": run.run_id, "status": run.status} for run in self.runs
            ],
            "params": {line.name: self._by_run(line) for line in self.params},
            "metrics": {
                line.name: {
                    "values": {
                        run.name: _json_number(run.metrics[line.name])
                        for run in self.runs
                        if line.name in run.metrics
                    },
                    "best": [self.runs[position].name for position in sorted(line.best)],
                }
                for line in self.metrics
            },
        }

    def _by_run(self, line: Line) -> dict[str, str]:
        pairs = zip(self.runs, line.values, strict=True)
        return {run.name: value for run, value in pairs if value}


def result_of(run: Mapping[str, Any], *, name: str = "") -> Result:
    """Read a run as MLflow's REST API gives it."""
    info, data = run["info"], run.get("data") or {}
    return Result(
        name=name or info.get("run_name") or info["run_id"],
        run_id=info["run_id"],
        status=info.get("status", ""),
        params={pair["key"]: str(pair["value"]) for pair in data.get("params") or []},
        # NaN and infinities come as text.
        metrics={pair["key"]: float(pair["value"]) for pair in data.get("metrics") or []},
    )


def compare(runs: Sequence[Result]) -> Comparison:
    """Line up *runs*. A parameter that some run lacks differs; one run alone shows all it has."""
    params = (
        Line(name, tuple(run.params.get(name, "") for run in runs))
        for name in _names(run.params for run in runs)
    )
    metrics = (_metric_line(name, runs) for name in _names(run.metrics for run in runs))
    differing = (line for line in params if len(runs) == 1 or len(set(line.values)) > 1)
    return Comparison(tuple(runs), tuple(differing), tuple(metrics))


def less_is_better(metric: str) -> bool:
    """Guess from a metric's name which way is up."""
    words = metric.lower().replace("-", "_").split("_")
    return any(word in _LESS_IS_BETTER for word in words)


def short_number(value: float) -> str:
    """Write a metric with as many digits as people read."""
    return f"{value:.6g}"


def _names(mappings: Iterable[Mapping[str, Any]]) -> list[str]:
    return sorted({name for mapping in mappings for name in mapping})


def _metric_line(name: str, runs: Sequence[Result]) -> Line:
    values = [run.metrics.get(name) for run in runs]
    shown = tuple("" if value is None else short_number(value) for value in values)
    return Line(name, shown, _best(values, less=less_is_better(name)))


def _best(values: Sequence[float | None], *, less: bool) -> frozenset[int]:
    """Find the positions of the best value; none if all are the same or there is only one."""
    numbers = {at: x for at, x in enumerate(values) if x is not None and not math.isnan(x)}
    if len(values) < 2 or len(set(values)) < 2 or not numbers:
        return frozenset()
    top = min(numbers.values()) if less else max(numbers.values())
    return frozenset(at for at, value in numbers.items() if value == top)


def _json_number(value: float) -> float | str:
    return value if math.isfinite(value) else str(value)
