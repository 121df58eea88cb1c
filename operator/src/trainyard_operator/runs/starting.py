"""How an attempt is started, and what it waits for until it runs. Pure.

The status says nothing in the first two seconds, in which most pods start. Then it tells what is
waited for. What only the user can mend ends the Run after a while; for all else it waits, and is
looked at less and less often: what changes wakes it.
"""

from dataclasses import replace
from datetime import datetime, timedelta

from trainyard_api.moment import rfc3339

from trainyard_operator.engine.conditions import parse_time
from trainyard_operator.engine.plan import Object, Plan
from trainyard_operator.runs import status as run_status
from trainyard_operator.runs.attempt import Attempt
from trainyard_operator.runs.ending import decide
from trainyard_operator.runs.job import run_job
from trainyard_operator.runs.liveness import is_given_up, unfinished
from trainyard_operator.runs.moved import MESSAGE, has_moved
from trainyard_operator.runs.observe import Observed
from trainyard_operator.runs.outcome import MOVED
from trainyard_operator.runs.recording import follow_started, record_run
from trainyard_operator.runs.retry import delay_after, used_retries
from trainyard_operator.runs.scheduling import explain_unschedulable
from trainyard_operator.runs.waiting import (
    PENDING,
    STARTING,
    Waiting,
    blocked_of,
    look_again,
    suspended_of,
    waiting_of,
)
from trainyard_operator.settings import Settings
from trainyard_operator.tokens import of_holder, run_secret

QUIET = timedelta(seconds=2)
LOOK_AGAIN = timedelta(seconds=5)


def start(run: Object, observed: Observed, *, now: datetime, settings: Settings) -> Plan:
    """Make the Job of an attempt, once nothing of an earlier one runs any more."""
    status = run.get("status") or {}
    pause = _pause_left(status, now=now)
    if pause > timedelta(0):
        return Plan(status=status, recheck_after=pause)
    if any(not is_given_up(pod, now=now) for pod in observed.lingering):
        return Plan(status=status, recheck_after=LOOK_AGAIN, delete=unfinished(observed.live))
    job = run_job(run, observed.attempt.number, settings=settings)
    return Plan(
        status=_quiet_or(run, status, PENDING, now=now),
        effects=(record_run(run),),
        create=(run_secret(run, settings=settings), job),
        delete=unfinished(observed.live),
        recheck_after=QUIET,
    )


def _pause_left(status: Object, *, now: datetime) -> timedelta:
    attempts = status.get("attempts") or ()
    if not attempts or attempts[-1].get("reason") == run_status.SUSPENDED:
        return timedelta(0)
    used = sum(used_retries(status).values())
    # No clock that was set back, or another operator's, makes it longer.
    return min(run_status.seen_end(status) + delay_after(used) - now, delay_after(used))


def wait(run: Object, observed: Observed, *, now: datetime, settings: Settings) -> Plan:
    """Tell what an attempt waits for, or have it end if waiting longer does not help."""
    waits, status, attempt = _explained(observed), run.get("status") or {}, observed.attempt
    if has_moved(run, attempt, settings=settings):
        told = _quiet_or(run, status, waits, now=now)
        return decide(run, told, attempt, reason=MOVED, message=MESSAGE)
    if waits.reason == "ConfigMissing":
        _, holder = attempt.waiting or (0, attempt.job or {})
        secret = of_holder(run_secret(run, settings=settings), holder)
        if secret["metadata"]["name"] in waits.message:
            return _make_again(run, secret, now=now)
    since = run_status.waiting_since(status, waits.reason)
    if waits.patience is not None:
        since = since or now
    elif not waits.is_silent:
        since = None
    told = _quiet_or(run, status, waits, now=now, since=since)
    if since and waits.is_final(now - since):
        return decide(run, told, attempt, reason=waits.reason, message=waits.message)
    left = since + waits.patience - now if since and waits.patience else None
    return Plan(
        status=told,
        # Some of its pods may run already.
        effects=follow_started(run, attempt),
        recheck_after=look_again(now - _last_move(attempt, now=now), left=left),
    )


def _last_move(attempt: Attempt, *, now: datetime) -> datetime:
    """Return when an attempt that waits came as far as it is: made, or taken up by a node."""
    held = (*attempt.pods.values(), *((attempt.job,) if attempt.job else ()))
    made = (each["metadata"].get("creationTimestamp") for each in held)
    taken = ((each.get("status") or {}).get("startTime") for each in held)
    return max((parse_time(each) for each in (*made, *taken) if each), default=now)


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
    attempt = observed.attempt
    if attempt.waiting is None:
        held = attempt.is_suspended
        return suspended_of(attempt.job or {}) if held else blocked_of(observed.warnings)
    index, pod = attempt.waiting
    waits = waiting_of(pod, observed.warnings)
    if waits.reason == "Unschedulable":
        short = explain_unschedulable(pod, observed.nodes)
        waits = Waiting(waits.reason, f"{waits.message} ({short})" if short else waits.message)
    return replace(waits, message=attempt.named(index, waits.message))


def _quiet_or(
    run: Object, status: Object, waits: Waiting, *, now: datetime, since: datetime | None = None
) -> Object:
    """Return the present status in a Run's first moments, then one that tells of the wait."""
    young = timedelta(0) <= now - parse_time(run["metadata"]["creationTimestamp"]) < QUIET
    if young and not status.get("phase") and waits.patience is None:
        return status
    if status.get("phase") == "Retrying" and waits in {PENDING, STARTING}:
        # It says so already, with the reason of the last end.
        return run_status.without_wait(status)
    phase = "Retrying" if status.get("attempts") else "Pending"
    told = {"reason": waits.reason, "message": waits.message}
    wait = {"waitingSince": rfc3339(since)} if since else {}
    return run_status.waiting(run, phase=phase, **told, now=now, **wait)
