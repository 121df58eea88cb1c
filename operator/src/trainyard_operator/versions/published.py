"""What a published version's status says, within the bounds of a resource. Pure.

The files and the whole signature are in the manifest: the status is for gates and for the eye.
"""

import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from trainyard_api.conditions import ServableReason

from trainyard_operator import servable
from trainyard_operator.engine.conditions import parse_time
from trainyard_operator.engine.plan import Object
from trainyard_operator.settings import Runtime

_METRICS = 100
# The tracking service's clock and the API server's.
_SKEW = timedelta(seconds=5)
_FLAVORS = 32
_REQUIREMENTS = 100
_SIGNATURE_BYTES = 4096


def read_result(told: Mapping[str, Any]) -> Object:
    """Return the status fields that the termination message of `publish` gives."""
    return {
        "digest": told["digest"],
        "size": int(told.get("size", 0)),
        "flavors": dict(list((told.get("flavors") or {}).items())[:_FLAVORS]),
        "requirements": list(told.get("requirements") or ())[:_REQUIREMENTS],
        **_signature(told),
    }


def _signature(told: Mapping[str, Any]) -> Object:
    signature = told.get("signature")
    if not signature:
        return {}
    text = json.dumps(signature, separators=(",", ":"))
    if len(text.encode()) > _SIGNATURE_BYTES:
        text = json.dumps({"manifest": told["digest"]}, separators=(",", ":"))
    return {"signature": text}


def is_of_version(summary: Mapping[str, Any], version: Object) -> bool:
    """Tell whether what a run says is of the attempt that logged the version.

    The next attempt of a Run begins with a clean record under the same id: one that began after
    the version was made has other metrics.
    """
    began = summary.get("startTime")
    made = parse_time(version["metadata"]["creationTimestamp"]) + _SKEW
    return began is None or int(began) <= made.timestamp() * 1000


def choose_metrics(summary: Mapping[str, Any], *, model: Object | None) -> dict[str, str]:
    """Return the metrics as text, those that the Model's gates read first."""
    metrics = {str(k): str(v) for k, v in (summary.get("metrics") or {}).items()}
    stages = ((model or {}).get("spec") or {}).get("stages") or ()
    read = [r["metric"] for stage in stages for r in stage.get("requires") or ()]
    order = dict.fromkeys([*(m for m in read if m in metrics), *metrics])
    return {name: metrics[name] for name in list(order)[:_METRICS]}


def judge(status: Object, *, runtimes: Mapping[str, Runtime]) -> servable.Verdict:
    """Judge the version against every serving runtime; the one that fits best speaks for all."""
    flavors, requirements = status.get("flavors") or {}, status.get("requirements") or ()
    verdicts = [
        servable.judge(flavors, requirements, runtime=name, packages=runtime.packages)
        for name, runtime in sorted(runtimes.items())
        if runtime.serving_image
    ]
    if not verdicts:
        told = "no runtime of this installation can serve: an administrator can add one"
        return servable.Verdict("Unknown", ServableReason.PACKAGES_UNKNOWN, told)
    return min(verdicts, key=lambda v: ("True", "Unknown", "False").index(v.status))
