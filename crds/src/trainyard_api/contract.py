"""What all parts must agree on, as constants: names, labels, tokens, paths.

Standard library only: this is imported where pydantic is not installed. Nothing that one part
alone needs belongs here.
"""

from typing import Final

RELEASE: Final = "0.1.0"
"""Of all parts: images hold their code, not the package that says so too."""
GROUP: Final = "trainyard.dev"
VERSION: Final = "v1alpha1"
API_VERSION: Final = f"{GROUP}/{VERSION}"
CATEGORY: Final = "trainyard"

EXPERIMENTS: Final = "experiments"
RUNS: Final = "runs"
MODELS: Final = "models"
MODEL_VERSIONS: Final = "modelversions"
DEPLOYMENTS: Final = "modeldeployments"

PLURALS: Final = {
    "Experiment": EXPERIMENTS,
    "Run": RUNS,
    "Model": MODELS,
    "ModelVersion": MODEL_VERSIONS,
    "Deployment": DEPLOYMENTS,
}

OPERATOR_MANAGER: Final = "trainyard-operator"
"""Field manager of children and status."""
PROMOTER_MANAGER: Final = "trainyard-promoter"
"""Field manager of aliases that automatic promotion writes."""

RETIRE_FINALIZER: Final = f"{GROUP}/retire"
"""On every ModelVersion, until its number is retired in its Model's status."""
VERSIONS_FINALIZER: Final = f"{GROUP}/versions"
"""On every Model, until its versions are gone."""

MANAGED_BY_LABEL: Final = "app.kubernetes.io/managed-by"
COMPONENT_LABEL: Final = "app.kubernetes.io/component"
RUN_LABEL: Final = f"{GROUP}/run"
RUN_UID_LABEL: Final = f"{GROUP}/run-uid"
"""On a version that a Run registered, too: names are used again, UIDs are not."""
ATTEMPT_LABEL: Final = f"{GROUP}/attempt"
MODEL_LABEL: Final = f"{GROUP}/model"
MODEL_VERSION_LABEL: Final = f"{GROUP}/model-version"
DEPLOYMENT_LABEL: Final = f"{GROUP}/deployment"

CREATED_BY_ANNOTATION: Final = f"{GROUP}/created-by"
"""Who made a Run, as the SDK was told by the cluster; MLflow shows it, nothing trusts it."""

MANAGED_BY: Final = "trainyard"
COMPONENT_RUN: Final = "run"
COMPONENT_PUBLISHING: Final = "publishing"
COMPONENT_SERVING: Final = "serving"

MAX_NAME: Final = 50
"""Characters in the name of an Experiment, Run, Model or Deployment."""
MAX_VERSION_NAME: Final = 60
"""Characters in the name of a ModelVersion: its model's, a dash and nine digits."""
NAME_PATTERN: Final = "^[a-z]([-a-z0-9]*[a-z0-9])?$"
DIGEST_PATTERN: Final = "^sha256:[0-9a-f]{64}$"
DEFAULT_EXPERIMENT: Final = "Default"

TRACKING_PORT: Final = 5000
TRACKING_API: Final = "/api/trainyard/v1"
"""Prefix of the tracking service's own routes, next to MLflow's."""
HEALTH_ROUTE: Final = f"{TRACKING_API}/health"
"""Whether the process is alive."""
READY_ROUTE: Final = f"{TRACKING_API}/ready"
"""Whether it can do its work: its database answers."""

TRACKING_ANNOTATION: Final = f"{GROUP}/tracking"
"""On the operator's Lease: TRACKING_ANSWERS, or how the tracking service fails the operator."""
TRACKING_ANSWERS: Final = "answers"

CLAIM_ISSUER: Final = "trainyard"
CLAIM_AUDIENCE: Final = "trainyard-tracking"
SIGNATURE_ALGORITHM: Final = "EdDSA"
TOKEN_KEY: Final = "token"  # noqa: S105  # the key in the Secret, not a secret
CA_KEY: Final = "ca.crt"
"""Beside the token: the authority of the tracking service's certificate, if it has one."""
CA_FILE_ENV: Final = "TRAINYARD_CA_FILE"
RUN_SUBJECT: Final = "run:"
MODEL_VERSION_SUBJECT: Final = "modelversion:"
DEPLOYMENT_SUBJECT: Final = "deployment:"
TOKEN_GRACE_SECONDS: Final = 600
"""How long a run token is good for after its Run has finished."""

AUTHORIZATION_HEADER: Final = "X-Trainyard-Authorization"
"""Read next to Authorization, which the API server's service proxy strips."""
WORKSPACE_HEADER: Final = "X-MLFLOW-WORKSPACE"
UPLOAD_OFFSET_HEADER: Final = "Upload-Offset"
LOG_PLACE_HEADER: Final = "X-Log-Place"
"""Kept with the bytes of a log and given back: where its sender goes on; only it reads it."""
OPERATE_VERB: Final = "operate"
"""Verb on runs, cluster-wide, by which the tracking service knows the operator."""
PROMOTE_VERB: Final = "promote"
"""Verb on models, which moves an alias that needs approval."""

MAIN_CONTAINER: Final = "main"
HOME: Final = "/home/trainyard"
WORK: Final = "/work"
CA_DIRECTORY: Final = "/var/run/trainyard-ca"
"""Where pods of Runs have the authority of the tracking service's certificate."""
RESERVED_ENV: Final = ("MLFLOW_TRACKING_URI", "MLFLOW_TRACKING_TOKEN", "MLFLOW_RUN_ID")
"""Environment variables of `main` that no user may set."""
RESERVED_PATHS: Final = (WORK, HOME, "/tmp", "/dev/shm", CA_DIRECTORY)  # noqa: S108  # mounts
"""Paths where every Run's pod has a volume of its own."""
RESERVED_VOLUME_PREFIX: Final = "trainyard-"
"""Volumes that the operator adds to a pod are named so, and no user's may be."""
PARAMETER_ENV_PREFIX: Final = "TRAINYARD_PARAM_"
