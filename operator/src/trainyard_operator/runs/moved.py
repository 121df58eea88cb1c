"""Whether a Job that has not started knows the tracking service as it was before. Pure.

The chart may switch TLS on or off, or give it another authority, while a Run waits in a queue or
for a node. A Job is never changed, so what it makes would find nobody: it is made anew, as the
next attempt, which counts for no retry. A program that runs keeps what it began with.
"""

from trainyard_operator.engine.mounted import token_secret, tracking_uri
from trainyard_operator.engine.plan import Object
from trainyard_operator.runs.attempt import Attempt
from trainyard_operator.runs.outcome import MOVED
from trainyard_operator.settings import Settings
from trainyard_operator.tokens import run_secret

MESSAGE = (
    "The tracking service has another address or authority since the Job was made, which had not"
    " started: the next attempt knows it, and this one counts against nobody"
)
# Something of the cluster that puts the old one into each Job would have it made anew for ever.
_IN_A_ROW = 3


def has_moved(run: Object, attempt: Attempt, *, settings: Settings) -> bool:
    """Tell whether an attempt, none of whose pods has a node, would look for it in vain."""
    job = attempt.job or {"metadata": {"deletionTimestamp": ""}}
    unseen = int((job.get("status") or {}).get("active") or 0) > len(attempt.pods)
    placed = any(pod["spec"].get("nodeName") for pod in attempt.pods.values())
    if "deletionTimestamp" in job["metadata"] or unseen or placed:
        return False
    last = ((run.get("status") or {}).get("attempts") or ())[-_IN_A_ROW:]
    if [each.get("reason") for each in last] == [MOVED] * _IN_A_ROW:
        return False
    url = tracking_uri(job)
    if not url or url != settings.tracking_url:
        return bool(url)
    # Without TLS no authority is in its Secret, whose name may be an earlier release's.
    secret = run_secret(run, settings=settings)["metadata"]["name"]
    return bool(settings.tracking_ca) and token_secret(job) != secret
