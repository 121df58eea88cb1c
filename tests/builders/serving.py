"""Builders and fakes for tests of the model server: what a test does not name is ordinary."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import numpy as np
from trainyard_serving.batch import Batch
from trainyard_serving.dataplane import Dataplane
from trainyard_serving.kinds import MLFLOW_KINDS, kind_of_dtype
from trainyard_serving.metrics import Metrics
from trainyard_serving.served import Loaded, Served
from trainyard_serving.signature import Column, Param, Signature, Tensor
from trainyard_serving.web.answers import Answer, Request
from trainyard_serving.web.connection import Connection
from trainyard_serving.web.routes import Routes
from trainyard_serving.web.shared import Limits, Respond, Shared


def columns(*optional: str, **kinds: str) -> Signature:
    """A signature of columns: columns(a="double", b="long")."""
    of = {n: MLFLOW_KINDS[k] for n, k in kinds.items()}
    return Signature(
        columns=tuple(
            Column(n, k.optional() if n in optional else k, n not in optional)
            for n, k in of.items()
        )
    )


def tensors(**shapes: tuple[int, ...]) -> Signature:
    """A signature of named float32 tensors; `_` is the unnamed one."""
    kind = kind_of_dtype("float32")
    return Signature(
        tensors=tuple(Tensor("" if n == "_" else n, kind, s) for n, s in shapes.items())
    )


def param(name: str, kind: str, default: Any = None) -> Param:
    return Param(name, MLFLOW_KINDS[kind], default)


def numbers(*values: float) -> Batch:
    """A table of one column, `a`."""
    return Batch({"a": np.array(values, dtype=np.float64)}, len(values))


class Doubling:
    """A model that doubles the first array; raises on a negative value; remembers its calls."""

    any_thread = True

    def __init__(self, *, row_independent: bool = True, result: Any = None) -> None:
        self.row_independent = row_independent
        self.calls: list[int] = []
        self._result = result

    def predict(self, batch: Batch) -> Any:
        self.calls.append(batch.rows)
        first = next(iter(batch.arrays.values()))
        if first.dtype.kind == "f" and (first < 0).any():
            raise ValueError("negative values are not for me")
        if self._result is not None:
            return self._result
        return first * 2 if first.dtype.kind in "fiu" else first


async def asked(dataplane: Dataplane, *batches: Batch) -> list[Any]:
    """Submit all in one turn of the loop; return predictions and errors in order."""
    loop = asyncio.get_running_loop()
    futures = [loop.create_future() for _ in batches]
    for batch, future in zip(batches, futures, strict=True):
        dataplane.submit(
            batch, lambda result, error, f=future: f.set_result(result if error is None else error)
        )
    return list(await asyncio.gather(*futures))


def routes(
    signature: Signature | None = None, model: Any = None, *, loaded: bool = True
) -> tuple[Routes, Served, Metrics]:
    """The routes of model `digits`, version `3`."""
    served, metrics = Served("digits", "3", "sha256:0"), Metrics()
    signature = signature or columns(a="double")
    if loaded:
        dataplane = Dataplane(model or Doubling(), metrics, row_wise=signature.joinable)
        served.loaded = Loaded(dataplane, signature, "sklearn")
    return Routes(served, metrics), served, metrics


async def answer(
    table: Routes, path: str, body: bytes | Any = b"", *, method: str = "POST", **headers: str
) -> Answer:
    """Route one request without a socket."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = {b"content-type": b"application/json"}
    lines |= {k.replace("_", "-").encode(): v.encode() for k, v in headers.items()}
    future = asyncio.get_running_loop().create_future()
    table.route(Request(method, path, lines, raw), future.set_result)
    return await asyncio.wait_for(future, 10)


@asynccontextmanager
async def listening(
    table: "Routes | Service", limits: Limits | None = None, *, buffer: int = 0
) -> AsyncIterator[tuple[int, Shared]]:
    """Serve routes on a port of the loopback interface; `buffer`: what its kernel takes at once."""
    shared = Shared(table.route, limits or Limits(), failed=lambda _: None)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(shared), "127.0.0.1", 0)
    if buffer:
        server.sockets[0].setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, buffer)
    try:
        yield server.sockets[0].getsockname()[1], shared
    finally:
        server.close()
        for connection in list(shared.connections):
            connection._transport.abort()


async def exchanged(port: int, *pieces: bytes, host: str = "127.0.0.1") -> bytes:
    """Send pieces one by one, then read until the server closes."""
    reader, writer = await asyncio.open_connection(host, port)
    try:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0)
        return await asyncio.wait_for(reader.read(), 10)
    finally:
        writer.close()


def post(path: str, body: bytes, *headers: str, close: bool = True) -> bytes:
    """The bytes of a POST request."""
    lines = [f"POST {path} HTTP/1.1", "Host: x", "Content-Type: application/json", *headers]
    lines += ["Connection: close"] if close else []
    lines += [f"Content-Length: {len(body)}"]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def get(path: str, *headers: str, close: bool = True, method: str = "GET") -> bytes:
    """The bytes of a request without a body."""
    lines = [f"{method} {path} HTTP/1.1", "Host: x", *headers]
    lines += ["Connection: close"] if close else []
    return "\r\n".join(lines).encode() + b"\r\n\r\n"


START = b"GET /x HTTP/1.1\r\nHost: a\r\n"


class Service:
    """Remembers requests, and answers at once unless it is told to wait."""

    def __init__(self, body: bytes = b"{}") -> None:
        self.body = body
        self.requests: list[Request] = []
        self.waiting: list[Respond] | None = None

    def route(self, request: Request, respond: Respond) -> None:
        self.requests.append(request)
        if self.waiting is None:
            respond(Answer(200, self.body))
        else:
            self.waiting.append(respond)


def serving(service: Service, **limits: Any) -> AbstractAsyncContextManager[tuple[int, Shared]]:
    # Small, or the kernel takes megabytes at once and there is nothing to see.
    return listening(service, Limits(**limits), buffer=65536)


async def until(condition: Any) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0)
