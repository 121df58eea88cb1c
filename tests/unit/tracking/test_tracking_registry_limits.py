"""MLflow's registry API at its limits: searches, rights, an outage, what is not supported."""

from builders.tracking import VIEWER
from builders.tracking_registry import Registry, error


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
