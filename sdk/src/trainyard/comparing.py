"""Compare runs: which parameters differ, which metrics they reached, which is best. Pure."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trainyard.errors import InvalidInput
from trainyard.tables import Table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_DRAWN = "Name a file in a folder that is there, ending in .png, .svg or .pdf"
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

    @property
    def labels(self) -> tuple[str, ...]:
        """A name for each run that no other one has."""
        count = Counter(run.name for run in self.runs)
        return tuple(
            f"{run.name} ({run.run_id[:8]})" if count[run.name] > 1 else run.name
            for run in self.runs
        )

    def as_object(self) -> dict[str, Any]:
        """Return it as JSON: by name, a value by run."""
        named = list(zip(self.labels, self.runs, strict=True))
        return {
            "runs": [
                {"name": label, "runID": run.run_id, "status": run.status} for label, run in named
            ],
            "params": {line.name: self._by_run(line) for line in self.params},
            "metrics": {
                line.name: {
                    "values": {
                        label: _json_number(run.metrics[line.name])
                        for label, run in named
                        if line.name in run.metrics
                    },
                    "best": [self.labels[position] for position in sorted(line.best)],
                }
                for line in self.metrics
            },
        }

    def table(self) -> Table:
        """Return it for the eye: a column for each run, the best marked with *."""
        width = len(self.runs)
        rows = [["status", *(run.status for run in self.runs)]]
        strong = set()
        for part in filter(None, (self.params, self.metrics)):
            rows.append([""] * (width + 1))
            for line in part:
                strong |= {(len(rows), at + 1) for at in line.best}
                rows.append([line.name, *_marked(line)])
        same = self.same_params
        hidden = f"; {same} parameters are the same everywhere" if same else ""
        return Table(("", *self.labels), rows, f"* best{hidden}", frozenset(strong))

    def plot(self, file: str | Path | None = None) -> "Figure":
        """Draw the metrics as bars, the best in colour; also to *file* (.png, .svg).

        Raises:
            InvalidInput: there is no matplotlib, there are no metrics, or *file* cannot be written.
        """
        try:
            from matplotlib.figure import Figure  # noqa: PLC0415  # an extra of the user's
        except ImportError as exc:
            raise InvalidInput("Drawing needs matplotlib", fix="pip install matplotlib") from exc
        if not self.metrics:
            raise InvalidInput("There are no metrics to draw", fix="Leave the drawing out")
        figure = Figure(figsize=(8, 1.6 * len(self.metrics) + 1), layout="constrained")
        places = figure.subplots(len(self.metrics), 1, squeeze=False)[:, 0]
        for axes, line in zip(places, self.metrics, strict=True):
            values = [run.metrics.get(line.name, math.nan) for run in self.runs]
            colors = ["C0" if at in line.best else "0.7" for at in range(len(values))]
            axes.barh(self.labels, values, color=colors)
            axes.set_title(line.name, loc="left", fontsize="small")
            axes.invert_yaxis()
        if file is not None:
            try:
                figure.savefig(file)
            except (OSError, ValueError) as exc:
                said = str(exc).splitlines()[0]
                raise InvalidInput(f"Cannot draw to {file}: {said}", fix=_DRAWN) from exc
        return figure

    def __str__(self) -> str:
        return str(self.table())

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return self.table()._repr_html_()

    def _by_run(self, line: Line) -> dict[str, str]:
        pairs = zip(self.labels, line.values, strict=True)
        return {label: value for label, value in pairs if value}


def _marked(line: Line) -> list[str]:
    return [f"{v} *" if at in line.best else v or "-" for at, v in enumerate(line.values)]


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


def line_up(results: Iterable[Result]) -> Comparison:
    """Line up runs, each once.

    A parameter that some run lacks differs; one run alone shows all it has.
    """
    runs = tuple({result.run_id: result for result in results}.values())
    params = (
        Line(name, tuple(run.params.get(name, "") for run in runs))
        for name in _names(run.params for run in runs)
    )
    metrics = (_metric_line(name, runs) for name in _names(run.metrics for run in runs))
    differing = (line for line in params if len(runs) == 1 or len(set(line.values)) > 1)
    return Comparison(runs, tuple(differing), tuple(metrics))


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
