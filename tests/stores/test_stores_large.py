"""A file through everything: publish, artifact, source and downloads, in memory that does not grow.

TRAINYARD_LARGE_MIB=3072 pytest tests/stores -k through     # a large one, sparse; minutes
"""

import hashlib
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from builders.tracking import OPERATOR, SCIENTIST, bearer
from object_stores import Store
from tracking_process import Service, tracking_service
from trainyard_agent.transport import Tracking

MIB = int(os.environ.get("TRAINYARD_LARGE_MIB", "96"))
GROWS_KIB = 256 << 10
API = "/api/trainyard/v1/namespaces/team"
TEAM = bearer(SCIENTIST, **{"X-MLFLOW-WORKSPACE": "team"})
RUN = "ab" * 16


@pytest.fixture
def service(store: Store, tmp_path: Path) -> Iterator[Service]:
    with tracking_service(tmp_path, store.endpoint) as running:
        yield running


@pytest.fixture
def large(tmp_path: Path) -> Path:
    """A file with something at its begin and its end, and nothing between."""
    path = tmp_path / "large.bin"
    with path.open("wb") as file:
        file.write(b"begin")
        file.seek((MIB << 20) - 3)
        file.write(b"end")
    return path


def digest_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def test_a_file_goes_through_everything_in_memory_that_does_not_grow(
    service: Service, large: Path, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    digest, size = digest_of(large), large.stat().st_size
    agent = Tracking(f"{service.url}{API}", SCIENTIST)
    clock = time.monotonic()

    def took(what: str) -> None:
        nonlocal clock
        record_property(what, round(time.monotonic() - clock, 1))
        sys.stdout.write(f"{what}: {time.monotonic() - clock:.1f} s\n")
        clock = time.monotonic()

    assert agent.upload(f"/blobs/sha256:{digest}", large, size=size)
    took("publish")
    assert not agent.upload(f"/blobs/sha256:{digest}", large, size=size)
    took("publish again")
    back = tmp_path / "back.bin"
    agent.download(f"/blobs/sha256:{digest}", back, digest=f"sha256:{digest}")
    back.unlink()
    took("fetch")
    _artifact(service, large, digest, took)
    grown = service.peak()
    sys.stdout.write(f"memory grew by {grown >> 10} MiB\n")
    assert grown < GROWS_KIB
    assert not [file for file in (tmp_path / "spool").rglob("*") if file.is_file()]


def _artifact(service: Service, large: Path, digest: str, took: Callable[[str], None]) -> None:
    """Log the file as an MLflow client does, whole, and read it again."""
    with httpx.Client(base_url=service.url, timeout=120, headers=TEAM) as client:
        recorded = client.put(
            f"{API}/runs/{RUN}",
            json={"name": "fit", "experiment": "digits", "startTime": 1_700_000_000_000},
            headers=bearer(OPERATOR),
        )
        assert recorded.status_code == 200, recorded.text
        told = client.get("/api/2.0/mlflow/runs/get", params={"run_id": RUN}).json()
        root = told["run"]["info"]["artifact_uri"].removeprefix("mlflow-artifacts:/")
        path = f"/api/2.0/mlflow-artifacts/artifacts/{root}/large.bin"
        with large.open("rb") as file:
            length = {"Content-Length": str(large.stat().st_size)}
            assert client.put(path, content=file, headers=length).status_code == 200
        took("log artifact")
        for url, query in ((path, {}), ("/get-artifact", {"run_id": RUN, "path": "large.bin"})):
            hasher = hashlib.sha256()
            with client.stream("GET", url, params=query) as answer:
                for chunk in answer.iter_bytes(1 << 20):
                    hasher.update(chunk)
            assert hasher.hexdigest() == digest
            took(f"read {url.split('/')[1]}")
        last = client.get(path, headers={"Range": "bytes=-3"})
        assert (last.status_code, last.content) == (206, b"end")
        assert client.delete(path).status_code == 200
