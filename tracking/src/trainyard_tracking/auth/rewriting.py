"""Keeps callers from saying where the files of a trace are: they are read with the service's keys.

MLflow notes the place of a trace's files in its tags, and lets a caller give a new trace any tags.
"""

from typing import Any

from mlflow.tracing.constant import SpansLocation, TraceTagKey
from mlflow.utils.mlflow_tags import MLFLOW_ARTIFACT_LOCATION

from trainyard_tracking.auth.call import Call, snake
from trainyard_tracking.errors import Forbidden

_PLACES = frozenset(
    {MLFLOW_ARTIFACT_LOCATION, TraceTagKey.ARCHIVE_LOCATION, TraceTagKey.SPANS_LOCATION}
)
# No place of files: the spans are in the database.
_HARMLESS = (TraceTagKey.SPANS_LOCATION, SpansLocation.TRACKING_STORE.value)
_INSIDE = frozenset({"trace", "trace_info", "tags", "trace_metadata", "request_metadata"})


def without_places(call: Call) -> None:
    """Take places of files out of a new trace; refuse to set one.

    Raises:
        Forbidden: the call sets such a tag.
    """
    set_one = [key for key in call.values("key") if key in _PLACES]
    if set_one and call.method != "DELETE":
        raise Forbidden(f"{set_one[0]} of a trace says where its files are: the service sets it")
    if call.body is not None:
        call.body = _cleaned(call.body)


def _cleaned(found: Any) -> Any:
    if isinstance(found, list):
        return [
            one
            for one in found
            if not isinstance(one, dict) or not _is_place(one.get("key"), one.get("value"))
        ]
    if not isinstance(found, dict):
        return found
    return {
        name: _cleaned(value) if snake(str(name)) in _INSIDE else value
        for name, value in found.items()
        if not _is_place(name, value)
    }


def _is_place(key: Any, value: Any) -> bool:
    return key in _PLACES and (key, value) != _HARMLESS
