"""What follows the end of a Run: it is recorded, then what it left behind is deleted. Pure.

An error in any of it is told in a condition of its own: the end stays as it is.
"""

from datetime import datetime, timedelta

from trainyard_operator.engine.plan import Object, Plan, Ref
from trainyard_operator.runs import status as run_status
from trainyard_operator.runs.liveness import unfinished
from trainyard_operator.runs.observe import Observed
from trainyard_operator.runs.recording import recording, registering
from trainyard_operator.runs.retry import clean_up_in
from trainyard_operator.settings import Settings
from trainyard_operator.tokens import refs, run_secret

LINGERING = timedelta(seconds=5)


def after_the_end(run: Object, observed: Observed, *, now: datetime, settings: Settings) -> Plan:
    """Decide what is still to be done for a Run that has finished."""
    status = run["status"]
    lingering = unfinished(observed.live)
    if not run_status.is_recorded(status):
        late = now - run_status.seen_end(status) > LINGERING * 12
        return Plan(
            status=run_status.recorded(run, now=now),
            effects=tuple(recording(run, observed.attempt)),
            delete=lingering if late else (),
            recheck_after=LINGERING if lingering else _clean_up_in(run, now=now),
            # Else the same look that registers asks again for what it needs.
            is_steady=not run_status.is_registering(run),
            condition=run_status.CLEANED_UP,
        )
    if run_status.is_registering(run):
        return Plan(
            status=run_status.recorded(run, now=now),
            effects=tuple(registering(run)),
            recheck_after=LINGERING if lingering else None,
        )
    ttl = _clean_up_in(run, now=now)
    doomed: tuple[Ref, ...] = ()
    if ttl is not None and ttl <= timedelta(0):
        doomed, ttl = _children(run, observed, settings), None
    elif lingering:
        late = now - run_status.seen_end(status) > LINGERING
        doomed, ttl = (lingering, ttl) if late else ((), LINGERING)
    return Plan(
        status=run_status.cleaned_up(run, status, now=now),
        delete=doomed,
        recheck_after=ttl,
        condition=run_status.CLEANED_UP,
    )


def _clean_up_in(run: Object, *, now: datetime) -> timedelta | None:
    return clean_up_in(run["spec"], run_status.seen_end(run["status"]), now=now)


def _children(run: Object, observed: Observed, settings: Settings) -> tuple[Ref, ...]:
    jobs = tuple(Ref.of(job) for job in observed.jobs if "deletionTimestamp" not in job["metadata"])
    if not jobs:
        return ()
    secrets = refs(run_secret(run, settings=settings), observed.jobs)
    # Jobs last: while one is there, a clean-up that was cut short begins again.
    return (*secrets, *jobs)
