"""The registry's writes on a real API server: at once, and where one is refused."""

import ssl
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from kube_api import Api
from kube_apiserver import Server
from mlflow.exceptions import MlflowException
from trainyard_tracking.auth.caller import CALLER
from trainyard_tracking.identity import Person
from trainyard_tracking.kube import Cluster, HttpKube, KubeError, Object
from trainyard_tracking.registry.annotations import Origin
from trainyard_tracking.registry.pointers import Pointers
from trainyard_tracking.registry.resources import Resources
from trainyard_tracking.registry.writes import NewVersion, Writes
from trainyard_tracking.watching import Watcher

MANY = 16
VERSION = NewVersion({"uri": "s3://models/one"}, Origin("s3://models/one"), None, {"a": "b"})


@pytest.fixture
def kube(server: Server) -> Iterator[HttpKube]:
    context = ssl.create_default_context(cafile=str(server.certificate))
    kube = HttpKube(Cluster(server.url, context, token=server.token))
    yield kube
    kube.close()


@pytest.fixture
def writes(kube: HttpKube) -> Writes:
    resources = Resources(kube)
    for cache in (resources.models, resources.versions):
        Watcher(kube, cache).list_once()
    return Writes(resources)


@pytest.fixture
def as_admin(server: Server) -> Iterator[Callable[..., list[Any]]]:
    """Give what does something as often as it is told to at once, as the administrator."""

    def one(work: Callable[[int], Any], number: int) -> Any:
        asking = CALLER.set(Person("admin", "", (), (), server.token))
        try:
            return work(number)
        finally:
            CALLER.reset(asking)

    with ThreadPoolExecutor(MANY) as pool:
        yield lambda work, times=MANY: [
            done.result() for done in [pool.submit(one, work, n) for n in range(times)]
        ]


@pytest.fixture
def model(api: Api, writes: Writes, as_admin: Callable[..., list[Any]]) -> Object:
    make = lambda _: writes.create_model(api.namespace, "digits", description=None, tags={})  # noqa: E731
    return as_admin(make, 1)[0]


def test_tags_that_are_set_at_once_all_stay(kube, writes, model, as_admin):
    as_admin(lambda n: writes.set_tag(writes.resources.models, model, f"k/{n}", "v"))

    assert len(live(kube, model)["spec"]["tags"]) == MANY


def test_aliases_that_are_set_and_moved_at_once_all_succeed(kube, writes, model, as_admin):
    pointers = Pointers(writes.resources, writes)
    for version in (1, 2):
        as_admin(lambda n, to=version: pointers.move(model, f"a{n}", to))

    assert live(kube, model)["spec"]["aliases"] == {f"a{n}": 2 for n in range(MANY)}


def test_versions_that_are_made_at_once_have_all_numbers(writes, model, as_admin):
    made = as_admin(lambda _: writes.create_version(model, VERSION), 2 * MANY)

    assert sorted(one["spec"]["version"] for one in made) == list(range(1, 2 * MANY + 1))


def test_a_deletion_that_is_only_asked_about_deletes_nothing(kube, writes, model, as_admin):
    def ask(dry: bool) -> None:
        as_admin(lambda _: writes.delete(writes.resources.models, model, dry=dry), 1)

    ask(dry=True)
    assert "deletionTimestamp" not in live(kube, model)["metadata"]
    ask(dry=False)
    assert "deletionTimestamp" in live(kube, model)["metadata"]


def test_a_patch_of_what_is_another_by_now_is_a_conflict(kube, model):
    change = {"metadata": {"resourceVersion": "1"}, "spec": {"tags": {"a": "b"}}}

    with pytest.raises(KubeError) as refused:
        kube.merge(path(model), change)

    assert (refused.value.status, refused.value.reason) == (409, "Conflict")


def test_what_is_refused_before_it_is_sent_would_fit_otherwise(writes, model, as_admin):
    def fill(number: int) -> None:
        writes.set_tag(writes.resources.models, model, f"k{number}", "x" * 99_000)

    for number in range(9):
        as_admin(lambda _, n=number: fill(n), 1)

    with pytest.raises(MlflowException, match="at most 1000000 can be kept"):
        as_admin(lambda _: [fill(n) for n in (10, 11)], 1)


def live(kube: HttpKube, model: Object) -> Object:
    return kube.get(path(model))


def path(model: Object) -> str:
    metadata = model["metadata"]
    return (
        f"/apis/trainyard.dev/v1alpha1/namespaces/{metadata['namespace']}/models/{metadata['name']}"
    )
