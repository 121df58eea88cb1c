"""All kinds in one table, for those who deal with any of them."""

from typing import Final

from trainyard_api.deployment import Deployment
from trainyard_api.experiment import Experiment
from trainyard_api.meta import Resource
from trainyard_api.model import Model
from trainyard_api.model_version import ModelVersion
from trainyard_api.run import Run

KINDS: Final[dict[str, type[Resource]]] = {
    "Experiment": Experiment,
    "Run": Run,
    "Model": Model,
    "ModelVersion": ModelVersion,
    "Deployment": Deployment,
}
