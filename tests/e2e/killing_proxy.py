"""Runs in a pod: the operator behind a proxy, which kills it after every write of its own.

    operator ──http──▶ proxy ──▶ API server
             ──https─▶   └─────▶ tracking service

A write goes through; then the operator is killed before it sees the answer, and starts anew.
The same write again, apart from times, gets its answer: else nothing would ever follow it.
Writes go one at a time, and connections die with their process, so what it had begun but not
sent never happens, and no two writes share a kill.

Leases are let through: they say who leads, and nothing of what is led. Events count, but each
is told after the status that it tells of, and by then the process is dead.

Prints `killed after METHOD SERVER PATH` a kill, and `ended by itself` if it was nobody's.
To the operator it is the tracking service, by that one's own certificate: with another authority
the operator would give its Secrets other names.

Environment: NAMESPACE whose writes count, TRACKING_HOST as which the operator knows the tracking
service, TRACKING_ADDRESS where it really is; TRAINYARD_CA_FILE as the operator has it.
"""

import asyncio
import hashlib
import json
import os
import re
import ssl
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web
from yarl import URL

ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
KUBECONFIG = Path("/tmp/kubeconfig")
SHOWN = Path("/tls")
API_PORT, TRACKING_PORT = 8001, 5000
WRITES = frozenset({"POST", "PUT", "PATCH", "DELETE"})
HOP_BY_HOP = frozenset({"connection", "content-length", "host", "transfer-encoding"})
TIMES = re.compile(rb"\d{4}-\d\d-\d\dT[\d:.]+Z")


class Life:
    """One process of the operator, from its start to its end."""

    def __init__(
        self, session: aiohttp.ClientSession, shown: ssl.SSLContext, survived: set[str]
    ) -> None:
        self.session = session
        self.shown = shown
        self.survived = survived
        self.turn = asyncio.Lock()
        self.is_killed = False
        self.process: asyncio.subprocess.Process

    async def play(self) -> None:
        """Start it, and wait for its end."""
        app = web.Application(client_max_size=64 << 20)
        app.router.add_route("*", "/{path:.*}", self.handle)
        runner = web.AppRunner(app, shutdown_timeout=0.1, access_log=None)
        await runner.setup()
        for port, tls in ((API_PORT, None), (TRACKING_PORT, self.shown)):
            await web.TCPSite(runner, "127.0.0.1", port, ssl_context=tls).start()
        environment = os.environ | {"KUBECONFIG": str(KUBECONFIG)}
        del environment["KUBERNETES_SERVICE_HOST"]
        self.process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "trainyard_operator", env=environment
        )
        code = await self.process.wait()
        await runner.cleanup()
        if not self.is_killed:
            tell(f"ended by itself with {code}")

    async def handle(self, request: web.Request) -> web.StreamResponse:
        server = "tracking" if request.url.port == TRACKING_PORT else "api"
        of_interest = f"/namespaces/{os.environ['NAMESPACE']}/" in request.path
        if request.method in WRITES and of_interest:
            return await self.write(request, server)
        return await self.stream(request, server)

    async def stream(self, request: web.Request, server: str) -> web.StreamResponse:
        """Pass on an answer as it comes: a watch and a log come for hours."""
        async with self.ask(request, server, await request.read()) as answer:
            passed = web.StreamResponse(status=answer.status, headers=end_to_end(answer.headers))
            with suppress(ConnectionResetError):  # killed meanwhile
                await passed.prepare(request)
                async for chunk in answer.content.iter_any():
                    await passed.write(chunk)
            return passed

    async def write(self, request: web.Request, server: str) -> web.StreamResponse:
        """Pass on a write, and kill who wrote it before the answer, once a write."""
        body = await request.read()
        said = hashlib.sha256(TIMES.sub(b"", body)).hexdigest()
        what = f"{request.method} {server} {request.path}"
        async with self.turn:
            if self.is_killed:
                raise web.HTTPServiceUnavailable  # to nobody: what a dead process meant to write
            async with self.ask(request, server, body) as answer:
                content = await answer.read()
            if answer.status < 400 and f"{what} {said}" not in self.survived:
                self.survived.add(f"{what} {said}")
                self.is_killed = True
                self.process.kill()
                await self.process.wait()
                tell(f"killed after {what}")
        return web.Response(status=answer.status, headers=end_to_end(answer.headers), body=content)

    def ask(self, request: web.Request, server: str, body: bytes) -> Any:
        url = URL(upstream(server) + request.raw_path, encoded=True)
        headers = end_to_end(request.headers)
        # Its address is in no certificate.
        name = os.environ["TRACKING_HOST"] if server == "tracking" else None
        return self.session.request(
            request.method, url, headers=headers, data=body or None, server_hostname=name
        )


def tell(line: str) -> None:
    print(line, flush=True)  # noqa: T201  # the test reads the pod's log


def upstream(server: str) -> str:
    if server == "tracking":
        return f"https://{os.environ['TRACKING_ADDRESS']}:{TRACKING_PORT}"
    host, port = os.environ["KUBERNETES_SERVICE_HOST"], os.environ["KUBERNETES_SERVICE_PORT"]
    return f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}"


def end_to_end(headers: Mapping[str, str]) -> dict[str, str]:
    return {k: v for k, v in headers.items() if k.lower() not in HOP_BY_HOP}


def kubeconfig() -> str:
    token = (ACCOUNT / "token").read_text(encoding="utf-8").strip()
    server = f"http://127.0.0.1:{API_PORT}"
    parts = {
        "contexts": [{"name": "proxy", "context": {"cluster": "proxy", "user": "proxy"}}],
        "clusters": [{"name": "proxy", "cluster": {"server": server}}],
        "users": [{"name": "proxy", "user": {"token": token}}],
    }
    return json.dumps({"current-context": "proxy", **parts})  # which is YAML too


async def main() -> None:
    KUBECONFIG.write_text(kubeconfig(), encoding="utf-8")
    tls = ssl.create_default_context(cafile=str(ACCOUNT / "ca.crt"))
    tls.load_verify_locations(os.environ["TRAINYARD_CA_FILE"])
    shown = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    shown.load_cert_chain(SHOWN / "tls.crt", SHOWN / "tls.key")
    survived: set[str] = set()
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, ssl=tls),
        timeout=aiohttp.ClientTimeout(total=None),
        auto_decompress=False,
        skip_auto_headers=["Accept-Encoding"],  # the operator does not ask for it
    ) as session:
        while True:
            await Life(session, shown, survived).play()


if __name__ == "__main__":
    asyncio.run(main())
