"""What ten thousand namespaces cost: by counts of what is kept and asked, not by the clock."""

from typing import Any

import pytest
import sqlalchemy as sa
from builders.tracking import FakeKube
from trainyard_tracking import tenants as remembering
from trainyard_tracking.tenants import KEEPS, Tenants, slim
from trainyard_tracking.watching import Cache, Watcher

MANY = 10_000


def namespace(name: str, **more: Any) -> dict[str, Any]:
    metadata = {"name": name, "uid": f"uid-{name}", "labels": {"team": name}, **more}
    return {"metadata": {**metadata, "managedFields": [{"manager": "kubectl"}]}, "spec": {}}


@pytest.fixture
def kube() -> FakeKube:
    found = FakeKube()
    for number in range(MANY):
        name = f"ns-{number}"
        found.write(f"/api/v1/namespaces/{name}", namespace(name, annotations={"a": "x" * 500}))
    return found


def test_many_are_read_page_by_page_and_all_are_there(kube: FakeKube) -> None:
    cache = Cache("namespaces", slim)
    Watcher(kube, cache).list_once()

    assert len(cache.within()) == MANY
    assert set(kube.pages) == {500}
    assert len(kube.pages) == MANY // 500


def test_of_a_namespace_only_which_one_it_is_is_kept(kube: FakeKube) -> None:
    restored = namespace("back", annotations={KEEPS: "uid-before", "a": "b"})
    kube.write("/api/v1/namespaces/back", restored)
    cache = Cache("namespaces", slim)
    Watcher(kube, cache).list_once()

    kept = cache.get("", "back")
    assert kept is not None
    assert kept.keys() == {"metadata"}
    assert kept["metadata"].keys() == {"name", "uid", "resourceVersion", "annotations"}
    assert kept["metadata"]["annotations"] == {KEEPS: "uid-before"}
    other = cache.get("", "ns-1")
    assert other is not None
    assert other["metadata"].keys() == {"name", "uid", "resourceVersion"}


def test_nothing_is_kept_of_namespaces_that_came_and_went() -> None:
    cache = Cache("models", keys=lambda one: (one["metadata"]["name"],))
    cache.replace([], 0)
    for number in range(1000):
        metadata = {"namespace": f"ci-{number}", "name": "m", "resourceVersion": str(number + 1)}
        cache.put({"metadata": metadata})
        cache.remove({"metadata": metadata})

    assert not cache._objects
    assert not cache._found
    assert not cache._words


def test_what_is_remembered_of_namespaces_is_bounded_and_asked_again(
    kube: FakeKube, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remembering, "_MOST", 10)
    cache = Cache("namespaces", slim)
    Watcher(kube, cache).list_once()
    engine = sa.create_engine("sqlite://", poolclass=sa.StaticPool)
    tenants = Tenants(engine, cache, kube)
    for number in range(50):
        tenants.require(f"ns-{number}")
        tenants.folder(f"ns-{number}")

    assert len(tenants._known) == len(tenants._folders) == 10
    assert tenants.used() == {f"ns-{number}" for number in range(50)}
    tenants.require("ns-0")
    assert tenants.folder("ns-0") == "ns-0"


def test_a_request_in_a_known_namespace_asks_neither_cluster_nor_database(kube: FakeKube) -> None:
    cache = Cache("namespaces", slim)
    Watcher(kube, cache).list_once()
    engine = sa.create_engine("sqlite://", poolclass=sa.StaticPool)
    tenants = Tenants(engine, cache, kube)
    tenants.require("ns-7")
    asked: list[str] = []
    sa.event.listen(engine, "before_cursor_execute", lambda *given: asked.append(given[2]))
    kube.down = True

    tenants.require("ns-7")

    assert asked == []
