"""A walk over all routes by what is another's: nothing of it is shown, and nothing of it changes.

What is asked for is right but for whose it is. The other is a Run of the same namespace, or of
another one; who asks is a Run, which may touch its own record and those below, or a person.
"""

from collections.abc import Iterator
from itertools import islice
from typing import Any

import pytest
from builders.tracking import SCIENTIST, bearer
from builders.tracking_others import Others
from builders.tracking_side import Side
from builders.tracking_walk import Sent, Walk, filled, once, private_routes, routes
from trainyard_tracking.auth.rules import Access

STEP = 7
"""Of the requests that leave a field out, every seventh is sent; all take ten seconds more."""
NEUTRAL = {
    **dict.fromkeys(("filter", "filter_string", "page_token", "model_type"), ""),
    **{name: [] for name in ("order_by", "filters", "dimensions")},
    "aggregations": [{"aggregation_type": "COUNT"}],
    "metric_name": "trace_count",
    "view_type": "TRACES",
    "max_results": 5,
}
# Where a Run is answered with its own whatever it names, or may read all of its namespace.
ANSWERED = {
    "GET /api/2.0/mlflow/experiments/get",
    "GET /api/2.0/mlflow/experiments/get-by-name",
    "GET /api/2.0/mlflow/experiments/search",
    "GET /api/2.0/mlflow/model-versions/get",
    "GET /api/2.0/mlflow/model-versions/search",
    "GET /api/2.0/mlflow/registered-models/get",
    "GET /api/2.0/mlflow/registered-models/get-latest-versions",
    "GET /api/2.0/mlflow/registered-models/search",
    "GET /api/3.0/mlflow/server-info",
    "GET /health",
    "GET /version",
    "POST /api/2.0/mlflow/experiments/create",
    "POST /api/2.0/mlflow/experiments/search",
    "POST /api/2.0/mlflow/logged-models/search",
    "POST /api/2.0/mlflow/registered-models/create",
    "POST /api/2.0/mlflow/runs/create",
    "POST /api/2.0/mlflow/runs/search",
    "POST /api/2.0/mlflow/traces",
}


def asked(world: Any, walk: Walk, *, is_run: bool) -> Iterator[Sent]:
    """Give a right request to each route that one may call, and some without a field."""
    for method, path in once(world):
        found = world.service.table.find(method, filled(path, walk.known))
        if found is None or found.rule.people is Access.NOBODY:
            continue
        if found.rule.run or not is_run:
            sent = list(walk.requests(method, path))
            yield from islice((one for one in sent if one.odd.startswith("no ")), 0, None, STEP)
            yield sent[-1]


@pytest.mark.parametrize(
    ("who", "where"), [("a Run", "team"), ("a Run", "other"), ("a person", "other")]
)
def test_nothing_of_anothers_is_shown_or_changed_by_any_route(
    world: Any, mine: Side, who: str, where: str
) -> None:
    others = Others(world, where, "digits" if where == "team" else "theirs")
    there = others.rows(), others.files(), others.resources()
    person = bearer(SCIENTIST, **{"X-MLFLOW-WORKSPACE": "team"})
    headers = mine.headers if who == "a Run" else person
    wrong, answered = [], set()
    for one in asked(world, Walk({**NEUTRAL, **others.known}, odd=()), is_run=who == "a Run"):
        answer = one.by(world.client, headers)
        if others.secret in answer.text or answer.status_code == 500:
            wrong.append((one.method, one.path, one.odd, answer.text[:200]))
        if answer.is_success and one.odd == "nothing":
            answered.add(f"{one.method} {one.template}")

    assert wrong == []
    rows, *outside = there
    assert rows - others.rows() == set()
    assert outside == [others.files(), others.resources()]
    assert who != "a Run" or answered - ANSWERED == set()


def test_a_run_is_refused_each_route_that_is_not_for_runs(world: Any, mine: Side) -> None:
    known = {"run_id": mine.run_id, "experiment_id": mine.experiment, "namespace": "team"}
    refused, wrong = 0, {}
    for method, path in sorted({*routes(world), *private_routes(world)}):
        rule = world.service.table.find(method, filled(path, known)).rule
        if rule.run or rule.people is Access.OPEN:
            continue
        body = None if method in {"GET", "HEAD"} else {}
        answer = mine.send(method, filled(path, known), json=body)
        refused += answer.status_code == 403
        if answer.status_code != 403:
            wrong[method, path] = answer.status_code

    assert wrong == {}
    assert refused > 300
