"""Run: one Job for each attempt, and the outcome of its container `main`.

    no Job ── RecordRun, Secret, Job ──▶ pod waits ──▶ runs ──▶ ended ──▶ retry │ final
                                                                            │
                     children deleted (TTL) ◀── Recorded ◀── FinishRun, CreateVersion

Finished comes from the pod alone and is written at once; recording follows in a step of its
own, so that a tracking service that is down delays no outcome. Every child is known by UID: a
Run of the same name as a deleted one never takes over what that one left.

A clean Run costs six writes: Secret, Job, Running, Finished, Recorded, one Event. Hence the
status says nothing in the first two seconds, in which most pods start.
"""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from trainyard_api.moment import rfc3339

from trainyard_operator import names
from trainyard_operator.engine.conditions import Condition, is_true, merge, parse_time
from trainyard_operator.engine.errors import OperatorError, Terminal
from trainyard_operator.engine.kind import condition_false
from trainyard_operator.engine.plan import Event, Object, Plan, Ref
from trainyard_operator.runs import effects
from trainyard_operator.runs import status as run_status
from trainyard_operator.runs.clean_up import after_the_end
from trainyard_operator.runs.job import run_job
from trainyard_operator.runs.liveness import (
    given_up_in,
    has_stopped,
    is_given_up,
    is_running,
    is_settling,
    unfinished,
)
from trainyard_operator.runs.observe import Observed
from trainyard_operator.runs.outcome import (
    COMPLETED,
    LOST,
    MAIN,
    QUEUED,
    SILENT,
    Fault,
    Outcome,
    container_state,
    outcome_of,
)
from trainyard_operator.runs.recording import follow_if_started, follow_log, record_run
from trainyard_operator.runs.retry import (
    delay_after,
    one_more,
    retry_delay,
    time_left,
    used_retries,
)
from trainyard_operator.runs.scheduling import explain_unschedulable
from trainyard_operator.runs.waiting import (
    PENDING,
    STARTING,
    Waiting,
    blocked_of,
    suspended_of,
    waiting_of,
)
from trainyard_operator.settings import Settings
from trainyard_operator.tokens import run_secret

QUIET = timedelta(seconds=2)
LOOK_AGAIN = timedelta(seconds=5)
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
    status = run.get("status") or {}
    if observed.pod is not None and is_settling(observed.pod, now=now):
        return Plan(status=status, recheck_after=SETTLING_LOOK)
    number, entry = run_status.current_attempt(status)
    if run_status.is_timed_out(entry):
        return _time_out(run, number, observed, now=now)
    outcome = _outcome(run, observed, listed=entry is not None, now=now)
    if outcome is not None:
        return _ended(run, number, outcome, observed, now=now)
    return _go_on(run, number, observed, now=now, settings=settings)


def _go_on(
    run: Object, number: int, observed: Observed, *, now: datetime, settings: Settings
) -> Plan:
    if run["spec"].get("cancel"):
        return _cancel(run, observed, now=now)
    if run["spec"].get("suspend"):
        return _suspend(run, number, observed, now=now)
    if observed.job is None:
        return _start(run, number, observed, now=now, settings=settings)
    if observed.pod is not None and is_running(observed.pod):
        return _running(run, number, observed.pod, now=now)
    return _wait(run, number, observed, now=now, settings=settings)


def _outcome(run: Object, observed: Observed, *, listed: bool, now: datetime) -> Outcome | None:
    """Return how the attempt ended, whoever ended it; None while it goes on."""
    stopping = run["spec"].get("cancel") or run["spec"].get("suspend")
    seen = outcome_of(observed.pod) if observed.pod else None
    if seen is None and observed.pod and is_given_up(observed.pod, now=now):
        seen = SILENT
    if not stopping and _is_suspended(observed.job):
        if seen and seen.reason == LOST.reason:
            return replace(seen, reason=QUEUED.reason, message=QUEUED.message, fault=QUEUED.fault)
        if seen is None and observed.pod is None and listed:
            return QUEUED
    if seen and (seen.reason == COMPLETED or not stopping):
        return seen
    if stopping:
        return None
    if observed.job is None:
        return LOST if listed else None
    has_failed = is_true(observed.job.get("status") or {}, "Failed")
    return LOST if observed.pod is None and has_failed else None


def _is_suspended(job: Object | None) -> bool:
    """Tell whether somebody suspended the Job: we never do."""
    return bool(job and (job.get("spec") or {}).get("suspend"))


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
        create=(run_secret(run, key=settings.signing_key), run_job(run, number, settings=settings)),
        delete=unfinished(observed.live),
        recheck_after=QUIET,
    )


def _pause_left(status: Object, *, now: datetime) -> timedelta:
    attempts = status.get("attempts") or ()
    if not attempts or attempts[-1].get("reason") == "Suspended":
        return timedelta(0)
    used = sum(used_retries(status).values())
    return run_status.seen_end(status) + delay_after(used) - now


def _quiet_or(
    run: Object, status: Object, waits: Waiting, *, now: datetime, since: datetime | None = None
) -> Object:
    """Return the present status in a Run's first moments, then one that tells of the wait."""
    young = now - parse_time(run["metadata"]["creationTimestamp"]) < QUIET
    if young and not status.get("phase") and waits.patience is None:
        return status
    if status.get("phase") == "Retrying" and waits in {PENDING, STARTING}:
        # It says so already, with the reason of the last end.
        return run_status.without_wait(status)
    phase = "Retrying" if status.get("attempts") else "Pending"
    told = {"reason": waits.reason, "message": waits.message}
    wait = {"waitingSince": rfc3339(since)} if since else {}
    return run_status.waiting(run, phase=phase, **told, now=now, **wait)


def _running(run: Object, number: int, pod: Object, *, now: datetime) -> Plan:
    started = str((container_state(pod, MAIN) or {})["running"].get("startedAt") or "")
    _, entry = run_status.current_attempt(run.get("status") or {})
    left = time_left(run["spec"], run_status.seen_start(entry, now=now), now=now)
    if left is not None and left <= timedelta(0):
        # Written before the Job is deleted: a Job that is gone would else be taken for lost.
        return Plan(status=run_status.timed_out(run, number, pod=pod, started=started, now=now))
    return Plan(
        status=run_status.running(run, number, pod=pod, started=started, now=now),
        effects=(follow_log(run, number, pod), effects.RecallExperiment(names.run_id(run))),
        recheck_after=_sooner(left, given_up_in(pod, now=now)),
    )


def _time_out(run: Object, number: int, observed: Observed, *, now: datetime) -> Plan:
    message = f"The program ran longer than spec.timeout ({run['spec']['timeout']}) and was stopped"
    late = Outcome(run_status.TIMED_OUT, message, Fault.FINAL)
    doomed = unfinished(observed.live)
    return _finish(run, number, late, pod=observed.pod, delete=doomed, now=now)


def _sooner(*left: timedelta | None) -> timedelta | None:
    return min((each for each in left if each is not None), default=None)


def _wait(
    run: Object, number: int, observed: Observed, *, now: datetime, settings: Settings
) -> Plan:
    waits, status = _explained(observed), run.get("status") or {}
    if waits.reason == "ConfigMissing":
        secret = run_secret(run, key=settings.signing_key)
        if secret["metadata"]["name"] in waits.message:
            return _make_again(run, secret, now=now)
    since = run_status.waiting_since(status, waits.reason)
    if waits.patience is not None:
        since = since or now
    elif not waits.is_silent:
        since = None
    if since and waits.is_final(now - since):
        outcome = Outcome(waits.reason, waits.message, Fault.FINAL)
        doomed = (Ref.of(observed.job),) if observed.job else ()
        return _finish(run, number, outcome, pod=observed.pod, delete=doomed, now=now)
    return Plan(
        status=_quiet_or(run, status, waits, now=now, since=since),
        recheck_after=LOOK_AGAIN if waits.patience is not None or not observed.pod else QUIET * 5,
    )


def _make_again(run: Object, secret: Object, *, now: datetime) -> Plan:
    # Ours to mend, so never final: the node asks again for it.
    message = f"Secret {secret['metadata']['name']}, which holds the Run's token, is made again"
    told = Waiting("ConfigMissing", message)
    return Plan(
        status=_quiet_or(run, run.get("status") or {}, told, now=now),
        create=(secret,),
        recheck_after=LOOK_AGAIN,
    )


def _explained(observed: Observed) -> Waiting:
    if observed.pod is None:
        held = _is_suspended(observed.job)
        return suspended_of(observed.job or {}) if held else blocked_of(observed.warnings)
    waits = waiting_of(observed.pod, observed.warnings)
    if waits.reason != "Unschedulable":
        return waits
    short = explain_unschedulable(observed.pod, observed.nodes)
    return Waiting(waits.reason, f"{waits.message} ({short})" if short else waits.message)


def _ended(
    run: Object, number: int, outcome: Outcome, observed: Observed, *, now: datetime
) -> Plan:
    status = run.get("status") or {}
    used = used_retries(status)
    delay = retry_delay(outcome.fault, limits=run["spec"].get("retry") or {}, used=used)
    if delay is None:
        return _finish(run, number, outcome, pod=observed.pod, now=now)
    told = run_status.ended(run, number, outcome, pod=observed.pod, now=now)
    event = Event("Warning", outcome.reason, f"Attempt {number}: {outcome.message}")
    used = one_more(used, outcome.fault)
    # A suspended Job would make another pod once its queue lets it.
    queued = (Ref.of(observed.job),) if observed.job and _is_suspended(observed.job) else ()
    return Plan(
        status=run_status.retrying(run, told, outcome, used=used, now=now),
        effects=follow_if_started(run, number, observed.pod),
        delete=queued,
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
