"""Which of the models that a run logged is meant when it is registered without a name. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any

# What autologging makes of a search: the search itself, and the model that it is for.
_SEARCH = frozenset({"model", "best_estimator"})


def candidates(models: Sequence[Mapping[str, Any]]) -> Sequence[str]:
    """Return the artifact paths that may be meant: one where it is plain.

    A run's own models come before those of its children, and a search is for its best estimator.

    Args:
        models: As the tracking service lists them: {artifactPath, name, own}.
    """
    own = [each for each in models if each.get("own", True)]
    paths = list(dict.fromkeys(str(m.get("artifactPath") or m.get("name")) for m in own or models))
    return ["best_estimator"] if set(paths) == _SEARCH else paths
