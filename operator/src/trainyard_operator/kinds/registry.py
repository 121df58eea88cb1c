"""All five kinds, by the plural of their resource."""

from collections.abc import Mapping
from typing import Any

from trainyard_operator.kinds import Kind, deployment, experiment, model, model_version, run

KINDS: Mapping[str, Kind[Any]] = {
    module.KIND.resource: module.KIND
    for module in (experiment, run, model, model_version, deployment)
}
