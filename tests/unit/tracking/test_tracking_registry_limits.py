"""MLflow's registry API at its limits: searches, rights, an outage, what is not supported."""

import pytest
from builders.tracking import VIEWER
from builders.tracking_registry import Registry, error
from trainyard_tracking.kube import KubeError


def test_searches_use_mlflows_filters_and_pages(registry):
    for value in ("x", "y", "y"):
        registry.add(tags=[{"key": "k", "value": value}])

    wanted = f"name = '{registry.name}' AND tags.k = 'y'"
    first = registry.call("GET", "model-versions/search", filter=wanted, max_results=1).json()
    rest = registry.call(
        "GET",
        "model-versions/search",
        filter=wanted,
        max_results=5,
        page_token=first["next_page_token"],
    ).json()
    models = registry.call("GET", "registered-models/search", filter=f"name = '{registry.name}'")

    found = [one["version"] for one in first["model_versions"] + rest["model_versions"]]
    assert sorted(found) == ["2", "3"]
    assert len(models.json()["registered_models"]) == 1


def test_files_outside_of_the_store_are_never_fetched_with_the_services_keys(registry):
    registry.add(source="s3://somebody-elses/secrets")

    answer = registry.call(
        "GET", "model-versions/get-download-uri", name=registry.name, version="1"
    )

    assert error(answer) == "INVALID_STATE"


def test_a_viewer_reads_and_does_not_write(world, registry):
    viewer = Registry(world, VIEWER)
    viewer.name = registry.name

    assert viewer.call("GET", "registered-models/get", name=viewer.name).status_code == 200
    assert viewer.add().status_code == 403


def test_while_the_cluster_is_away_reads_answer_and_writes_are_503(world, registry):
    registry.add()
    world.kube.down = True

    read = registry.call("GET", "model-versions/get", name=registry.name, version="1")
    write = registry.point("best", 1)

    assert (read.status_code, write.status_code) == (200, 503)


def test_too_many_requests_of_the_cluster_are_tried_again_when_it_says(world, registry):
    def busy(verb, path, change):
        raise KubeError(429, "TooManyRequests", "please try again later", 7)

    world.kube.refuses = busy

    answer = registry.call(
        "POST", "registered-models/set-tag", name=registry.name, key="k", value="v"
    )

    assert (answer.status_code, error(answer)) == (429, "TEMPORARILY_UNAVAILABLE")
    assert answer.headers["Retry-After"] == "7"


@pytest.mark.parametrize(
    "path", ["registered-models/get", "registered-models/search", "model-versions/get"]
)
def test_what_was_not_read_yet_is_not_said_to_be_missing(world, registry, path):
    world.service.resources.versions.synced.clear()

    answer = registry.call("GET", path, name=registry.name, version="1")

    world.sync()
    assert (answer.status_code, error(answer)) == (429, "RESOURCE_EXHAUSTED")
    assert answer.headers["Retry-After"] == "5"


def test_while_the_cluster_is_away_what_is_unknown_is_not_said_to_be_missing(world, registry):
    wanted = {"name": registry.name, "version": "7"}
    before = registry.call("GET", "model-versions/get", **wanted)
    world.kube.down = True

    answer = registry.call("GET", "model-versions/get", **wanted)

    # The door knows the caller's rights already: the answer is the registry's own.
    assert before.status_code == 404
    assert (answer.status_code, error(answer)) == (503, "TEMPORARILY_UNAVAILABLE")
    assert f"can't be asked for {registry.name}-7" in answer.json()["message"]


def test_what_the_cluster_can_not_keep_is_refused_before_it_is_asked(world, registry):
    for key in ("a", "b", "c"):
        registry.call(
            "POST", "registered-models/set-tag", name=registry.name, key=key, value="x" * 100_000
        )
    registry.stored()["spec"]["tags"] |= {f"k{n}": "x" * 100_000 for n in range(8)}
    world.sync()
    before = len(world.kube.tokens_seen)

    more = registry.call(
        "POST", "registered-models/set-tag", name=registry.name, key="d", value="x"
    )
    less = registry.call("DELETE", "registered-models/delete-tag", name=registry.name, key="a")

    assert (more.status_code, error(more)) == (400, "INVALID_PARAMETER_VALUE")
    assert "at most 1000000 can be kept: delete tags" in more.json()["message"]
    assert less.status_code == 200
    assert len(world.kube.tokens_seen) == before + 1


def test_a_search_by_name_looks_at_no_other_model(world, registry, monkeypatch):
    registry.add()
    other = Registry(world)
    other.create()
    seen = []
    asked = world.service.resources.versions_of
    monkeypatch.setattr(
        type(world.service.resources),
        "versions_of",
        lambda _, model: seen.append(model) or asked(model),
    )

    registry.call("GET", "model-versions/search", filter=f"name = '{registry.name}'")

    assert [one["metadata"]["name"] for one in seen] == [registry.name]
