"""The private routes for content: written once, read by its digest, committed by a manifest."""

import hashlib
import json

import pytest
from builders.tracking import (
    OPERATOR,
    SCIENTIST,
    UID,
    VIEWER,
    bearer,
    token,
)

API = "/api/trainyard/v1/namespaces/team"
OP = bearer(OPERATOR)


def digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


@pytest.fixture(autouse=True)
def publishing(world):
    """Have versions whose publishing Jobs run."""
    before = dict(world.kube.objects)
    spec = {"model": "digits", "version": 1, "source": {"uri": "runs:/a/model"}}
    for namespace in ("team", "other"):
        world.kube.has("modelversions", "digits-1", namespace=namespace, spec=spec)
    yield
    world.kube.objects = before


def version_token(name: str = "digits-1", namespace: str = "team") -> dict[str, str]:
    return bearer(token(f"modelversion:{namespace}/{name}:{UID}", name, namespace=namespace))


def serving_token(*digests: str) -> dict[str, str]:
    return bearer(token("deployment:team/digits", "digits", digests=[*digests], uid=UID))


def test_content_is_written_once_and_read_by_its_digest(world):
    path = f"{API}/blobs/{digest(b'archive')}"

    first = world.client.put(path, content=b"archive", headers=bearer(SCIENTIST))
    second = world.client.put(path, content=b"archive", headers=bearer(SCIENTIST))
    head = world.client.head(path, headers=version_token())

    assert (first.status_code, second.status_code) == (201, 200)
    assert head.headers["Content-Length"] == "7"
    assert world.client.get(path, headers=bearer(VIEWER)).content == b"archive"


def test_content_with_another_digest_is_refused(world):
    path = f"{API}/blobs/{digest(b'what it says')}"

    answer = world.client.put(path, content=b"what it is", headers=bearer(SCIENTIST))

    assert answer.status_code == 422
    assert world.client.head(path, headers=bearer(SCIENTIST)).status_code == 404


def manifest(*files: tuple[str, bytes], **changes) -> bytes:
    listed = [{"path": p, "size": len(data), "digest": digest(data)} for p, data in files]
    document = {"schemaVersion": 1, "files": listed, "flavors": {}, "requirements": [], **changes}
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()


def publish(world, raw: bytes):
    return world.client.put(f"{API}/models/{digest(raw)}", content=raw, headers=version_token())


def test_a_manifest_is_the_commit_of_a_model_whose_blobs_are_there(world):
    raw = manifest(("MLmodel", b"flavors"), ("data/weights", b"weights"))

    early = publish(world, raw)
    for data in (b"flavors", b"weights"):
        world.client.put(f"{API}/blobs/{digest(data)}", content=data, headers=version_token())
    done = publish(world, raw)

    other = "sha256:" + "0" * 64
    status = {"stable": {"version": 1, "digest": digest(raw)}, "updating": {"digest": other}}
    world.kube.has("modeldeployments", "digits", status=status)
    serving = serving_token(digest(raw))
    file = f"{API}/models/{digest(raw)}/files/data/weights"
    assert (early.status_code, done.status_code) == (422, 201)
    assert world.client.get(file, headers=serving).content == b"weights"
    assert world.client.get(f"{API}/models/{digest(raw)}", headers=serving).content == raw
    assert world.client.get(file, headers=serving_token(other)).status_code == 403


def test_a_file_of_a_published_model_costs_one_request_of_the_object_store(world):
    raw = manifest(("MLmodel", b"cached"))
    world.client.put(f"{API}/blobs/{digest(b'cached')}", content=b"cached", headers=version_token())
    publish(world, raw)
    file = f"{API}/models/{digest(raw)}/files/MLmodel"
    world.client.get(file, headers=version_token())
    world.objects.calls.clear()

    answer = world.client.get(file, headers=bearer(VIEWER))

    assert answer.content == b"cached"
    assert answer.headers["ETag"] == f'"{digest(b"cached")}"'
    assert world.objects.calls == ["open"]


def test_a_blob_that_many_files_of_a_model_have_is_looked_at_once(world):
    world.client.put(f"{API}/blobs/{digest(b'same')}", content=b"same", headers=version_token())
    raw = manifest(*((f"{number}", b"same") for number in range(9)))
    world.objects.calls.clear()

    answer = publish(world, raw)

    assert answer.status_code == 201
    assert world.objects.calls.count("stat") == 1


def test_models_that_are_published_take_no_place_of_files(world, monkeypatch):
    lane = world.service.lanes.manifests
    monkeypatch.setitem(lane._held, "namespace team", lane.places)
    monkeypatch.setattr(lane, "patience", 0)
    path = f"{API}/blobs/{digest(b'here')}"

    file = world.client.put(path, content=b"here", headers=version_token())
    published = publish(world, manifest(("MLmodel", b"here")))

    assert (file.status_code, published.status_code) == (201, 429)


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(manifest(), id="has no files"),
        pytest.param(manifest(("b", b"x"), ("a", b"x")), id="is not sorted"),
        pytest.param(manifest(("../a", b"x")), id="leaves the model"),
        pytest.param(manifest(("a", b"x"), schemaVersion=2), id="is of another version"),
        pytest.param(manifest(("a", b"x")) + b"\n", id="is not canonical"),
        pytest.param(b"[]", id="is no object"),
        pytest.param(b"not JSON", id="is no JSON"),
        pytest.param(b"[" * 50_000, id="is nested without end"),
        pytest.param(manifest(("a", b"x"), more="\ud800"), id="has half a letter"),
        pytest.param(manifest(("a", b"x")).replace(b'"size":1', b'"size":1e999'), id="has no size"),
    ],
)
def test_a_manifest_is_refused_that(world, raw):
    world.client.put(f"{API}/blobs/{digest(b'x')}", content=b"x", headers=version_token())

    assert publish(world, raw).status_code == 422


def test_tokens_of_versions_and_deployments_stay_in_their_namespace(world):
    path = f"{API}/blobs/{digest(b'archive')}"
    foreign = version_token(namespace="other")

    assert world.client.head(path, headers=foreign).status_code == 403
    assert world.client.get("/api/2.0/mlflow/runs/get", headers=foreign).status_code == 403


def test_once_a_version_is_published_its_token_writes_no_more(world):
    path = f"{API}/blobs/{digest(b'late')}"
    world.kube.has("modelversions", "digits-1", status={"phase": "Ready"})
    answer = world.client.put(path, content=b"late", headers=version_token())

    assert (answer.status_code, answer.json()["error_code"]) == (401, "UNAUTHENTICATED")
    assert world.client.head(path, headers=bearer(SCIENTIST)).status_code == 404
