"""What MLflow's server must find in its environment, made from our settings.

Must be applied before the first import of `mlflow.server`, which reads it while loading. Imports
nothing of MLflow for that reason.
"""

from trainyard_tracking.settings import Settings

REGISTRY_URI = "trainyard://"
WORKSPACES_URI = "trainyard://"
ARTIFACTS_PREFIX = "mlflow"
"""Folder of the bucket that MLflow's artifacts live in."""
ARTIFACTS_SCHEME = "trainyard-objects"
"""By it MLflow finds the store in artifacts.py."""
ARTIFACTS_URI = f"{ARTIFACTS_SCHEME}:/{ARTIFACTS_PREFIX}"


def mlflow_environment(settings: Settings) -> dict[str, str]:
    """Make the variables of one server process."""
    return {
        "_MLFLOW_SERVER_FILE_STORE": settings.database_url,
        "_MLFLOW_SERVER_REGISTRY_STORE": REGISTRY_URI,
        "_MLFLOW_SERVER_ARTIFACT_ROOT": "mlflow-artifacts:/",
        "_MLFLOW_SERVER_ARTIFACT_DESTINATION": ARTIFACTS_URI,
        "_MLFLOW_SERVER_SERVE_ARTIFACTS": "true",
        # Programs send no Origin; a browser sends that of the page, ours too.
        "MLFLOW_SERVER_CORS_ALLOWED_ORIGINS": settings.ui_origins,
        **behaviour(),
    }


def behaviour() -> dict[str, str]:
    """Make the variables that don't depend on the installation."""
    return {
        "MLFLOW_ENABLE_WORKSPACES": "true",
        "MLFLOW_WORKSPACE_STORE_URI": WORKSPACES_URI,
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_SERVER_JOB_ENABLE_PERIODIC_TASKS": "false",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        # Names inside a cluster are many; every request needs a token, so a forged Host gains
        # nothing. The check of cross-origin writes stays on.
        "MLFLOW_SERVER_ALLOWED_HOSTS": "*",
        "_MLFLOW_IN_JOB_EXECUTOR": "false",
        "MLFLOW_ENABLE_AI_GATEWAY": "false",
        # A connection for each place of lanes.py: whoever has a place never waits for another's.
        # PostgreSQL lets in 100, three of them for its administrator.
        "MLFLOW_SQLALCHEMYSTORE_POOL_SIZE": "16",
        "MLFLOW_SQLALCHEMYSTORE_MAX_OVERFLOW": "80",
    }
