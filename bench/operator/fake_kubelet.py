"""What the fake nodes' kubelet answers when it is asked for a log. Runs in a pod.

A program that prints a line when it starts and one when it ends, SECONDS later: a reader that
follows is kept until then, one that comes again gets the same lines with the same times.
"""

import asyncio
import os
import ssl
import time
from datetime import UTC, datetime

from aiohttp import web

SECONDS = float(os.environ["SECONDS"])
_started: dict[str, float] = {}


def stamped(moment: float, text: str) -> bytes:
    stamp = datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f000Z")
    return f"{stamp} {text}\n".encode()


async def log(request: web.Request) -> web.StreamResponse:
    began = _started.setdefault(request.path, time.time())
    answer = web.StreamResponse(headers={"Content-Type": "text/plain"})
    await answer.prepare(request)
    await answer.write(stamped(began, "epoch 1: loss=0.42"))
    await asyncio.sleep(max(0.0, began + SECONDS - time.time()))
    await answer.write(stamped(began + SECONDS, "epoch 2: loss=0.21"))
    return answer


def main() -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain("/bench/tls.crt", "/bench/tls.key")
    app = web.Application()
    app.router.add_get("/containerLogs/{namespace}/{pod}/{container}", log)
    web.run_app(app, port=10250, ssl_context=context, access_log=None, print=None)


if __name__ == "__main__":
    main()
