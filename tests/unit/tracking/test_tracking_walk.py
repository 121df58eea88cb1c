"""A walk over all routes: nothing that a request gets wrong is a fault of the service.

MLflow's clients repeat a 500 for minutes, and each is an alarm for who runs the service.
"""

from collections.abc import Iterator
from itertools import islice
from typing import Any

import pytest
from builders.tracking import SCIENTIST, bearer
from builders.tracking_registry import Registry
from builders.tracking_side import Side
from builders.tracking_walk import Sent, Walk, filled, once
from trainyard_tracking.auth.rules import Access

V3 = "/api/3.0/mlflow"
TEAM = bearer(SCIENTIST, **{"X-MLFLOW-WORKSPACE": "team"})
STEP = 29
"""Every twenty-ninth is sent, which takes seconds; with 1, minutes: so after an MLflow upgrade."""


def known(world: Any, side: Side) -> dict[str, Any]:
    """Make one of everything; give what to name it by."""
    registry = Registry(world)
    assert registry.create().status_code == registry.add().status_code == 200
    trace = f"tr-{side.run_id}"
    side.trace(trace)
    source = {"source_type": "HUMAN", "source_id": "me"}
    assessed = {"assessment_name": "good", "source": source, "feedback": {"value": 1}}
    made = {
        path: world.client.post(f"{V3}/{path}", json=body, headers=TEAM).json()
        for path, body in (
            (f"traces/{trace}/assessments", {"assessment": assessed}),
            ("datasets/create", {"name": side.name, "experiment_ids": [side.experiment]}),
        )
    }
    run, experiment = side.run_id, side.experiment
    return {
        **dict.fromkeys(("run_id", "run_uuid"), run),
        **dict.fromkeys(("trace_id", "request_id"), trace),
        "trace_ids": [trace],
        "request_ids": [trace],
        **dict.fromkeys(("filter", "filter_string", "page_token", "model_type"), ""),
        **{name: [] for name in ("order_by", "filters", "dimensions")},
        "run_ids": [run],
        "experiment_id": experiment,
        "experiment_ids": [experiment],
        "model_id": side.model,
        "name": registry.name,
        "version": "1",
        "path": "a.txt",
        "source": source,
        "aggregations": [{"aggregation_type": "COUNT"}],
        "metric_name": "trace_count",
        "view_type": "TRACES",
        "assessment_id": made[f"traces/{trace}/assessments"]["assessment"]["assessment_id"],
        "dataset_id": made["datasets/create"]["dataset"]["dataset_id"],
        "max_results": 5,
    }


def walked(world: Any, walk: Walk, *, is_run: bool) -> Iterator[Sent]:
    """Give the requests to all routes that one may call, those that delete at the end."""
    for method, path in once(world):
        found = world.service.table.find(method, filled(path, walk.known))
        is_off = found is None or found.rule.people is Access.NOBODY
        if not is_off and (found.rule.run or not is_run):
            yield from walk.requests(method, path)


@pytest.mark.parametrize("who", ["a scientist", "a Run"])
def test_nothing_that_is_wrong_in_a_request_is_a_fault_of_the_service(
    world: Any, mine: Side, who: str
) -> None:
    walk = Walk(known(world, mine))
    headers = TEAM if who == "a scientist" else mine.headers
    asked, faults = 0, []
    for one in islice(walked(world, walk, is_run=who == "a Run"), 0, None, STEP):
        answer = one.by(world.client, headers)
        asked += 1
        if answer.status_code >= 500 and answer.status_code != 501:
            faults.append((one.method, one.template, one.odd, answer.text[:200]))

    assert faults == []
    assert asked > 100
