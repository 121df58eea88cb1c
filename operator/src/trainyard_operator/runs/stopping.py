"""What a Run is stopped by: spec.cancel, spec.suspend, spec.timeout. Pure.

Cancelling cannot be taken back, so the spec is all that has to be known of it. Suspending can, so
it is decided in the attempt's entry before anything is deleted (ending.py): a Run that is resumed
while its program is being stopped has still suspended it, and no failure is counted.
"""

from datetime import datetime, timedelta

from trainyard_operator import names
from trainyard_operator.engine.conditions import Condition, merge
from trainyard_operator.engine.plan import Event, Object, Plan
from trainyard_operator.runs import status as run_status
from trainyard_operator.runs.attempt import Attempt
from trainyard_operator.runs.ending import decide, ending_of, finish
from trainyard_operator.runs.liveness import unfinished
from trainyard_operator.runs.observe import Observed
from trainyard_operator.runs.outcome import Fault, Outcome
from trainyard_operator.runs.recording import follow_started
from trainyard_operator.runs.waiting import PENDING

LOOK_AGAIN = timedelta(seconds=5)
_BEING_STOPPED = "The program is being stopped"


def is_suspending(run: Object) -> bool:
    """Tell whether a Run is suspended, or was and is still being stopped for it."""
    _, entry = run_status.current_attempt(run.get("status") or {})
    return bool(run["spec"].get("suspend")) or run_status.decision(entry) == run_status.SUSPENDED


def is_stopping(run: Object) -> bool:
    """Tell whether the user has it stopped: then only a program that was done before is done."""
    return bool(run["spec"].get("cancel")) or is_suspending(run)


def time_out(run: Object, running: Object, attempt: Attempt) -> Plan:
    """Decide that the time of an attempt is over.

    Args:
        running: The status that tells of it as running.
    """
    message = f"The program ran longer than spec.timeout ({run['spec']['timeout']}) and was stopped"
    return decide(run, running, attempt, reason="TimedOut", message=message)


def cancel(run: Object, observed: Observed, *, now: datetime) -> Plan:
    """Stop the program, and end the Run once it has stopped."""
    attempt, status = observed.attempt, run.get("status") or {}
    if not attempt.is_stopped(now=now):
        return _stop(run, "Cancelling", observed, now=now)
    _, entry = run_status.current_attempt(status)
    message = "The Run was cancelled (spec.cancel)"
    doomed = unfinished(observed.live)
    if entry is not None or attempt.pods:
        outcome = Outcome("Cancelled", message, Fault.FINAL, **ending_of(attempt.first))
        return finish(run, attempt, outcome, delete=doomed, now=now)
    told = run_status.final(run, status, reason="Cancelled", message=message, now=now)
    return Plan(status=told, delete=doomed, events=(Event("Warning", "Cancelled", message),))


def suspend(run: Object, observed: Observed, *, now: datetime) -> Plan:
    """Stop the program, and hold the Run once it has stopped, for as long as spec.suspend says."""
    attempt, status = observed.attempt, run.get("status") or {}
    _, entry = run_status.current_attempt(status)
    reason, message = run_status.SUSPENDED, "The Run was suspended"
    if not attempt.is_stopped(now=now):
        stop = _stop(run, "Suspending", observed, now=now)
        if entry is None or run_status.decision(entry) == reason:
            return stop
        return decide(run, stop.status, attempt, reason=reason, message=message)
    if entry is not None:
        outcome = Outcome(reason, message, Fault.NOBODY, **ending_of(attempt.first))
        status = run_status.ended(run, attempt, outcome, now=now)
    return Plan(
        status=_held(run, status, now=now),
        effects=follow_started(run, attempt, is_retried=True),
        delete=unfinished(observed.live),
    )


def _held(run: Object, status: Object, *, now: datetime) -> Object:
    if not run["spec"].get("suspend"):
        waits = Condition(run_status.FINISHED, "False", PENDING.reason, PENDING.message)
        return merge(run, {**status, "phase": "Retrying"}, waits, now=now)
    told = Condition(
        run_status.FINISHED, "False", "Suspended", "spec.suspend is true: set it to false to go on"
    )
    fresh = {"runID": names.run_id(run), **status, "phase": "Suspended"}
    return merge(run, fresh, told, now=now)


def _stop(run: Object, reason: str, observed: Observed, *, now: datetime) -> Plan:
    phase = (run.get("status") or {}).get("phase") or "Pending"
    return Plan(
        status=run_status.waiting(run, phase=phase, reason=reason, message=_BEING_STOPPED, now=now),
        effects=follow_started(run, observed.attempt),
        delete=unfinished(observed.live),
        recheck_after=LOOK_AGAIN,
    )
