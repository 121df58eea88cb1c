"""What is done to a pod's process, from the inside of the cluster's node."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from program import command
from trainyard_cluster.paths import NODE
from trainyard_cluster.provider import provider

API_PORT = 6443
TABLE = "trainyard-bench"


async def signal(pod: str, name: str) -> None:
    """Send a signal to the process of a pod, from outside of it."""
    await _in_node(
        f"for p in $(grep -lz 'HOSTNAME={pod}' /proc/[0-9]*/environ 2>/dev/null | cut -d/ -f3);"
        f" do kill -{name} $p; done"
    )


@asynccontextmanager
async def cut_off(address: str) -> AsyncIterator[None]:
    """Drop all that a pod sends to the API server, on open connections as well."""
    chain = "{ type filter hook input priority -10 ; }"
    try:
        await _in_node(
            f"nft add table ip {TABLE}; nft add chain ip {TABLE} input '{chain}';"
            f" nft add rule ip {TABLE} input ip saddr {address} tcp dport {API_PORT} drop"
        )
        yield
    finally:
        await asyncio.shield(_in_node(f"nft delete table ip {TABLE}"))


async def _in_node(script: str) -> None:
    await command(provider().name, "exec", NODE, "sh", "-ec", script)
