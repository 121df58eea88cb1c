"""How the MLflow runs of a Run's earlier attempts are called and marked. Standard library only."""

import hashlib
from typing import Final

ATTEMPT_TAG: Final = "trainyard.attempt"
"""On the MLflow run of a Run and of each of its attempts: the number of the attempt it is of."""
ATTEMPT_OF_TAG: Final = "trainyard.attemptOf"
"""On every MLflow run of an earlier attempt: the id of the one that counts."""


def attempt_name(run: str, attempt: int) -> str:
    """Return the name of an earlier attempt's MLflow run."""
    return f"{run}-a{attempt}"


def attempt_run_id(run_id: str, attempt: int) -> str:
    """Return the id of the MLflow run that an attempt's record moves to when the next begins."""
    return hashlib.sha256(f"{run_id} attempt {attempt}".encode()).hexdigest()[:32]
