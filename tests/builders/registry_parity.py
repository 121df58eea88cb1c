"""The same calls on our registry store and on MLflow's own, and what both answer, side by side."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from mlflow.entities.model_registry import ModelVersion, ModelVersionTag, RegisteredModel
from mlflow.entities.model_registry import RegisteredModelTag as Tag
from mlflow.exceptions import MlflowException
from mlflow.store.entities.paged_list import PagedList

BEGIN = datetime(2026, 11, 24, 12, tzinfo=UTC)


class Clock:
    """A time that both stores read, and that moves by odd milliseconds from call to call."""

    def __init__(self) -> None:
        self.now = BEGIN

    def tick(self) -> None:
        self.now += timedelta(milliseconds=1237)

    def millis(self) -> int:
        return int(self.now.timestamp() * 1000)


@dataclass(frozen=True)
class Call:
    """One call of a store."""

    method: str
    args: tuple[Any, ...]
    named: dict[str, Any]

    def __str__(self) -> str:
        said = [repr(one) for one in self.args] + [f"{k}={v!r}" for k, v in self.named.items()]
        return f"{self.method}({', '.join(said)})"


def call(method: str, *args: Any, **named: Any) -> Call:
    return Call(method, args, named)


def new_model(name: str, **tags: str) -> Call:
    """Make a registered model, as MLflow's handler calls the store."""
    given = [Tag(key, value) for key, value in tags.items()]
    return call("create_registered_model", name, given, "")


def new_version(name: str, source: str = "s3://models/one", **tags: str) -> Call:
    """Make a version, as MLflow's handler calls the store."""
    given = [ModelVersionTag(key, value) for key, value in tags.items()]
    return call("create_model_version", name, source, "", given, "", "", None, None)


def answer(store: Any, asked: Call, shown: Callable[[Any], Any]) -> Any:
    """Give what a store answers: what it shows, or its error with its text."""
    try:
        return shown(getattr(store, asked.method)(*asked.args, **asked.named))
    except MlflowException as exc:
        return {"error": exc.error_code, "message": exc.message}


def as_shown(found: Any) -> Any:
    """Turn an answer into values that compare, whoever gave it."""
    if isinstance(found, PagedList):
        return {"found": [without_aliases(as_shown(one)) for one in found], "token": found.token}
    if isinstance(found, list):
        return [as_shown(one) for one in found]
    if isinstance(found, RegisteredModel):
        return {
            "name": found.name,
            "created": found.creation_timestamp,
            "updated": found.last_updated_timestamp,
            "description": found.description or "",
            "tags": dict(found._tags),
            "aliases": {alias: str(number) for alias, number in found.aliases.items()},
            "latest": sorted(
                (one.current_stage, one.version, one.source) for one in found.latest_versions
            ),
        }
    if isinstance(found, ModelVersion):
        names = "name version creation_timestamp last_updated_timestamp current_stage source status"
        return {
            **{name: getattr(found, name) for name in names.split()},
            "description": found.description or "",
            "run_id": found.run_id or "",
            "tags": dict(found.tags),
            "aliases": sorted(found.aliases),
        }
    return found


def without_aliases(shown: Any) -> Any:
    """Leave out the aliases of a version: MLflow's own searches do not look for them."""
    return {k: v for k, v in shown.items() if k != "aliases" or "latest" in shown}


def compared(
    calls: list[Call], ours: Any, stock: Any, clock: Clock
) -> Iterator[tuple[Call, Any, Any]]:
    """Make all calls on both, in order; yield what each answered."""
    for asked in calls:
        clock.tick()
        yield asked, answer(ours, asked, as_shown), answer(stock, asked, as_shown)
