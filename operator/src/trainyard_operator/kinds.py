"""All five kinds, by the plural of their resource."""

from collections.abc import Mapping
from typing import Any

from trainyard_operator.deployments.kind import KIND as DEPLOYMENT
from trainyard_operator.engine.kind import Kind
from trainyard_operator.experiments.kind import KIND as EXPERIMENT
from trainyard_operator.models.kind import KIND as MODEL
from trainyard_operator.runs.kind import KIND as RUN
from trainyard_operator.versions.kind import KIND as MODEL_VERSION

KINDS: Mapping[str, Kind[Any]] = {
    kind.resource: kind for kind in (EXPERIMENT, RUN, MODEL, MODEL_VERSION, DEPLOYMENT)
}
