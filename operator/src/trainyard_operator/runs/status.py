"""What the status of a Run says in each situation. Pure: status in, status out.

    (nothing) ─▶ Pending ─▶ Running ─▶ Succeeded │ Failed │ Cancelled     final is final
                    ▲          │
        Suspended ──┤          ▼
                    └───── Retrying

What to do in a situation is plan.py's to decide; here is only how it is told.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Literal

from trainyard_api.duration import format_duration
from trainyard_api.moment import rfc3339

from trainyard_operator import names
from trainyard_operator.engine.conditions import Condition, find, is_true, merge, parse_time
from trainyard_operator.engine.plan import Object
from trainyard_operator.runs.attempt import Attempt
from trainyard_operator.runs.outcome import COMPLETED, Outcome, commit_of

FINISHED = "Finished"
SUCCEEDED = "Succeeded"
RECORDED = "Recorded"
CLEANED_UP = "CleanedUp"
SUSPENDED = "Suspended"
LISTED = 10
_NOTHING = timedelta(0)
REGISTERED = "Registered"
# What trying again does not mend: a person registers by hand, or leaves it.
_NEVER_REGISTERED = frozenset(
    {
        "NoModelLogged",
        "SeveralModelsLogged",
        "RunNotSucceeded",
        "ModelDeleted",
        "TrackingRefused",
        "InvalidSpec",
    }
)

RECORDING = ("Recording", "Metrics and log are being archived")


def is_finished(status: Object) -> bool:
    """Tell whether the Run has ended for good."""
    return is_true(status, FINISHED)


def is_recorded(status: Object) -> bool:
    """Tell whether metrics and log are archived, or can never be."""
    held = find(status, RECORDED) or {}
    return bool(held.get("status") == "True" or held.get("reason") == "TrackingRefused")


def is_registering(run: Object) -> bool:
    """Tell whether a model is still to be registered for a finished Run."""
    status = run.get("status") or {}
    if not run["spec"].get("register") or status.get("phase") != "Succeeded":
        return False
    held = find(status, REGISTERED)
    if held is None:  # finished before there was this condition
        return not status.get("modelVersion")
    return held.get("status") != "True" and held.get("reason") not in _NEVER_REGISTERED


def current_attempt(status: Object) -> tuple[int, Mapping[str, Any] | None]:
    """Return the number of the attempt to look at, and its entry if the status lists it."""
    attempts = status.get("attempts") or ()
    if not attempts:
        return 1, None
    last = attempts[-1]
    return (last["number"] + 1, None) if last.get("completionTime") else (last["number"], last)


def last_attempt(status: Object) -> tuple[int, Mapping[str, Any] | None]:
    """Return the number of the last attempt, and its entry; 1 and None if there was none."""
    last = next(reversed(status.get("attempts") or ()), None)
    return (last["number"], last) if last else (1, None)


def waiting(
    run: Object, *, phase: str, reason: str, message: str, now: datetime, **fields: Any
) -> Object:
    """Return the status of a Run that waits, or runs."""
    status = {"runID": names.run_id(run), **_status(run), "phase": phase, **fields}
    return merge(run, status, Condition(FINISHED, "False", reason, message), now=now)


def running(run: Object, attempt: int, *, pod: Object, started: str, now: datetime) -> Object:
    """Return the status of a Run whose program runs."""
    status = _status(run)
    held = _entry(status, attempt)
    entry = {
        "number": attempt,
        "job": _job_of(run, attempt),
        "pod": pod["metadata"]["name"],
        "startTime": started or rfc3339(now),
        "observedStartTime": _first_seen(held) or rfc3339(now),
    }
    fields: dict[str, Any] = {
        "attempts": _listed(status, entry),
        "attemptCount": attempt,
        "startTime": status.get("startTime") or entry["startTime"],
    }
    told = "The program runs"
    return waiting(
        run, phase="Running", reason="Running", message=told, now=now, **fields, **_seen(pod)
    )


def decided(run: Object, status: Object, attempt: Attempt, *, reason: str, message: str) -> Object:
    """Return a status with the end of an attempt decided, which is not carried out yet.

    It is written before the Job is deleted: one that is gone would else be taken for lost, if
    the answer to its deletion was.
    """
    pod = attempt.first
    entry = {
        "number": attempt.number,
        "job": _job_of(run, attempt.number),
        **({"pod": pod["metadata"]["name"]} if pod else {}),
        **_entry(status, attempt.number),
        "reason": reason,
        "message": message,
    }
    told = {"attempts": _listed(status, entry), "attemptCount": attempt.number}
    # Now or never: the pod goes with its Job.
    return {**status, **told, **(_seen(pod) if pod else {})}


def decision(entry: Mapping[str, Any] | None) -> str:
    """Return the reason by which an attempt ends, as was decided; empty if nothing is."""
    return str((entry or {}).get("reason") or "")


def ended(run: Object, attempt: Attempt, outcome: Outcome, *, now: datetime) -> Object:
    """Return the status with an attempt ended; the Run may go on."""
    status, pod = _status(run), attempt.first
    held = _entry(status, attempt.number)
    finished = outcome.finished or rfc3339(now)
    started = outcome.started or held.get("startTime") or finished
    entry: dict[str, Any] = {
        "number": attempt.number,
        "job": _job_of(run, attempt.number),
        "startTime": started,
        "completionTime": finished,
        "observedCompletionTime": rfc3339(now),
        "reason": outcome.reason,
        "message": outcome.message,
    }
    optional = {
        "pod": pod["metadata"]["name"] if pod else held.get("pod"),
        "observedStartTime": held.get("observedStartTime"),
        "exitCode": outcome.exit_code,
        "logTail": list(outcome.log_tail) or None,
    }
    entry |= {key: value for key, value in optional.items() if value is not None}
    return {
        "runID": names.run_id(run),
        **status,
        "attempts": _listed(status, entry),
        "attemptCount": attempt.number,
        "startTime": status.get("startTime") or started,
        **(_seen(pod) if pod else {}),
    }


def retrying(
    run: Object, status: Object, outcome: Outcome, *, used: Mapping[str, int], now: datetime
) -> Object:
    """Return the status of a Run that will try again."""
    told = Condition(FINISHED, "False", "Retrying", f"Trying again after: {outcome.message}")
    return merge(run, {**status, "phase": "Retrying", "retries": dict(used)}, told, now=now)


def final(run: Object, status: Object, *, reason: str, message: str, now: datetime) -> Object:
    """Return the status of a Run that has ended for good."""
    good = reason == COMPLETED
    phase = "Succeeded" if good else "Cancelled" if reason == "Cancelled" else "Failed"
    told: Literal["True", "False"] = "True" if good else "False"
    finished = _completion(status) or rfc3339(now)
    started = status.get("startTime") or finished
    whole = {
        "runID": names.run_id(run),
        **status,
        "phase": phase,
        "startTime": started,
        "completionTime": finished,
        # Two nodes' clocks may have told them.
        "duration": format_duration(max(parse_time(finished) - parse_time(started), _NOTHING)),
    }
    return merge(
        run,
        whole,
        Condition(FINISHED, "True", reason, message),
        Condition(SUCCEEDED, told, reason, message),
        Condition(RECORDED, "False", *RECORDING),
        *_registering(run, good=good),
        now=now,
    )


def _registering(run: Object, *, good: bool) -> tuple[Condition, ...]:
    wanted = run["spec"].get("register")
    if not wanted:
        return ()
    if good:
        told = f"What it logged is being registered as {wanted['model']}"
        return (Condition(REGISTERED, "False", "Registering", told),)
    told = f"Only a Run that succeeded is registered; this one is not, as {wanted['model']}"
    return (Condition(REGISTERED, "False", "RunNotSucceeded", told),)


def not_registered(
    run: Object, status: Object, *, reason: str, message: str, now: datetime
) -> Object:
    """Return the status when registering failed, which comes once all else is recorded."""
    told = Condition(REGISTERED, "False", reason, message)
    return merge(run, status, *_archived(status), told, now=now)


def _archived(status: Object) -> tuple[Condition, ...]:
    # A refusal stays: registering, which comes after it, archives nothing.
    if is_recorded(status):
        return ()
    return (Condition(RECORDED, "True", "Recorded", "Metrics and log are archived"),)


def recorded(run: Object, *, now: datetime) -> Object:
    """Return the status of a Run whose metrics and log are archived, and its model registered.

    The condition's message gets the version's name once that is known.
    """
    done = (Condition(REGISTERED, "True", "Registered", ""),) if is_registering(run) else ()
    return merge(run, _status(run), *_archived(run["status"]), *done, now=now)


def cleaned_up(run: Object, status: Object, *, now: datetime) -> Object:
    """Return the status of a Run whose children go; silent unless an earlier try failed."""
    if (find(status, CLEANED_UP) or {}).get("status") != "False":
        return status
    told = Condition(CLEANED_UP, "True", "CleanedUp", "What was to be deleted is deleted")
    return merge(run, status, told, now=now)


def _completion(status: Object) -> str:
    attempts = status.get("attempts") or ()
    return str(attempts[-1].get("completionTime") or "") if attempts else ""


def seen_start(entry: Mapping[str, Any] | None, *, now: datetime) -> datetime:
    """Return when an attempt was first seen running, by our own clock: *now* if only now."""
    first = _first_seen(entry or {})
    return parse_time(first) if first else now


def _first_seen(entry: Mapping[str, Any]) -> str:
    # Earlier releases wrote the node's time alone.
    return str(entry.get("observedStartTime") or entry.get("startTime") or "")


def seen_end(status: Object) -> datetime:
    """Return when the last attempt was seen ended, by our own clock."""
    attempts = status.get("attempts") or ()
    last: Mapping[str, Any] = attempts[-1] if attempts else {}
    told = last.get("completionTime") or status.get("completionTime")
    return parse_time(str(last.get("observedCompletionTime") or told))


def waiting_since(status: Object, reason: str) -> datetime | None:
    """Return since when it waits for something that time does not mend, if for this."""
    told = find(status, FINISHED) or {}
    since = status.get("waitingSince")
    return parse_time(since) if since and told.get("reason") == reason else None


def without_wait(status: Object) -> Object:
    """Return the status of a Run that waits for nothing that time does not mend."""
    return {key: value for key, value in status.items() if key != "waitingSince"}


def _status(run: Object) -> Object:
    return without_wait(run.get("status") or {})


def _job_of(run: Object, number: int) -> str:
    return names.run_job(run["metadata"]["name"], number)


def _entry(status: Object, number: int) -> Mapping[str, Any]:
    listed: Sequence[Mapping[str, Any]] = status.get("attempts") or ()
    return next((each for each in listed if each["number"] == number), {})


def _listed(status: Object, entry: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    others = [a for a in status.get("attempts") or () if a["number"] != entry["number"]]
    return [*others, dict(entry)][-LISTED:]


def _seen(pod: Object) -> dict[str, str]:
    found = {"imageID": image_id_of(pod), "commit": commit_of(pod)}
    return {key: value for key, value in found.items() if value}


def image_id_of(pod: Object) -> str:
    """Return the digest that `main` runs, empty while unknown."""
    for each in (pod.get("status") or {}).get("containerStatuses") or ():
        if each["name"] == "main":
            return str(each.get("imageID") or "")
    return ""
