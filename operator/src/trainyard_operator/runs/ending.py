"""What follows the end of an attempt: another one, or the end of the Run. Pure.

An end that deletes a Job which may go on is decided first, and carried out at the next look:

    decide: reason and message in the attempt's entry ─▶ carry_out: Job deleted, attempt ended

So whatever is seen of the Job once it is deleted, even if the answer to that was lost, it ends
by what was decided, and is not taken for lost.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from trainyard_operator.engine.plan import Event, Object, Plan, Ref
from trainyard_operator.runs import status as run_status
from trainyard_operator.runs.attempt import Attempt
from trainyard_operator.runs.liveness import unfinished
from trainyard_operator.runs.outcome import COMPLETED, MOVED, QUEUED, Fault, Outcome, outcome_of
from trainyard_operator.runs.recording import follow_started
from trainyard_operator.runs.retry import one_more, retry_delay, used_retries

# Whoever else decides that an attempt ends means the Run.
_FAULTS = {QUEUED.reason: QUEUED.fault, MOVED: QUEUED.fault}


def decide(run: Object, status: Object, attempt: Attempt, *, reason: str, message: str) -> Plan:
    """Have an attempt end, its Job deleted: written now, carried out as soon as that is seen.

    Args:
        status: What holds meanwhile.
    """
    told = run_status.decided(run, status, attempt, reason=reason, message=message)
    return Plan(status=told)


def carry_out(run: Object, entry: Mapping[str, Any], attempt: Attempt, *, now: datetime) -> Plan:
    """End an attempt as it was decided."""
    reason = run_status.decision(entry)
    fault = _FAULTS.get(reason, Fault.FINAL)
    outcome = Outcome(reason, entry["message"], fault, **ending_of(attempt.first))
    doomed = unfinished((attempt.job,) if attempt.job else ())
    return end(run, attempt, outcome, delete=doomed, now=now)


def end(
    run: Object,
    attempt: Attempt,
    outcome: Outcome,
    *,
    delete: tuple[Ref, ...] = (),
    now: datetime,
) -> Plan:
    """End an attempt, and the Run with it unless its budget has another one."""
    used = used_retries(run.get("status") or {})
    delay = retry_delay(outcome.fault, limits=run["spec"].get("retry") or {}, used=used)
    if delay is None:
        return finish(run, attempt, outcome, delete=delete, now=now)
    told = run_status.ended(run, attempt, outcome, now=now)
    event = Event("Warning", outcome.reason, f"Attempt {attempt.number}: {outcome.message}")
    used = one_more(used, outcome.fault)
    return Plan(
        status=run_status.retrying(run, told, outcome, used=used, now=now),
        effects=follow_started(run, attempt, is_retried=True),
        delete=delete,
        events=(event,),
        recheck_after=delay,
    )


def finish(
    run: Object,
    attempt: Attempt,
    outcome: Outcome,
    *,
    delete: tuple[Ref, ...] = (),
    now: datetime,
) -> Plan:
    """End an attempt, and the Run for good."""
    told = run_status.ended(run, attempt, outcome, now=now)
    good = outcome.reason == COMPLETED
    return Plan(
        status=run_status.final(run, told, reason=outcome.reason, message=outcome.message, now=now),
        # What is deleted yet may print on until it stops.
        effects=follow_started(run, attempt, is_final=not delete),
        delete=delete,
        # A success needs no Event: the condition says it, and the write is saved.
        events=() if good else (Event("Warning", outcome.reason, outcome.message),),
    )


def ending_of(pod: Object | None) -> dict[str, Any]:
    """Return what an Outcome keeps of how a program exited, whoever had it stopped."""
    seen = outcome_of(pod) if pod else None
    if seen is None:
        return {}
    return {
        "exit_code": seen.exit_code,
        "started": seen.started,
        "finished": seen.finished,
        "log_tail": seen.log_tail,
    }
