"""One attempt of a Run: a Job, and its pods by completion index, looked at as one. Pure.

    all indexes succeeded      ─▶ Completed, and it ended with the last of them
    one failed                 ─▶ the first failure in time decides: others follow from it
    all run, or are done       ─▶ it runs; while one still waits to start, the attempt waits

A program that needs all its pods has not begun while one is missing: what keeps that one is told,
and spec.timeout counts from when the last one runs. Of several pods of one index the newest
counts. The first pod is index 0's: its name, image, commit and start are told.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from trainyard_operator.engine.conditions import is_true, parse_time
from trainyard_operator.engine.plan import Object
from trainyard_operator.runs import liveness
from trainyard_operator.runs.disruption import cluster_time, told_at
from trainyard_operator.runs.outcome import (
    COMPLETED,
    LOST,
    SILENT,
    TOO_LONG,
    Outcome,
    outcome_of,
    told_to_leave,
)

INDEX = "batch.kubernetes.io/job-completion-index"
_NEVER = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt.

    Attributes:
        number: From 1.
        job: None if there is none of ours.
        pods: The newest of each index, by index; also when their Job is gone.
    """

    number: int = 1
    job: Object | None = None
    pods: Mapping[int, Object] = field(default_factory=dict)

    @classmethod
    def of(cls, number: int, job: Object | None, pods: Iterable[Object]) -> "Attempt":
        """Return the view of an attempt, given all pods that its Job ever made."""
        newest = {_index_of(pod): pod for pod in sorted(pods, key=_created)}
        return cls(number, job, dict(sorted(newest.items())))

    @property
    def size(self) -> int:
        """Return how many pods it has when it is complete."""
        spec = (self.job or {}).get("spec") or {}
        return max(int(spec.get("completions") or 1), *(index + 1 for index in self.pods), 1)

    @property
    def is_missing(self) -> bool:
        """Tell whether a pod is not made yet, or gone."""
        return len(self.pods) < self.size

    @property
    def first(self) -> Object | None:
        """Return the pod of index 0, or the first that there is."""
        return next(iter(self.pods.values()), None)

    @property
    def waiting(self) -> tuple[int, Object] | None:
        """Return the first pod that has not started, and its index."""
        waits = ((index, pod) for index, pod in self.pods.items() if _waits(pod))
        return next(waits, None)

    @property
    def is_running(self) -> bool:
        """Tell whether the program runs: in one pod at least, and no other is still to start."""
        runs = any(map(liveness.is_running, self.pods.values()))
        return runs and not self.is_missing and self.waiting is None

    @property
    def is_suspended(self) -> bool:
        """Tell whether somebody suspended the Job: we never do."""
        return bool(((self.job or {}).get("spec") or {}).get("suspend"))

    @property
    def deadline(self) -> Outcome | None:
        """Return the end by a deadline of the Job that somebody else set: we never do."""
        told = ((self.job or {}).get("status") or {}).get("conditions") or ()
        if not any(map(_is_deadline, told)):
            return None
        seconds = ((self.job or {}).get("spec") or {}).get("activeDeadlineSeconds", "")
        return replace(TOO_LONG, message=TOO_LONG.message.format(seconds=seconds))

    @property
    def is_at_its_end(self) -> bool:
        """Tell whether all containers of all its pods have ended: sidecars, too."""
        return not self.is_missing and all(map(liveness.is_at_its_end, self.pods.values()))

    def is_stopped(self, *, now: datetime) -> bool:
        """Tell whether no program of it runs, or can still start."""
        is_doomed = self.is_over or "deletionTimestamp" in (self.job or {}).get("metadata", {})
        if self.is_missing and self.job and not is_doomed:
            return False  # what is missing may be made yet
        pods = self.pods.values()
        return all(liveness.has_stopped(pod) or liveness.is_given_up(pod, now=now) for pod in pods)

    def given_up_in(self, *, now: datetime) -> timedelta | None:
        """Return when the first pod that does not stop is given up, None if none is told to."""
        live = (pod for pod in self.pods.values() if not liveness.has_stopped(pod))
        left = (liveness.given_up_in(pod, now=now) for pod in live)
        return min((each for each in left if each is not None), default=None)

    def is_settling(self, *, now: datetime) -> bool:
        """Tell whether it has ended, and a pod may not have said yet what ended it."""
        settles = any(liveness.is_settling(pod, now=now) for pod in self.pods.values())
        return settles and self.outcome(now=now) is not None

    def outcome(self, *, now: datetime) -> Outcome | None:
        """Return how it ended as its pods tell, None while it has not."""
        ends = {index: _end_of(pod, now=now) for index, pod in self.pods.items()}
        if any(end and end.reason != COMPLETED for end in ends.values()):
            return self._first_failure(ends)
        if self.is_missing:
            return LOST if self.is_over else None
        done = [end for end in ends.values() if end is not None]
        if len(done) < self.size:
            return None
        return replace(max(done, key=lambda end: end.finished), started=done[0].started)

    @property
    def is_over(self) -> bool:
        """Tell whether the Job makes no more pods."""
        status = (self.job or {}).get("status") or {}
        return is_true(status, "Complete") or is_true(status, "Failed")

    def may_have_more(self, *, now: datetime) -> bool:
        """Tell whether there should be pods that are not among these, by what its Job says."""
        if self.job is None or self.is_over:
            return True
        made = parse_time(self.job["metadata"]["creationTimestamp"])
        active = (self.job.get("status") or {}).get("active") or 0
        return active > len(self.pods) and now - made > liveness.GIVEN_UP

    def _first_failure(self, ends: Mapping[int, Outcome | None]) -> Outcome:
        # One that was told to leave and has not ended yet may be why another has failed.
        told = {index: end or told_to_leave(self.pods[index]) for index, end in ends.items()}
        bad = {index: end for index, end in told.items() if end and end.reason != COMPLETED}
        index = min(bad, key=lambda each: _failed_at(self.pods[each], bad[each]))
        first = ends[min(ends)]
        started = (first.started if first else "") or bad[index].started
        message = self.named(index, bad[index].message)
        return replace(bad[index], message=message, started=started)

    def named(self, index: int, message: str) -> str:
        """Return what is said of one pod, with its index if there is another."""
        return f"Index {index}: {message}" if self.size > 1 else message


def _index_of(pod: Object) -> int:
    meta = pod["metadata"]
    held = (meta.get("labels") or {}).get(INDEX) or (meta.get("annotations") or {}).get(INDEX)
    return int(held or 0)


def _is_deadline(condition: Object) -> bool:
    # FailureTarget is said first, Failed once all pods have stopped.
    ends = condition["type"] in {"FailureTarget", "Failed"} and condition["status"] == "True"
    return bool(ends and condition.get("reason") == "DeadlineExceeded")


def _created(pod: Object) -> str:
    return str(pod["metadata"]["creationTimestamp"])


def _waits(pod: Object) -> bool:
    return not liveness.is_running(pod) and not liveness.has_stopped(pod)


def _end_of(pod: Object, *, now: datetime) -> Outcome | None:
    return outcome_of(pod) or (SILENT if liveness.is_given_up(pod, now=now) else None)


def _failed_at(pod: Object, end: Outcome) -> tuple[datetime, bool]:
    """Return what tells the first failure: its time, and whether it was merely deleted.

    The Job's controller deletes the pods beside one that failed, in the same second even.
    """
    finished = cluster_time(pod, end.finished) if end.finished else None
    known = (moment for moment in (told_at(pod), finished) if moment)
    return min(known, default=_NEVER), end.reason == LOST.reason
