"""When MLflow's clients made and changed something, to the millisecond. Pure.

Kubernetes knows whole seconds, and its last change is as often one of the operator's. So what
this service writes it stamps, in annotations; what was made otherwise has its creation time.
"""

from datetime import datetime
from typing import Any

from trainyard_api.contract import GROUP

from trainyard_tracking.kube import Object

CREATED = f"{GROUP}/created-ms"
UPDATED = f"{GROUP}/updated-ms"
RENAMED = f"{GROUP}/renamed-ms"
# Until the year 33658; what anybody may write by hand must not become a number without end.
_LONGEST = 15


def created_at(resource: Object) -> int:
    """Give when a resource was made, in milliseconds since 1970."""
    metadata = resource["metadata"]
    if stamped := milliseconds((metadata.get("annotations") or {}).get(CREATED)):
        return stamped
    made = metadata.get("creationTimestamp")
    return int(datetime.fromisoformat(made).timestamp() * 1000) if made else 0


def updated_at(resource: Object) -> int:
    """Give when a resource was last changed as MLflow counts it, in milliseconds since 1970."""
    stamped = milliseconds((resource["metadata"].get("annotations") or {}).get(UPDATED))
    return max(stamped, created_at(resource))


def renamed_at(model: Object) -> int:
    """Give when a Model, and with it all that it has, got its name; 0 if with its creation."""
    return milliseconds((model["metadata"].get("annotations") or {}).get(RENAMED))


def stamp(now: datetime, *keys: str) -> dict[str, Any]:
    """Make the annotations that say when."""
    return dict.fromkeys(keys, str(in_milliseconds(now)))


def in_milliseconds(now: datetime) -> int:
    """Give a time as MLflow does."""
    return int(now.timestamp() * 1000)


def milliseconds(text: object) -> int:
    """Read a stamp; what is none is 0."""
    told = str(text)
    return int(told) if told.isascii() and told.isdecimal() and len(told) <= _LONGEST else 0
