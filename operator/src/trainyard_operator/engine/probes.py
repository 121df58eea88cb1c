"""/healthz, /readyz and /metrics over HTTP, for the kubelet and Prometheus.

Says what it is told; it decides nothing. A standby replica is ready: it is ready to take over.
"""

from collections.abc import Callable

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from trainyard_api.listening import everywhere


def application(*, is_healthy: Callable[[], bool], is_ready: Callable[[], bool]) -> web.Application:
    """Return the HTTP application."""

    async def healthz(_: web.Request) -> web.Response:
        return _answer(is_healthy())

    async def readyz(_: web.Request) -> web.Response:
        return _answer(is_ready())

    async def metrics(_: web.Request) -> web.Response:
        return web.Response(body=generate_latest(), headers={"Content-Type": CONTENT_TYPE_LATEST})

    app = web.Application()
    app.router.add_get("/healthz", healthz)
    app.router.add_get("/readyz", readyz)
    app.router.add_get("/metrics", metrics)
    return app


async def serve(app: web.Application, *, port: int) -> web.AppRunner:
    """Serve until the runner is cleaned up."""
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.SockSite(runner, everywhere(port)).start()
    return runner


def _answer(ok: bool) -> web.Response:  # private, called with predicates only
    return web.Response(text="ok" if ok else "not ok", status=200 if ok else 503)
