"""Whom the operator calls beside the API server: the tracking service, logs, who tells Events."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from fakes import Faults
from trainyard_operator.engine.errors import NotFound
from trainyard_operator.engine.plan import Event, Object
from trainyard_operator.runs.effects import FollowLog


class FakeTracking:
    """The tracking service: MLflow runs by id, and what they were finished with.

    Attributes:
        earlier: How attempts ended whose record made room for the next, by run and number.
    """

    def __init__(self, faults: Faults | None = None) -> None:
        self.faults = faults or Faults()
        self.runs: dict[str, Object] = {}
        self.earlier: dict[tuple[str, int], Mapping[str, Any]] = {}
        self.archived: set[tuple[str, int]] = set()
        self.audited: list[Mapping[str, Any]] = []
        self.down: Exception | None = None
        self.models: list[Object] = [{"name": "model", "artifactPath": "model"}]

    async def put_run(self, namespace: str, run_id: str, body: Mapping[str, Any]) -> Object:
        with self._answering("put_run"):
            held = self.runs.get(run_id)
            if held is None or held["attempt"] < body["attempt"]:
                if held is not None:
                    self.earlier[run_id, held["attempt"]] = body["previous"]
                self.runs[run_id] = {"namespace": namespace, **body, "status": "RUNNING"}
            return {"runID": run_id, "experimentID": "7"}

    async def finish_run(self, namespace: str, run_id: str, body: Mapping[str, Any]) -> Object:
        with self._answering("finish_run"):
            if run_id not in self.runs:
                raise NotFound("NotFound", f"Run {run_id} is not recorded")
            self.runs[run_id] = {**self.runs[run_id], "namespace": namespace, **body}
            self.archived |= {(run_id, attempt) for attempt in body["logs"]}
            return {
                "logs": {str(attempt): f"logs/attempt-{attempt}.log" for attempt in body["logs"]},
                "metrics": {"accuracy": "0.9"},
                "metric": "accuracy",
                "models": self.models,
                "experimentID": "7",
            }

    async def summary(self, namespace: str, run_id: str) -> Object:
        with self._answering("summary"):
            return {
                "metrics": {},
                "params": {},
                "status": "FINISHED",
                "models": self.models,
                "ns": namespace,
                "id": run_id,
            }

    async def audit(self, namespace: str, line: Mapping[str, Any]) -> None:
        with self._answering("audit"):
            self.audited.append({"namespace": namespace, **line})

    @contextmanager
    def _answering(self, what: str) -> Iterator[None]:
        with self.faults.calling(f"tracking {what}"):
            if self.down is not None:
                raise self.down
            yield


class FakeLogs:
    """Follows nothing; every log is complete at once."""

    def __init__(self) -> None:
        self.followed: list[FollowLog] = []
        self.following: list[FollowLog] = []
        self.forgotten: list[str] = []

    def follow(self, call: FollowLog) -> None:
        self.followed.append(call)

    def is_complete(self, call: FollowLog) -> bool:
        del call
        return True

    def is_following(self, run_id: str) -> bool:
        return any(call.run_id == run_id for call in self.following)

    def tails(self, run_id: str) -> list[Object]:
        del run_id
        return []

    def append_tails(self, run_id: str) -> bool:
        del run_id
        return False

    def forget(self, run_id: str) -> None:
        self.forgotten.append(run_id)


class FakeTeller:
    """Remembers Events."""

    def __init__(self) -> None:
        self.told: list[Event] = []

    def tell(self, about: Object, event: Event, *, now: datetime) -> None:
        del about, now
        self.told.append(event)
