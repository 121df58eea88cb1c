"""Run: one Job for each attempt, and the outcome of its container `main`.

    no Job ── RecordRun, Secret, Job ──▶ pod waits ──▶ runs ──▶ ended ──▶ retry │ final
                                                                            │
                     children deleted (TTL) ◀── Recorded ◀── FinishRun, CreateVersion

Finished comes from the pod alone; recording is a step of its own, which one write tells of
together with the end if it takes no time, so that a tracking service that is down delays no
outcome. Every child is known by UID: a Run of the same name as a deleted one never takes over what
that one left.

A clean Run costs four writes: Secret, Job, Running, Finished with Recorded.

    starting.py   until it runs          ending.py     once an attempt has ended
    stopping.py   cancel, suspend, time  clean_up.py   once the Run has
"""

from dataclasses import replace
from datetime import datetime, timedelta

from trainyard_operator import names
from trainyard_operator.engine.conditions import Condition, merge
from trainyard_operator.engine.errors import OperatorError, Terminal
from trainyard_operator.engine.kind import condition_false
from trainyard_operator.engine.plan import Object, Plan
from trainyard_operator.runs import effects
from trainyard_operator.runs import status as run_status
from trainyard_operator.runs.attempt import Attempt
from trainyard_operator.runs.clean_up import after_the_end
from trainyard_operator.runs.ending import carry_out, decide, end
from trainyard_operator.runs.observe import Observed
from trainyard_operator.runs.outcome import (
    COMPLETED,
    LOST,
    MAIN,
    QUEUED,
    Fault,
    Outcome,
    container_state,
)
from trainyard_operator.runs.recording import follow_started
from trainyard_operator.runs.retry import time_left
from trainyard_operator.runs.starting import start, wait
from trainyard_operator.runs.stopping import cancel, is_stopping, is_suspending, suspend, time_out
from trainyard_operator.settings import Settings

SETTLING_LOOK = timedelta(seconds=1)


def plan(run: Object, observed: Observed, /, *, now: datetime, settings: Settings) -> Plan:
    """Decide the next step for *run*."""
    status = run.get("status") or {}
    if run_status.is_finished(status):
        return after_the_end(run, observed, now=now, settings=settings)
    if run["metadata"].get("deletionTimestamp"):
        return Plan(status=status)
    return _next(run, observed, now=now, settings=settings)


def _next(run: Object, observed: Observed, *, now: datetime, settings: Settings) -> Plan:
    status, attempt = run.get("status") or {}, observed.attempt
    if attempt.is_settling(now=now):
        return Plan(status=status, recheck_after=SETTLING_LOOK)
    _, entry = run_status.current_attempt(status)
    if entry is not None and run_status.decision(entry) not in {"", run_status.SUSPENDED}:
        return carry_out(run, entry, attempt, now=now)
    outcome = _outcome(run, attempt, listed=entry is not None, now=now)
    if outcome is None:
        return _go_on(run, observed, now=now, settings=settings)
    if outcome.fault is Fault.QUEUE:
        # A suspended Job would make another pod once its queue lets it.
        return decide(run, status, attempt, reason=outcome.reason, message=outcome.message)
    ended = end(run, attempt, outcome, now=now)
    return _recorded_too(run, ended, observed, now=now, settings=settings)


def _recorded_too(
    run: Object, ended: Plan, observed: Observed, *, now: datetime, settings: Settings
) -> Plan:
    """Have the end told of together with its recording, unless more is to be done for either."""
    over = {**run, "status": ended.status}
    is_more = ended.delete or run_status.is_registering(over)
    if is_more or not run_status.is_finished(ended.status):
        return ended
    return replace(ended, then=after_the_end(over, observed, now=now, settings=settings))


def _go_on(run: Object, observed: Observed, *, now: datetime, settings: Settings) -> Plan:
    if run["spec"].get("cancel"):
        return cancel(run, observed, now=now)
    if is_suspending(run):
        return suspend(run, observed, now=now)
    if observed.attempt.job is None:
        return start(run, observed, now=now, settings=settings)
    if observed.attempt.is_running:
        return _running(run, observed.attempt, now=now)
    return wait(run, observed, now=now, settings=settings)


def _outcome(run: Object, attempt: Attempt, *, listed: bool, now: datetime) -> Outcome | None:
    """Return how the attempt ended, whoever ended it; None while it goes on."""
    seen = attempt.outcome(now=now)
    if is_stopping(run):
        return seen if seen and seen.reason == COMPLETED else None
    is_queued = attempt.is_suspended and not attempt.pods
    if seen is None and listed and (attempt.job is None or is_queued):
        seen = LOST
    if seen is None or seen.reason != LOST.reason:
        return seen
    # Not lost, if what the Job says explains it.
    told = QUEUED if attempt.is_suspended else attempt.deadline
    if told is None:
        return seen
    return replace(seen, reason=told.reason, message=told.message, fault=told.fault)


def _running(run: Object, attempt: Attempt, *, now: datetime) -> Plan:
    pod = attempt.first or {}
    started = str(((container_state(pod, MAIN) or {}).get("running") or {}).get("startedAt") or "")
    told = run_status.running(run, attempt.number, pod=pod, started=started, now=now)
    left = time_left(run["spec"], run_status.seen_start(told["attempts"][-1], now=now), now=now)
    if left is not None and left <= timedelta(0):
        return time_out(run, told, attempt)
    return Plan(
        status=told,
        effects=(*follow_started(run, attempt), effects.RecallExperiment(names.run_id(run))),
        recheck_after=_sooner(left, attempt.given_up_in(now=now)),
        is_steady=True,
    )


def _sooner(*left: timedelta | None) -> timedelta | None:
    return min((each for each in left if each is not None), default=None)


def refused(
    run: Object, status: Object, /, *, error: OperatorError, condition: str, now: datetime
) -> Object:
    """Tell of a failed step: what the user must change ends the Run, the rest waits."""
    if condition == run_status.REGISTERED:
        return run_status.not_registered(
            run, status, reason=error.reason, message=error.message, now=now
        )
    if condition != run_status.FINISHED:
        return condition_false(run, status, error=error, condition=condition, now=now)
    if isinstance(error, Terminal):
        return run_status.final(run, status, reason="InvalidSpec", message=error.message, now=now)
    phase = status.get("phase") or "Pending"
    told = Condition(run_status.FINISHED, "False", error.reason, error.message)
    return merge(run, {"runID": names.run_id(run), **status, "phase": phase}, told, now=now)
