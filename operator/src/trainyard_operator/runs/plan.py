"""Run: one Job for each attempt, and the outcome of its container `main`.

    no Job ── RecordRun, Secret, Job ──▶ pod waits ──▶ runs ──▶ ended ──▶ retry │ final
                                                                            │
                     children deleted (TTL) ◀── Recorded ◀── ArchiveLog, FinishRun, CreateVersion

Finished comes from the pod alone and is written at once; recording follows in a step of its
own, so that a tracking service that is down delays no outcome. Every child is known by UID: a
Run of the same name as a deleted one never takes over what that one left.

A clean Run costs six writes: Secret, Job, Running, Finished, Recorded, one Event. Hence the
status says nothing in the first two seconds, in which most pods start.
"""

from datetime import datetime, timedelta
from typing import Any

from trainyard_operator import names
from trainyard_operator.engine.conditions import Condition, is_true, merge, parse_time
from trainyard_operator.engine.errors import OperatorError, Terminal
from trainyard_operator.engine.plan import Event, Object, Plan, Ref
from trainyard_operator.runs import effects
from trainyard_operator.runs import status as run_status
from trainyard_operator.runs.job import run_job
from trainyard_operator.runs.liveness import has_stopped, is_given_up, is_running, unfinished
from trainyard_operator.runs.observe import Observed
from trainyard_operator.runs.outcome import (
    COMPLETED,
    LOST,
    MAIN,
    Fault,
    Outcome,
    container_state,
    outcome_of,
)
from trainyard_operator.runs.recording import (
    follow_if_started,
    follow_log,
    record_run,
    recording,
    registering,
)
from trainyard_operator.runs.retry import clean_up_in, delay_after, retry_delay, time_left
from trainyard_operator.runs.scheduling import explain_unschedulable
from trainyard_operator.runs.waiting import PENDING, STARTING, Waiting, blocked_of, waiting_of
from trainyard_operator.settings import Settings
from trainyard_operator.tokens import run_token, token_secret

QUIET = timedelta(seconds=2)
LOOK_AGAIN = timedelta(seconds=5)
LINGERING = timedelta(seconds=5)


def plan(run: Object, observed: Observed, /, *, now: datetime, settings: Settings) -> Plan:
    """Decide the next step for *run*."""
    status = run.get("status") or {}
    if run_status.is_finished(status):
        return _after_the_end(run, observed, now=now)
    if run["metadata"].get("deletionTimestamp"):
        return Plan(status=status)
    number, entry = run_status.current_attempt(status)
    outcome = _outcome(run, observed, listed=entry is not None)
    if outcome is not None:
        return _ended(run, number, outcome, observed, now=now)
    if run["spec"].get("cancel"):
        return _cancel(run, observed, now=now)
    if run["spec"].get("suspend"):
        return _suspend(run, number, observed, now=now)
    return _go_on(run, number, observed, now=now, settings=settings)


def _go_on(
    run: Object, number: int, observed: Observed, *, now: datetime, settings: Settings
) -> Plan:
    if observed.job is None:
        return _start(run, number, observed, now=now, settings=settings)
    if observed.pod is not None and is_running(observed.pod):
        return _running(run, number, observed.pod, observed.job, now=now)
    return _wait(run, number, observed, now=now, settings=settings)


def _outcome(run: Object, observed: Observed, *, listed: bool) -> Outcome | None:
    """Return how the attempt ended, whoever ended it; None while it goes on."""
    stopping = run["spec"].get("cancel") or run["spec"].get("suspend")
    seen = outcome_of(observed.pod) if observed.pod else None
    if seen and (seen.reason == COMPLETED or not stopping):
        return seen
    if stopping:
        return None
    if observed.job is None:
        return LOST if listed else None
    has_failed = is_true(observed.job.get("status") or {}, "Failed")
    return LOST if observed.pod is None and has_failed else None


def _start(
    run: Object, number: int, observed: Observed, *, now: datetime, settings: Settings
) -> Plan:
    status = run.get("status") or {}
    pause = _pause_left(status, now=now)
    if pause > timedelta(0):
        return Plan(status=status, recheck_after=pause)
    if observed.lingering is not None and not is_given_up(observed.lingering, now=now):
        return Plan(status=status, recheck_after=LOOK_AGAIN, delete=unfinished(observed.live))
    return Plan(
        status=_quiet_or(run, status, PENDING, now=now),
        effects=(record_run(run),),
        apply=(_secret(run, settings),),
        create=(run_job(run, number, settings=settings),),
        delete=unfinished(observed.live),
        recheck_after=QUIET,
    )


def _secret(run: Object, settings: Settings) -> Object:
    name = names.token_secret(run["metadata"]["name"])
    token = run_token(run, key=settings.signing_key)
    # Not the attempt's labels: all attempts share it, and writing it again must change nothing.
    return token_secret(run, name, token, labels=names.run_labels(run))


def _pause_left(status: Object, *, now: datetime) -> timedelta:
    attempts = status.get("attempts") or ()
    if not attempts or attempts[-1].get("reason") == "Suspended":
        return timedelta(0)
    return parse_time(attempts[-1]["completionTime"]) + delay_after(len(attempts)) - now


def _quiet_or(run: Object, status: Object, waits: Waiting, *, now: datetime) -> Object:
    """Return the present status in a Run's first moments, then one that tells of the wait."""
    young = now - parse_time(run["metadata"]["creationTimestamp"]) < QUIET
    if young and not status.get("phase") and waits.patience is None:
        return status
    if status.get("phase") == "Retrying" and waits in {PENDING, STARTING}:
        return status  # it says so already, with the reason of the last end
    phase = "Retrying" if status.get("attempts") else "Pending"
    return run_status.waiting(run, phase=phase, reason=waits.reason, message=waits.message, now=now)


def _running(run: Object, number: int, pod: Object, job: Object, *, now: datetime) -> Plan:
    started = str((container_state(pod, MAIN) or {})["running"].get("startedAt") or "")
    left = time_left(run["spec"], parse_time(started), now=now) if started else None
    if left is not None and left <= timedelta(0):
        limit = run["spec"]["timeout"]
        message = f"The program ran longer than spec.timeout ({limit}) and was stopped"
        late = Outcome("TimedOut", message, Fault.FINAL, started=started)
        return _finish(run, number, late, pod=pod, delete=(Ref.of(job),), now=now)
    return Plan(
        status=run_status.running(run, number, pod=pod, started=started, now=now),
        effects=(follow_log(run, number, pod), effects.RecallExperiment(names.run_id(run))),
        recheck_after=left,
    )


def _wait(
    run: Object, number: int, observed: Observed, *, now: datetime, settings: Settings
) -> Plan:
    waits = _explained(observed)
    since = _waiting_since(observed)
    if waits.is_final(now - since):
        outcome = Outcome(waits.reason, waits.message, Fault.FINAL)
        doomed = (Ref.of(observed.job),) if observed.job else ()
        return _finish(run, number, outcome, pod=observed.pod, delete=doomed, now=now)
    secret = names.token_secret(run["metadata"]["name"])
    missing = waits.reason == "ConfigMissing" and secret in waits.message
    return Plan(
        status=_quiet_or(run, run.get("status") or {}, waits, now=now),
        apply=(_secret(run, settings),) if missing else (),
        recheck_after=LOOK_AGAIN if waits.patience is not None or not observed.pod else QUIET * 5,
    )


def _explained(observed: Observed) -> Waiting:
    if observed.pod is None:
        return blocked_of(observed.warnings)
    waits = waiting_of(observed.pod, observed.warnings)
    if waits.reason != "Unschedulable":
        return waits
    short = explain_unschedulable(observed.pod, observed.nodes)
    return Waiting(waits.reason, f"{waits.message} ({short})" if short else waits.message)


def _waiting_since(observed: Observed) -> datetime:
    waiting = observed.pod or observed.job or {}
    since = (waiting.get("status") or {}).get("startTime")
    return parse_time(since or waiting["metadata"]["creationTimestamp"])


def _ended(
    run: Object, number: int, outcome: Outcome, observed: Observed, *, now: datetime
) -> Plan:
    status = run.get("status") or {}
    delay = retry_delay(
        outcome.fault,
        limits=run["spec"].get("retry") or {},
        earlier=status.get("attempts") or (),
        attempts=number,
    )
    if delay is None:
        return _finish(run, number, outcome, pod=observed.pod, now=now)
    told = run_status.ended(run, number, outcome, pod=observed.pod, now=now)
    event = Event("Warning", outcome.reason, f"Attempt {number}: {outcome.message}")
    return Plan(
        status=run_status.retrying(run, told, outcome, now=now),
        effects=follow_if_started(run, number, observed.pod),
        events=(event,),
        recheck_after=delay,
    )


def _finish(
    run: Object,
    number: int,
    outcome: Outcome,
    *,
    pod: Object | None,
    now: datetime,
    delete: tuple[Ref, ...] = (),
) -> Plan:
    told = run_status.ended(run, number, outcome, pod=pod, now=now)
    good = outcome.reason == COMPLETED
    return Plan(
        status=run_status.final(run, told, reason=outcome.reason, message=outcome.message, now=now),
        effects=follow_if_started(run, number, pod),
        delete=delete,
        # A success needs no Event: the condition says it, and the write is saved.
        events=() if good else (Event("Warning", outcome.reason, outcome.message),),
    )


def _cancel(run: Object, observed: Observed, *, now: datetime) -> Plan:
    number, entry = run_status.current_attempt(run.get("status") or {})
    message = "The Run was cancelled (spec.cancel)"
    if _is_stopped(observed, now=now):
        outcome = Outcome("Cancelled", message, Fault.FINAL, **_ending(observed.pod))
        if entry is not None or observed.pod is not None:
            return _finish(
                run, number, outcome, pod=observed.pod, delete=unfinished(observed.live), now=now
            )
        status = run_status.final(
            run, run.get("status") or {}, reason="Cancelled", message=message, now=now
        )
        event = Event("Warning", "Cancelled", message)
        return Plan(status=status, delete=unfinished(observed.live), events=(event,))
    return _stopping(run, "Cancelling", "The program is being stopped", observed, now=now)


def _suspend(run: Object, number: int, observed: Observed, *, now: datetime) -> Plan:
    if not _is_stopped(observed, now=now):
        return _stopping(run, "Suspending", "The program is being stopped", observed, now=now)
    status = run.get("status") or {}
    _, entry = run_status.current_attempt(status)
    if entry is not None:
        ending = _ending(observed.pod)
        outcome = Outcome("Suspended", "The Run was suspended", Fault.NOBODY, **ending)
        status = run_status.ended(run, number, outcome, pod=observed.pod, now=now)
    told = Condition(
        run_status.FINISHED, "False", "Suspended", "spec.suspend is true: set it to false to go on"
    )
    fresh = {"runID": names.run_id(run), **status, "phase": "Suspended"}
    return Plan(
        status=merge(run, fresh, told, now=now),
        effects=follow_if_started(run, number, observed.pod),
        delete=unfinished(observed.live),
    )


def _ending(pod: Object | None) -> dict[str, Any]:
    seen = outcome_of(pod) if pod else None
    if seen is None:
        return {}
    return {
        "exit_code": seen.exit_code,
        "started": seen.started,
        "finished": seen.finished,
        "log_tail": seen.log_tail,
    }


def _is_stopped(observed: Observed, *, now: datetime) -> bool:
    """Tell whether no program of this attempt runs, or can still start."""
    if observed.pod is None:
        return observed.job is None or "deletionTimestamp" in observed.job["metadata"]
    return has_stopped(observed.pod) or is_given_up(observed.pod, now=now)


def _stopping(run: Object, reason: str, message: str, observed: Observed, *, now: datetime) -> Plan:
    status = run.get("status") or {}
    phase = status.get("phase") or "Pending"
    running = observed.pod if observed.pod and is_running(observed.pod) else None
    number, _ = run_status.current_attempt(status)
    return Plan(
        status=run_status.waiting(run, phase=phase, reason=reason, message=message, now=now),
        effects=follow_if_started(run, number, running),
        delete=unfinished(observed.live),
        recheck_after=LOOK_AGAIN,
    )


def _after_the_end(run: Object, observed: Observed, *, now: datetime) -> Plan:
    status = run["status"]
    lingering = unfinished(observed.live)
    if not run_status.is_recorded(status):
        late = now - parse_time(status["completionTime"]) > LINGERING * 12
        return Plan(
            status=run_status.recorded(run, now=now),
            effects=tuple(recording(run, observed.pod)),
            delete=lingering if late else (),
            recheck_after=LINGERING if lingering else _clean_up_in(run, now=now),
        )
    if run_status.is_registering(run):
        return Plan(
            status=run_status.recorded(run, now=now),
            effects=tuple(registering(run)),
            recheck_after=LINGERING if lingering else None,
        )
    ttl = _clean_up_in(run, now=now)
    if ttl is not None and ttl <= timedelta(0):
        return Plan(status=status, delete=_children(run, observed))
    if lingering and now - parse_time(status["completionTime"]) > LINGERING:
        return Plan(status=status, delete=lingering, recheck_after=ttl)
    return Plan(status=status, recheck_after=LINGERING if lingering else ttl)


def _clean_up_in(run: Object, *, now: datetime) -> timedelta | None:
    return clean_up_in(run["spec"], parse_time(run["status"]["completionTime"]), now=now)


def _children(run: Object, observed: Observed) -> tuple[Ref, ...]:
    jobs = tuple(Ref.of(job) for job in observed.jobs if "deletionTimestamp" not in job["metadata"])
    if not jobs:
        return ()
    meta = run["metadata"]
    secret = Ref("v1", "Secret", meta["namespace"], names.token_secret(meta["name"]))
    # Jobs last: while one is there, a clean-up that was cut short begins again.
    return (secret, *jobs)


def refused(
    run: Object, status: Object, /, *, error: OperatorError, condition: str, now: datetime
) -> Object:
    """Tell of a failed step: what the user must change ends the Run, the rest waits."""
    if condition == run_status.RECORDED:
        return run_status.not_recorded(
            run, status, reason=error.reason, message=error.message, now=now
        )
    if condition == run_status.REGISTERED:
        return run_status.not_registered(
            run, status, reason=error.reason, message=error.message, now=now
        )
    if isinstance(error, Terminal):
        return run_status.final(run, status, reason="InvalidSpec", message=error.message, now=now)
    phase = status.get("phase") or "Pending"
    told = Condition(run_status.FINISHED, "False", error.reason, error.message)
    return merge(run, {"runID": names.run_id(run), **status, "phase": phase}, told, now=now)
