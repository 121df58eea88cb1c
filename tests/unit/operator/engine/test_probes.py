"""The kubelet and Prometheus reach the operator at its pod's address, of whichever family."""

import aiohttp
import pytest
from builders.addresses import EACH_FAMILY
from trainyard_operator.engine import probes


@EACH_FAMILY
@pytest.mark.parametrize(("path", "status"), [("healthz", 200), ("readyz", 503), ("metrics", 200)])
async def test_it_answers_at_addresses_of_both_families(host: str, path: str, status: int) -> None:
    app = probes.application(is_healthy=lambda: True, is_ready=lambda: False)
    runner = await probes.serve(app, port=0)
    port = runner.addresses[0][1]
    named = f"[{host}]" if ":" in host else host

    async with (
        aiohttp.ClientSession() as session,
        session.get(f"http://{named}:{port}/{path}") as answer,
    ):
        assert answer.status == status
    await runner.cleanup()
