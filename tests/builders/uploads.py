"""Large files as they are sent."""

import hashlib
from collections.abc import AsyncIterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from trainyard._patience import Patience
from trainyard._tracking import Tracking as SdkTracking
from trainyard_agent.transport import Tracking as AgentTracking
from trainyard_api.slices import PART

from .tracking import SCIENTIST, bearer

API = "/api/trainyard/v1/namespaces/team"


def content(seed: str, size: int = 2 * PART + 100) -> tuple[bytes, str]:
    data = (seed.encode() * (size // len(seed) + 1))[:size]
    return data, hashlib.sha256(data).hexdigest()


async def chunks(data: bytes, end: Exception | None = None) -> AsyncIterator[bytes]:
    for begin in range(0, len(data), 1 << 20):
        yield data[begin : begin + (1 << 20)]
    if end is not None:
        raise end


def send_as_agent(world: Any, data: bytes, digest: str, folder: Path) -> None:
    (folder / "file").write_bytes(data)
    base = f"{world.url}{API}"
    agent = AgentTracking(base, SCIENTIST, patience=5, say=lambda _: None, sleep=lambda _: None)
    agent.upload(f"/blobs/sha256:{digest}", folder / "file", size=len(data))


def send_as_sdk(world: Any, data: bytes, digest: str, folder: Path) -> None:
    (folder / "file").write_bytes(data)
    told: list[int] = []
    sdk = SdkTracking(
        world.client,
        "",
        lambda: bearer(SCIENTIST),
        lambda _: nullcontext(),
        {},
        patience=Patience(60, tell=lambda _: None),
    )
    with (folder / "file").open("rb") as file:

        def put() -> None:
            told.clear()
            sdk.put_blob("team", f"sha256:{digest}", file, len(data), sent=told.append)

        sdk.patience.ask(put, harmless=True)
    assert sum(told) == len(data)
