"""Tags that are the platform's: it believes what they say, so nobody else writes them."""

from mlflow.tracing.constant import TraceTagKey
from mlflow.utils.mlflow_tags import MLFLOW_ARTIFACT_LOCATION
from trainyard_api.attempts import ATTEMPT_OF_TAG, ATTEMPT_TAG
from trainyard_api.contract import GROUP

from trainyard_tracking.errors import Forbidden

PLACES = frozenset(
    {MLFLOW_ARTIFACT_LOCATION, TraceTagKey.ARCHIVE_LOCATION, TraceTagKey.SPANS_LOCATION}
)
"""Of traces: where their files are, which are read with the service's keys."""


def check_key(key: str) -> None:
    """Refuse a tag of a run that would pass for the platform's.

    Raises:
        Forbidden: says which tag, and what to use.
    """
    if key.startswith(f"{GROUP}/"):
        raise Forbidden(f"Tags under {GROUP}/ are the platform's: use another name than {key}")
    if key in {ATTEMPT_TAG, ATTEMPT_OF_TAG}:
        raise Forbidden(f"Tag {key} tells attempts of a Run apart: use another name")
