"""The Run kind: what wakes it, what decides, and who carries it out."""

from datetime import timedelta

from trainyard_operator import names
from trainyard_operator.engine.kind import Kind, by_label, labelled, owner_of
from trainyard_operator.engine.objects import JOBS, PODS
from trainyard_operator.metrics import FINISHED_RUNS
from trainyard_operator.runs import status
from trainyard_operator.runs.observe import observe
from trainyard_operator.runs.performers import PERFORMERS
from trainyard_operator.runs.plan import plan, refused

KIND = Kind(
    resource=names.RUNS,
    condition=status.FINISHED,
    observe=observe,
    plan=plan,
    performers=PERFORMERS,
    wakes={JOBS: owner_of("Run"), PODS: labelled(names.RUN)},
    indexes={PODS: {names.RUN_UID: by_label(names.RUN_UID)}},
    is_settled=status.is_finished,
    refused=refused,
    # A pod is placed, and its Job counts it, a few milliseconds after it was made.
    settle=timedelta(milliseconds=50),
    # Once Finished is written, the last of its log is read in about as long.
    settle_own=timedelta(milliseconds=50),
    ends=status.FINISHED,
    counted=FINISHED_RUNS,
)
