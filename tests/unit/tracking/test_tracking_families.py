"""A Run with thousands of children: found by index, paged while more of them start."""

from builders.tracking_side import V2, Side
from mlflow.store.tracking.dbmodels.models import SqlMetric, SqlRun, SqlTag
from sqlalchemy import event
from trainyard_tracking import attempts
from trainyard_tracking.summary import _first_logged

V3 = "/api/3.0/mlflow"
MANY = 4000


def store():
    from mlflow.server import handlers  # noqa: PLC0415  # reads its environment

    return handlers._get_tracking_store()


def children(side, first, count):
    with store().ManagedSessionMaker(read_only=False) as session:
        base = int(side.run_id, 16) * 0x10000
        ids = [f"{base + number:032x}" for number in range(first, first + count)]
        session.execute(
            SqlRun.__table__.insert(),
            [
                {
                    "run_uuid": one,
                    "name": one,
                    "experiment_id": int(side.experiment),
                    "status": "RUNNING",
                    "lifecycle_stage": "active",
                    "start_time": 1,
                    "user_id": "",
                    "source_type": "UNKNOWN",
                    "artifact_uri": f"mlflow-artifacts:/{side.experiment}/{one}/artifacts",
                }
                for one in ids
            ],
        )
        session.execute(
            SqlTag.__table__.insert(),
            [{"run_uuid": one, "key": "mlflow.parentRunId", "value": side.run_id} for one in ids],
        )
    return ids


def test_a_run_with_thousands_of_children_finds_them_all_page_by_page(mine):
    ids, found, token = children(mine, 0, MANY), [], None
    while token != "":
        body = {"experiment_ids": ["0"], "max_results": 1500, "filter": "attributes.status != 'x'"}
        answer = mine.post(f"{V2}/runs/search", {**body, "page_token": token or ""})
        assert answer.status_code == 200, answer.text
        found += [one["info"]["run_id"] for one in answer.json().get("runs", [])]
        token = answer.json().get("next_page_token", "")

    assert sorted(found) == sorted([mine.run_id, *ids])


def test_pages_go_on_when_a_child_starts_between_them(mine):
    for number in range(3):
        mine.post(f"{V2}/logged-models", {"name": f"m{number}", "experiment_id": "0"})
    body = {"experiment_ids": [mine.experiment], "max_results": 2, "filter": "name LIKE 'm%'"}

    first = mine.post(f"{V2}/logged-models/search", body).json()
    children(mine, 0, 3)
    second = mine.post(
        f"{V2}/logged-models/search", {**body, "page_token": first["next_page_token"]}
    )

    assert second.status_code == 200, second.text
    names = [one["info"]["name"] for one in first["models"] + second.json()["models"]]
    assert sorted(names) == ["m0", "m1", "m2", "model"]


def test_a_filter_of_the_callers_own_finds_nothing_of_others(world, mine):
    theirs = Side(world)
    for wanted in (f"attributes.run_id = '{theirs.run_id}'", "", "attributes.run_id != 'x'"):
        found = mine.post(f"{V2}/runs/search", {"experiment_ids": ["0"], "filter": wanted}).json()
        assert theirs.run_id not in [one["info"]["run_id"] for one in found.get("runs", [])]
    found = mine.post(f"{V2}/logged-models/search", {"experiment_ids": ["0"]}).json()
    assert [one["info"]["model_id"] for one in found["models"]] == [mine.model]


def test_a_circle_of_parents_ends(mine):
    one, other = children(mine, 0, 2)
    with store().ManagedSessionMaker(read_only=False) as session:
        tag = {"run_uuid": mine.run_id, "key": "mlflow.parentRunId", "value": other}
        session.add(SqlTag(**tag))
    with store().ManagedSessionMaker(read_only=True) as session:
        assert sorted(attempts.children(session, mine.run_id)) == sorted([one, other])


def plans(work):
    """Give how SQLite would do each statement that `work` runs."""
    engine, seen = store().engine, []

    def note(_, cursor, statement, parameters, *__):
        if statement.lstrip().upper().startswith(("SELECT", "WITH")):
            rows = cursor.connection.execute(f"EXPLAIN QUERY PLAN {statement}", parameters)
            seen.extend(row[3] for row in rows)

    event.listen(engine, "before_cursor_execute", note)
    try:
        with store().ManagedSessionMaker(read_only=True) as session:
            work(session)
    finally:
        event.remove(engine, "before_cursor_execute", note)
    return seen


def scans(plan):
    """Give the steps that look at a whole table."""
    tables = {"tags", "runs", "experiments", "metrics", "latest_metrics", "earlier"}
    return [step for step in plan if step.startswith("SCAN") and step.split()[1] in tables]


def test_children_and_headline_are_found_by_index(mine):
    children(mine, 0, 50)

    family = plans(lambda session: attempts.children(session, mine.run_id))
    first = plans(lambda session: _first_logged(session, mine.run_id))

    assert any("index_trainyard_tags_parent" in step for step in family), family
    assert scans(family) == []
    assert any("run_uuid=? AND key=?" in step for step in first), first
    assert scans(first) == []


def test_the_headline_is_still_the_metric_that_was_logged_first(mine):
    for key, at in (("b", 5), ("a", 9), ("c", 7)):
        metric = {"run_id": mine.run_id, "key": key, "value": 1, "timestamp": at, "step": 0}
        for step, later in ((0, 0), (1, 100)):
            mine.post(f"{V2}/runs/log-metric", {**metric, "step": step, "timestamp": at + later})

    with store().ManagedSessionMaker(read_only=True) as session:
        assert session.query(SqlMetric).filter_by(run_uuid=mine.run_id).count() == 6
        assert _first_logged(session, mine.run_id) == ["b", "c", "a"]


def test_the_inputs_of_a_run_are_what_it_may_read(world, mine):
    theirs = Side(world)
    inputs = {"run_id": mine.run_id, "models": [{"model_id": theirs.model}]}

    assert mine.post(f"{V2}/runs/log-inputs", inputs).status_code == 403
    inputs["models"][0]["model_id"] = mine.model
    assert mine.post(f"{V2}/runs/log-inputs", inputs).status_code == 200


PLACES = {
    "mlflow.artifactLocation": "s3://bucket/mlflow/workspaces/other/1",
    "mlflow.trace.archiveLocation": "s3://bucket/mlflow/workspaces/other/1",
    "mlflow.trace.spansLocation": "ARCHIVE_REPO",
}


def test_nobody_says_where_the_files_of_a_trace_are(mine):
    trace_id = f"tr-{mine.run_id}"
    mine.trace(trace_id, trace_metadata=dict(PLACES), tags={**PLACES, "kept": "1"})

    shown = mine.get(f"{V3}/traces/{trace_id}").json()["trace"]["trace_info"]
    told = {**shown.get("tags", {}), **shown.get("trace_metadata", {})}
    assert told["kept"] == "1"
    assert not [value for value in told.values() if "other" in value or value == "ARCHIVE_REPO"]
    for key, value in PLACES.items():
        tag = {"key": key, "value": value}
        assert mine.send("PATCH", f"{V3}/traces/{trace_id}/tags", json=tag).status_code == 403
