"""Files by MLflow's routes: streamed, in ranges, and 404 at once where there is none."""

from typing import Any

import pytest
from builders.tracking import SCIENTIST, bearer
from builders.tracking_registry import Registry
from trainyard_api.slices import PART
from trainyard_tracking.api.ranges import Span, asked
from trainyard_tracking.errors import Unavailable, Unsatisfiable
from trainyard_tracking.objects import Stat

FILES = "/api/2.0/mlflow-artifacts/artifacts"
TEAM = bearer(SCIENTIST, **{"X-MLFLOW-WORKSPACE": "team"})


@pytest.fixture
def run_id(world: Any) -> str:
    world.record("ab" * 16, "fit")
    return "ab" * 16


def root(world: Any, run_id: str) -> str:
    """Give the path of a run's artifacts in the store."""
    told = world.client.get("/api/2.0/mlflow/runs/get", params={"run_id": run_id}, headers=TEAM)
    return told.json()["run"]["info"]["artifact_uri"].removeprefix("mlflow-artifacts:/")


def put(world: Any, path: str, data: bytes) -> Any:
    return world.client.put(f"{FILES}/{path}", content=data, headers=TEAM)


def test_a_large_artifact_goes_in_and_out_in_pieces(world: Any, run_id: str) -> None:
    data = b"large" * (PART // 2)
    path = f"{root(world, run_id)}/large.bin"
    world.objects.calls.clear()

    assert put(world, path, data).status_code == 200
    went = list(world.objects.calls)
    answer = world.client.get(f"{FILES}/{path}", headers=TEAM)

    assert went == ["begin", "part", "part", "part", "complete", "write"]
    assert world.objects.calls[len(went) :] == ["open"]
    assert answer.content == data
    assert answer.headers["Content-Disposition"].startswith("attachment")
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_an_artifact_is_written_over(world: Any, run_id: str) -> None:
    path = f"{root(world, run_id)}/twice.txt"

    for data in (b"first", b"second"):
        assert put(world, path, data).status_code == 200
    got = world.client.get(
        "/get-artifact", params={"run_id": run_id, "path": "twice.txt"}, headers=TEAM
    )

    assert got.content == b"second"
    assert got.headers["Content-Type"] == "text/plain"


def test_a_part_of_a_file_is_sent_and_its_head_opens_nothing(world: Any, run_id: str) -> None:
    path = f"{root(world, run_id)}/range.txt"
    put(world, path, b"0123456789")
    url = f"{FILES}/{path}"

    part = world.client.get(url, headers={**TEAM, "Range": "bytes=2-4"})
    beyond = world.client.get(url, headers={**TEAM, "Range": "bytes=10-"})
    world.objects.calls.clear()
    head = world.client.head(url, headers=TEAM)

    assert (part.status_code, part.content) == (206, b"234")
    assert part.headers["Content-Range"] == "bytes 2-4/10"
    assert (beyond.status_code, beyond.headers["Content-Range"]) == (416, "bytes */10")
    assert (head.headers["Content-Length"], head.headers["Accept-Ranges"]) == ("10", "bytes")
    assert world.objects.calls == ["stat"]
    meant = {"Range": "bytes=2-", "If-Range": head.headers["ETag"]}
    assert world.client.get(url, headers={**TEAM, **meant}).content == b"23456789"
    stale = {"Range": "bytes=2-", "If-Range": '"another"'}
    assert world.client.get(url, headers={**TEAM, **stale}).status_code == 200


@pytest.mark.parametrize("path", ["nope.txt", "folder", "folder/", "folder/nope"])
def test_what_is_no_file_is_not_found_in_the_words_of_mlflow(
    world: Any, run_id: str, path: str
) -> None:
    put(world, f"{root(world, run_id)}/folder/file", b"x")
    world.objects.calls.clear()

    by_path = world.client.get(f"{FILES}/{root(world, run_id)}/{path}", headers=TEAM)
    by_run = world.client.get(
        "/get-artifact", params={"run_id": run_id, "path": path}, headers=TEAM
    )

    for answer in (by_path, by_run):
        assert answer.status_code == 404
        assert answer.json()["error_code"] == "RESOURCE_DOES_NOT_EXIST"
        assert "No such artifact" in answer.json()["message"]
    assert world.objects.calls == ["open", "open"]


def test_a_version_that_is_not_there_or_lacks_the_file_is_not_found(registry: Registry) -> None:
    def get(**query: str) -> Any:
        return registry.world.client.get("/model-versions/get-artifact", params=query, headers=TEAM)

    assert get(name="digits", version="77", path="MLmodel").status_code == 404
    assert get(name="never", version="1", path="MLmodel").status_code == 404
    assert get(name="digits", version="1").status_code == 400


@pytest.mark.parametrize("path", ["", ".", "./"])
def test_the_folder_itself_is_listed_whichever_way_it_is_written(
    world: Any, run_id: str, path: str
) -> None:
    put(world, f"{root(world, run_id)}/one.txt", b"1")

    answer = world.client.get(
        "/api/2.0/mlflow/artifacts/list", params={"run_id": run_id, "path": path}, headers=TEAM
    )

    assert answer.status_code == 200, answer.text
    assert "one.txt" in [one["path"].rpartition("/")[2] for one in answer.json()["files"]]


def test_deleting_a_folder_spares_its_neighbours(world: Any, run_id: str) -> None:
    base = root(world, run_id)
    for path in ("gone/a", "gone/b/c", "gone-not"):
        put(world, f"{base}/{path}", b"x")

    assert world.client.delete(f"{FILES}/{base}/gone", headers=TEAM).status_code == 200

    codes = [
        world.client.get(f"{FILES}/{base}/{path}", headers=TEAM).status_code
        for path in ("gone/a", "gone/b/c", "gone-not")
    ]
    assert codes == [404, 404, 200]


def test_files_of_another_namespace_are_out_of_reach(world: Any) -> None:
    (world.objects.root / "mlflow/workspaces/other/1").mkdir(parents=True, exist_ok=True)
    (world.objects.root / "mlflow/workspaces/other/1/secret").write_bytes(b"secret")

    for path in ("workspaces/other/1/secret", "workspaces", "workspaces/other"):
        for answer in (
            world.client.get(f"{FILES}/{path}", headers=TEAM),
            put(world, path, b"mine"),
        ):
            assert answer.status_code in {400, 403, 404}
    assert (world.objects.root / "mlflow/workspaces/other/1/secret").read_bytes() == b"secret"


@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_a_store_that_is_away_is_a_503_that_clients_repeat(
    world: Any, run_id: str, method: str
) -> None:
    world.objects.failing["under"] = [Unavailable("S3 is away")]

    where = f"{FILES}/{root(world, run_id)}/some" if method == "DELETE" else FILES
    answer = world.client.request(method, where, params={"path": root(world, run_id)}, headers=TEAM)

    assert answer.status_code == 503
    assert answer.json()["error_code"] == "TEMPORARILY_UNAVAILABLE"
    assert "S3 is away" in answer.json()["message"]


STAT = Stat(10, '"tag"')


@pytest.mark.parametrize(
    ("headers", "span"),
    [
        ({}, None),
        ({"range": "bytes=0-"}, Span(0, 10)),
        ({"range": "bytes=3-5"}, Span(3, 6)),
        ({"range": "bytes=3-999"}, Span(3, 10)),
        ({"range": "bytes=-4"}, Span(6, 10)),
        ({"range": "bytes=-400"}, Span(0, 10)),
        ({"range": "bytes=-"}, None),
        ({"range": "bytes=5-3"}, None),
        ({"range": "bytes=0-1,4-5"}, None),
        ({"range": "lines=1-2"}, None),
        ({"range": "bytes=3-", "if-range": '"tag"'}, Span(3, 10)),
        ({"range": "bytes=3-", "if-range": '"old"'}, None),
        ({"range": "bytes=3-", "if-range": "Tue, 24 Nov 2026 12:00:00 GMT"}, None),
    ],
)
def test_a_range_is_read_as_http_says_it(headers: dict[str, str], span: Span | None) -> None:
    assert asked(headers, STAT) == span


@pytest.mark.parametrize("written", ["bytes=10-", "bytes=99-100", "bytes=-0"])
def test_a_range_behind_the_end_is_refused(written: str) -> None:
    with pytest.raises(Unsatisfiable, match="10 bytes"):
        asked({"range": written}, STAT)


def test_no_range_of_nothing() -> None:
    with pytest.raises(Unsatisfiable):
        asked({"range": "bytes=0-"}, Stat(0, ""))
    assert asked({}, Stat(0, "")) is None
