"""No answer takes the memory of all: what is read of the database for one is bounded."""

from collections.abc import Iterator
from typing import Any

import pytest
from builders.tracking import SCIENTIST, bearer
from builders.tracking_side import V2, Side
from mlflow.exceptions import MlflowException
from mlflow.store.tracking.dbmodels.models import SqlMetric, SqlTag
from trainyard_tracking.auth.reading import Budget, Share
from trainyard_tracking.rows import Room

MIB = 1 << 20
QUESTION = '{mlflowGetRun(input: {runId: "ID"}) {run {data {tags {key}}}}}'
TEAM = bearer(SCIENTIST, **{"X-MLFLOW-WORKSPACE": "team"})


@pytest.fixture
def small(world: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Room]:
    room: Room = world.service.app.inside.room
    monkeypatch.setattr(room, "most", 4 * MIB)
    yield room
    assert (room.held, dict(room.by_owner)) == (0, {})


def insert(table: Any, rows: list[dict[str, Any]]) -> None:
    from mlflow.server import handlers  # noqa: PLC0415  # reads its environment

    with handlers._get_tracking_store().ManagedSessionMaker(read_only=False) as session:
        session.execute(table.__table__.insert(), rows)


@pytest.mark.usefixtures("small")
def test_a_metric_of_very_many_points_is_read_by_pages(world: Any, mine: Side) -> None:
    point = {"run_uuid": mine.run_id, "key": "loss", "value": 1.0, "is_nan": False}
    insert(SqlMetric, [{**point, "step": n, "timestamp": n} for n in range(12_000)])
    path = f"{V2}/metrics/get-history?run_id={mine.run_id}&metric_key=loss"

    whole = world.client.get(path, headers=TEAM)
    page = world.client.get(f"{path}&max_results=1000", headers=TEAM)

    assert (whole.status_code, whole.json()["error_code"]) == (400, "INVALID_PARAMETER_VALUE")
    assert "3 MiB" in whole.json()["message"]
    assert "max_results" in whole.json()["message"]
    assert len(page.json()["metrics"]) == 1000
    assert page.json()["next_page_token"]


@pytest.mark.usefixtures("small")
def test_a_run_with_very_much_in_it_is_refused_however_it_is_asked_for(
    world: Any, mine: Side
) -> None:
    tags = [{"run_uuid": mine.run_id, "key": f"k{n}", "value": "x" * 8000} for n in range(500)]
    insert(SqlTag, tags)
    found = {"experiment_ids": [mine.experiment], "max_results": 1000}
    question = QUESTION.replace("ID", mine.run_id)

    got = world.client.get(f"{V2}/runs/get?run_id={mine.run_id}", headers=TEAM)
    searched = world.client.post(f"{V2}/runs/search", json=found, headers=TEAM)
    asked = world.client.post("/graphql", json={"query": question}, headers=TEAM)

    assert got.status_code == searched.status_code == 400
    assert "3 MiB" in asked.text
    assert mine.get(f"{V2}/logged-models/{mine.model}").status_code == 200


@pytest.mark.usefixtures("small")
def test_a_large_page_of_runs_comes_as_smaller_ones(world: Any) -> None:
    mine = Side(world, experiment="pages")
    run, made = {"experiment_id": mine.experiment}, [mine.run_id]
    for _ in range(11):
        answer = world.client.post(f"{V2}/runs/create", json=run, headers=TEAM)
        made.append(answer.json()["run"]["info"]["run_id"])
    tags = [{"key": f"k{n}", "value": "x" * 8000} for n in range(50)]
    insert(SqlTag, [{"run_uuid": each, **tag} for each in made for tag in tags])
    found, pages, token = list[str](), 0, "first"
    asked = {"experiment_ids": [mine.experiment], "max_results": 12}
    while token:
        answer = world.client.post(f"{V2}/runs/search", json=asked, headers=TEAM).json()
        found += [each["info"]["run_id"] for each in answer["runs"]]
        token, pages = answer.get("next_page_token"), pages + 1
        asked["page_token"] = token

    assert sorted(found) == sorted(made)
    assert pages == 3


def share(*owners: str) -> Share:
    return Share(Budget(), owners=owners)


def test_one_owner_leaves_room_for_others() -> None:
    room = Room(most=16 * MIB)
    with room.request(share("ann", "namespace team")) as first:
        first.add(8 * MIB)
        with room.request(share("bob", "namespace team")) as second:
            with pytest.raises(MlflowException, match="try again") as refused:
                second.add(5 * MIB)
            assert refused.value.get_http_status_code() == 503
        with room.request(share("namespace other")) as third:
            third.add(5 * MIB)
            with room.request(share("namespace third")) as fourth:
                fourth.add(MIB)
                with pytest.raises(MlflowException, match="try again"):
                    fourth.add(3 * MIB)

    assert (room.held, dict(room.by_owner)) == (0, {})


def test_what_is_read_on_for_a_request_that_is_over_is_not_held() -> None:
    room = Room(most=16 * MIB)
    with room.request(share("ann")) as cut_off:
        cut_off.add(2 * MIB)
    cut_off.add(2 * MIB)

    assert room.held == 0
