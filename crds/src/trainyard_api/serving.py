"""The contract between the operator and the model server: environment, port and paths.

Standard library only. The operator writes these into the pod, the server reads them.
"""

from typing import Final

MODEL_NAME_ENV: Final = "TRAINYARD_MODEL_NAME"
MODEL_VERSION_ENV: Final = "TRAINYARD_MODEL_VERSION"
MODEL_DIGEST_ENV: Final = "TRAINYARD_MODEL_DIGEST"
MODEL_URL_ENV: Final = "TRAINYARD_MODEL_URL"
"""Where the manifest of the digest is; its files are below `/files/`."""
TOKEN_FILE_ENV: Final = "TRAINYARD_TOKEN_FILE"  # noqa: S105  # the name of a variable
PORT_ENV: Final = "TRAINYARD_PORT"
DRAIN_SECONDS_ENV: Final = "TRAINYARD_DRAIN_SECONDS"
BATCHING_ENV: Final = "TRAINYARD_BATCHING"
"""`false` where each request is to be a call of the model by itself."""
MAX_BODY_BYTES_ENV: Final = "TRAINYARD_MAX_BODY_BYTES"

PORT: Final = 8080
SERVICE_PORT: Final = 80
CONTAINER: Final = "server"
MODEL_DIRECTORY: Final = "/model"
TOKEN_DIRECTORY: Final = "/var/run/trainyard"  # noqa: S105  # a path
TOKEN_FILE: Final = f"{TOKEN_DIRECTORY}/token"
MAX_BODY_BYTES: Final = 32 * 1024 * 1024

SETTLE_SECONDS: Final = 5
"""Before it is told to stop: others forget where it is."""
DRAIN_SECONDS: Final = 15
"""After that: it goes on serving those who have not forgotten."""
FINISH_SECONDS: Final = 60
"""At last: what is under way is predicted and read."""
GRACE_SECONDS: Final = SETTLE_SECONDS + DRAIN_SECONDS + FINISH_SECONDS + 5
"""How long a pod may take to go: all of that, and a little to end."""

READY_PATH: Final = "/v2/health/ready"
LIVE_PATH: Final = "/v2/health/live"
METRICS_PATH: Final = "/metrics"

SOURCE_UNAVAILABLE: Final = "TrackingUnavailable"
"""Reason in the termination message of a server that was ended while it waited for its model."""
