"""The paths this server answers, for both protocols. One model, so every path is known.

Handlers read and write by `protocols/`; here is only which path does what, and the guard that
turns anything unforeseen into a 500 of its own request.
"""

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import PackageNotFoundError, version
from time import perf_counter
from typing import Any, Final

from trainyard_api import serving as contract
from trainyard_api.contract import RELEASE

from trainyard_serving import protocols
from trainyard_serving.batch import Batch
from trainyard_serving.errors import (
    Abandoned,
    BadInput,
    Overloaded,
    ServingError,
    UnknownModel,
    UnsupportedMedia,
)
from trainyard_serving.metrics import Metrics
from trainyard_serving.protocols import mlflow, v2
from trainyard_serving.served import Loaded, Served
from trainyard_serving.web.answers import JSON, Answer, Request, json_answer, problem, refusal
from trainyard_serving.web.shared import Respond

LOG = logging.getLogger(__name__)

Handler = Callable[[Request, Respond], None]
Plain = Callable[[Request], Answer]
Write = Callable[[Any], bytes]
INLINE_BYTES: Final = 256 << 10
"""Bodies above this are read in a thread: a millisecond of reading is a millisecond of silence."""
INLINE_CELLS: Final = 256 << 10
"""The same for what they become: a short body may leave many optional columns out."""
MAX_BEING_READ: Final = 16
_BINARY: Final = b"inference-header-content-length"


class Routes:
    """The table of paths, for one served model."""

    def __init__(self, served: Served, metrics: Metrics) -> None:
        self._served = served
        self._metrics = metrics
        self._names: tuple[Loaded | None, list[str]] = (None, [])
        self._reader = ThreadPoolExecutor(1, thread_name_prefix="read")
        self._being_read = 0
        self._table = self._paths()

    def route(self, request: Request, respond: Respond) -> None:
        """Answer a request, now or later, exactly once."""
        started = perf_counter()
        protocol, methods = self._table.get(request.path) or self._unknown(request.path)

        def answered(answer: Answer) -> None:
            self._metrics.answered(protocol, answer.status, perf_counter() - started)
            respond(answer)

        handler = methods.get("GET" if request.method == "HEAD" else request.method)
        if handler is None:
            allow = ", ".join((*methods, *(["HEAD"] if "GET" in methods else [])))
            text = f"{request.path} takes {allow}, not {request.method}"
            answered(problem(405, text, extra=f"Allow: {allow}\r\n".encode()))
            return
        try:
            handler(request, answered)
        except ServingError as exc:
            answered(refusal(exc, mlflow=protocol == "mlflow"))
        except Exception:
            LOG.exception("unexpected error at %s", request.path)
            answered(problem(500, "unexpected error: the server's log has the details"))

    def _paths(self) -> dict[str, tuple[str, dict[str, Handler]]]:
        models = f"/v2/models/{self._served.name}"
        plain: dict[str, tuple[str, Plain]] = {
            "/v2": ("GET", self._server),
            contract.LIVE_PATH: ("GET", self._live),
            contract.READY_PATH: ("GET", self._ready),
            "/v2/repository/index": ("POST", self._index),
            contract.METRICS_PATH: ("GET", self._exposition),
            "/ping": ("GET", self._ping),
            "/health": ("GET", self._ping),
            "/version": ("GET", lambda _: Answer(200, _mlflow_version().encode(), "text/plain")),
        }
        table: dict[str, tuple[str, dict[str, Handler]]] = {
            "/invocations": ("mlflow", {"POST": self._invocations})
        }
        for base in (models, f"{models}/versions/{self._served.version}"):
            plain |= {base: ("GET", self._model), f"{base}/ready": ("GET", self._model_ready)}
            table[f"{base}/infer"] = ("v2", {"POST": self._infer})
        for path, (method, handler) in plain.items():
            table[path] = ("other", {method: _at_once(handler)})
        return table | {f"{path}/": entry for path, entry in table.items()}

    def _unknown(self, path: str) -> tuple[str, dict[str, Handler]]:
        def refuse(request: Request, respond: Respond) -> None:
            respond(self._not_found(request.path))

        return "other", dict.fromkeys(("GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"), refuse)

    def _not_found(self, path: str) -> Answer:
        if path.startswith("/v2/models/"):
            served = self._served
            text = f"this server has model {served.name!r} version {served.version!r} only"
            return refusal(UnknownModel(f"{path:.200} is not here: {text}"), mlflow=False)
        return problem(404, f"{path:.200} is not here: see /v2, /invocations, /metrics")

    def _infer(self, request: Request, respond: Respond) -> None:
        if _BINARY in request.headers:
            raise UnsupportedMedia("the binary tensor extension is not read here: send JSON")
        _must_be_plain(request)
        model = self._served.model()
        names = self._output_names(model)
        served = self._served

        def read() -> tuple[Batch, Write]:
            asked = v2.read(request.body, model.signature)
            return asked.batch, lambda result: v2.write(
                asked, result, model=served.name, version=served.version, names=names
            )

        self._read_and_predict(_Asked(request, model, read, respond, is_mlflow=False))

    def _output_names(self, model: Loaded) -> list[str]:
        if self._names[0] is not model:
            self._names = (model, v2.output_names(model.signature))
        return self._names[1]

    def _invocations(self, request: Request, respond: Respond) -> None:
        _must_be_plain(request)
        model = self._served.model()

        def read() -> tuple[Batch, Write]:
            content_type = request.header(b"content-type")
            return mlflow.read(request.body, content_type, model.signature), mlflow.write

        self._read_and_predict(_Asked(request, model, read, respond, is_mlflow=True))

    def _read_and_predict(self, asked: "_Asked") -> None:
        """Read the body at once if it is small; else beside the loop, which goes on answering."""
        if not asked.large:
            asked.predict(*asked.read())
            return
        if self._being_read >= MAX_BEING_READ:
            raise Overloaded(f"{MAX_BEING_READ} large requests are being read: try again later")
        self._being_read += 1

        def came(future: asyncio.Future[tuple[Batch, Write]]) -> None:
            self._being_read -= 1
            try:
                asked.predict(*future.result())
            except ServingError as exc:
                asked.done(None, exc)
            except Exception:
                LOG.exception("unexpected error in reading a request")
                asked.respond(problem(500, "unexpected error: the server's log has the details"))

        loop = asyncio.get_running_loop()
        loop.run_in_executor(self._reader, asked.read_if_wanted).add_done_callback(came)

    def _server(self, _request: Request) -> Answer:
        return json_answer(
            {"name": "trainyard", "version": RELEASE, "extensions": ["model_repository"]}
        )

    def _ready(self, _request: Request) -> Answer:
        if self._served.ready:
            return json_answer({"ready": True})
        return json_answer({"ready": False, "reason": self._served.unready_for}, 503)

    def _live(self, _request: Request) -> Answer:
        broken = self._served.broken
        return json_answer(
            {"live": False, "reason": broken} if broken else {"live": True}, 503 if broken else 200
        )

    def _ping(self, _request: Request) -> Answer:
        return Answer(200 if self._served.ready else 503, b"\n")

    def _model_ready(self, _request: Request) -> Answer:
        ready = self._served.ready
        return json_answer({"name": self._served.name, "ready": ready}, 200 if ready else 503)

    def _model(self, _request: Request) -> Answer:
        model = self._served.model()
        return json_answer(
            {
                "name": self._served.name,
                "versions": [self._served.version],
                "platform": f"mlflow_{model.platform}",
                **v2.described(model.signature),
            }
        )

    def _index(self, request: Request) -> Answer:
        asked = protocols.decoded(request.body) if request.body else {}
        if not isinstance(asked, dict) or not isinstance(asked.get("ready", False), bool):
            raise BadInput("expected true or false", field="ready")
        served = self._served
        if asked.get("ready") and not served.ready:
            return json_answer([])
        entry = {"name": served.name, "version": served.version, "reason": ""}
        entry["state"] = "READY" if served.ready else "UNAVAILABLE"
        entry["reason"] = "" if served.ready else served.unready_for
        return json_answer([entry])

    def _exposition(self, request: Request) -> Answer:
        body, content_type = self._metrics.exposition(request.header(b"accept"))
        return Answer(200, body, content_type)


class _Asked:
    """A request for a prediction, from its body to its answer."""

    __slots__ = ("_caller", "_is_mlflow", "_model", "_since", "large", "read", "respond")

    def __init__(
        self,
        request: Request,
        model: Loaded,
        read: Callable[[], tuple[Batch, Write]],
        respond: Respond,
        *,
        is_mlflow: bool,
    ) -> None:
        self._caller = request.caller
        self._is_mlflow = is_mlflow
        self._model = model
        self._since = perf_counter()
        body = request.body
        self.large = (
            len(body) > INLINE_BYTES or protocols.cells(body, model.signature) > INLINE_CELLS
        )
        self.read = read
        self.respond = respond

    def read_if_wanted(self) -> tuple[Batch, Write]:
        if self._caller.gone:
            raise Abandoned("the caller has gone")
        late = self._model.dataplane.late(self._since, perf_counter())
        if late is not None:
            raise late
        return self.read()

    def predict(self, batch: Batch, write: Write) -> None:
        self._model.dataplane.submit(
            batch,
            self.done,
            large=self.large,
            write=write,
            caller=self._caller,
            since=self._since,
        )

    def done(self, body: Any, error: ServingError | None) -> None:
        if error is None:
            self.respond(Answer(200, body, JSON))
        else:
            self.respond(refusal(error, mlflow=self._is_mlflow))


def _must_be_plain(request: Request) -> None:
    coding = request.header(b"content-encoding").strip().lower()
    if coding not in {"", "identity"}:
        raise UnsupportedMedia(f"Content-Encoding {coding:.50} is not read here: send it as it is")


def _at_once(handler: Plain) -> Handler:
    return lambda request, respond: respond(handler(request))


def _mlflow_version() -> str:
    try:
        return version("mlflow-skinny")
    except PackageNotFoundError:
        return "unknown"
