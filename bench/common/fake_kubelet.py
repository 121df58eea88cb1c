"""What the fake nodes' kubelet answers when it is asked for a log. Runs in a pod.

A program that prints a line when it starts and one when it ends, SECONDS later or when /end says
so: a reader that follows is kept until then, one that does not gets what there is. It cannot know
when a pod of SECONDS has ended: who reads its log without following it, reads it at its end.
"""

import asyncio
import math
import os
import ssl
import time
from datetime import UTC, datetime

from aiohttp import web

SECONDS = float(os.environ["SECONDS"])
LOOK = 0.25
_started: dict[str, float] = {}
_ended: list[str] = []
_following: set[object] = set()


def stamped(moment: float, text: str) -> bytes:
    stamp = datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f000Z")
    return f"{stamp} {text}\n".encode()


async def log(request: web.Request) -> web.StreamResponse:
    name = "{namespace}/{pod}".format_map(request.match_info)
    began = _started.setdefault(name, time.time())
    answer = web.StreamResponse(headers={"Content-Type": "text/plain"})
    await answer.prepare(request)
    await answer.write(stamped(began, "epoch 1: loss=0.42"))
    follows = request.query.get("follow") == "true"
    if follows:
        await end_of(name, began)
    if is_over(name) or math.isfinite(SECONDS):
        await answer.write(stamped(began + min(SECONDS, 1.0), "epoch 2: loss=0.21"))
    return answer


async def end_of(name: str, began: float) -> None:
    reader = object()
    _following.add(reader)
    try:
        while not is_over(name) and time.time() < began + SECONDS:  # noqa: ASYNC110
            await asyncio.sleep(min(LOOK, SECONDS))
    finally:
        _following.discard(reader)


def is_over(name: str) -> bool:
    return any(name.startswith(prefix) for prefix in _ended)


async def end(request: web.Request) -> web.Response:
    _ended.append(request.match_info["pods"])
    return web.Response()


async def figures(_: web.Request) -> web.Response:
    return web.json_response({"following": len(_following)})


def main() -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain("/bench/tls.crt", "/bench/tls.key")
    app = web.Application()
    app.router.add_get("/containerLogs/{namespace}/{pod}/{container}", log)
    app.router.add_post("/end/{pods:.*}", end)
    app.router.add_get("/figures", figures)
    web.run_app(app, port=10250, ssl_context=context, access_log=None, print=None)


if __name__ == "__main__":
    main()
