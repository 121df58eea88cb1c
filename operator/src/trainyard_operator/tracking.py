"""The only module that talks to the tracking service: its private API under /api/trainyard/v1.

One method per route, JSON out. A service that does not answer is
Unavailable("TrackingUnavailable"), the same for all who wait for it; an answer that cannot be
right is Terminal. While it does not answer, one caller at a time asks (engine/breaker.py). Calls
at the same time are bounded, and so is the wait for a turn: workers have other things to do.
The token is the operator's own service-account token, read again because it is renewed.
"""

import asyncio
import contextlib
import logging
import random
import re
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import orjson
from trainyard_api.authority import advice
from trainyard_api.contract import (
    LOG_PLACE_HEADER,
    READY_ROUTE,
    TRACKING_ANSWERS,
    TRACKING_API,
    UPLOAD_OFFSET_HEADER,
)

from trainyard_operator.engine.access import Access
from trainyard_operator.engine.answers import json_object
from trainyard_operator.engine.breaker import Breaker, Pass
from trainyard_operator.engine.errors import (
    Conflict,
    NotFound,
    OperatorError,
    Terminal,
    Unavailable,
    told,
)
from trainyard_operator.engine.exchange import Exchange, Request
from trainyard_operator.metrics import TRACKING_REQUESTS
from trainyard_operator.names import Log

Json = Mapping[str, Any]

CALLS = 8
UPLOADS = 16
TURN = 2.0
LOOK_EVERY = 30.0
# Blocks of a log, and a whole log that becomes an artifact, are megabytes.
_PATIENCE = 5.0
_UPLOAD_PATIENCE = 30.0
# Steady, not doubling, and spread: everybody waits for the same service, and should go on soon
# after it, but not at once.
_AGAIN = 5.0
# The service itself, or the proxy before it, says that it is not there.
_AWAY = frozenset({502, 503, 504})
# What is believed of the service alone, which says why: a proxy's 404 is no record that is gone.
_ITS_OWN = frozenset({400, 404, 409, 422})
# As answers have them.
_OFFSET, _PLACE = UPLOAD_OFFSET_HEADER.lower(), LOG_PLACE_HEADER.lower()
_log = logging.getLogger(__name__)


class TrackingClient:
    """The tracking service, as the operator uses it.

    Args:
        exchange: With the service at *url*; CALLS and UPLOADS bound what is under way.
        ca_file: Where the authority of its certificate came from, for messages.
        jitter: Returns a number in [0, 1); spreads those who wait.
    """

    def __init__(
        self,
        exchange: Exchange,
        *,
        url: str,
        token_file: Path,
        ca_file: str = "",
        breaker: Breaker | None = None,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._exchange = exchange
        self._breaker = breaker or Breaker()
        self._jitter = jitter
        self._calls = asyncio.Semaphore(CALLS)
        self._uploads = asyncio.Semaphore(UPLOADS)
        self._url = url + TRACKING_API
        self._access = Access(url, token_file=token_file)
        self._ca_file = ca_file
        self._distrust = ""

    @property
    def state(self) -> str:
        """How the service is, as its callers found it; "" before anybody called."""
        if self._breaker.is_open:
            return f"does not answer at {self._url}{self._distrust}"
        return TRACKING_ANSWERS if self._breaker.has_answered else ""

    async def look_for_ever(self) -> None:
        """Ask now and then whether the service is ready, so that `state` is of this minute."""
        while True:
            # Whether it answers is told where it is asked; what it says is nobody's concern here.
            with contextlib.suppress(OperatorError, OSError):
                await self._request("GET", READY_ROUTE.removeprefix(TRACKING_API))
            await asyncio.sleep(LOOK_EVERY)

    async def put_run(self, namespace: str, run_id: str, body: Json) -> Json:
        """Make an MLflow run; again is fine. Answers {runID, experimentID, artifactURI}."""
        # What an earlier attempt recorded makes room first: a million points are seconds.
        moves = body.get("attempt", 1) > 1
        return await self._json("PUT", f"/namespaces/{namespace}/runs/{run_id}", body, upload=moves)

    async def finish_run(self, namespace: str, run_id: str, body: Json) -> Json:
        """Close an MLflow run and archive its logs, given their tails; again is fine.

        Answers {metrics, metric?, models, experimentID, logs: {attempt: artifact}}.

        Raises:
            Conflict: A log does not end where its tail begins.
        """
        path = f"/namespaces/{namespace}/runs/{run_id}/finish"
        return await self._json("POST", path, body, upload=True)

    async def active_runs(self, namespace: str) -> list[Json]:
        """Return {runID, name} of unfinished runs that the operator made."""
        path = f"/namespaces/{namespace}/runs"
        answer = await self._json("GET", path, params={"state": "active"})
        if not isinstance(answer.get("runs"), list):
            raise self._unavailable()  # another's answer
        return list(answer["runs"])

    async def summary(self, namespace: str, run_id: str) -> Json:
        """Return metrics, params, status, startTime, experiment and models of an MLflow run."""
        return await self._json("GET", f"/namespaces/{namespace}/runs/{quote(run_id)}/summary")

    async def audit(self, namespace: str, line: Json) -> None:
        """Append a line to the audit trail; the same line again is one object."""
        await self._json("POST", f"/namespaces/{namespace}/audit", line)

    async def log_offset(self, log: Log) -> tuple[int, str]:
        """Return how many bytes of a log are there, and the place they end at."""
        _, headers = await self._request("HEAD", _path_of(log))
        return self._offset(headers), headers.get(_PLACE, "")

    async def append_log(self, log: Log, *, offset: int, reached: str, data: bytes) -> int:
        """Append bytes at an offset; return the new one.

        Raises:
            Conflict: The log has another length: ask for it.
        """
        given = {UPLOAD_OFFSET_HEADER: str(offset), LOG_PLACE_HEADER: reached}
        given["Content-Type"] = "application/offset+octet-stream"
        path = _path_of(log)
        _, headers = await self._request("PATCH", path, data=data, headers=given, upload=True)
        return self._offset(headers)

    def _offset(self, headers: Mapping[str, str]) -> int:
        """Return how long a log is; who does not say so has not kept anything."""
        told = headers.get(_OFFSET, "")
        if not re.fullmatch("[0-9]{1,18}", told):
            raise self._unavailable()
        return int(told)

    async def _json(
        self,
        method: str,
        path: str,
        body: Json | None = None,
        *,
        params: Mapping[str, str] | None = None,
        upload: bool = False,
    ) -> Json:
        data = orjson.dumps(body) if body is not None else None
        headers = {"Content-Type": "application/json"} if body is not None else {}
        answer, _ = await self._request(
            method, path, params=params, data=data, headers=headers, upload=upload
        )
        parsed = json_object(answer) if answer else {}
        if parsed is None:
            raise self._unavailable()  # a proxy's page, or an answer cut short
        return parsed

    async def _request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        data: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        upload: bool = False,
    ) -> tuple[bytes, Mapping[str, str]]:
        patience = _UPLOAD_PATIENCE if upload else _PATIENCE
        async with self._turn(self._uploads if upload else self._calls) as leave:
            sent = {**(headers or {}), **self._access.headers()}
            request = Request(method, TRACKING_API + path, patience, sent, params, data)
            try:
                answer = await self._exchange.send(request)
            except OSError as exc:
                TRACKING_REQUESTS.labels("<error>", method).inc()
                self._distrust = advice(exc, self._ca_file, url=self._url)
                raise self._failed(leave, f"{method} {path}: {told(exc)}") from exc
            self._distrust = ""
            TRACKING_REQUESTS.labels(str(answer.status), method).inc()
            self._judge(leave, answer.status, answer.body, f"{method} {path}")
            return answer.body, answer.headers

    @asynccontextmanager
    async def _turn(self, slots: asyncio.Semaphore) -> AsyncIterator[Pass]:
        """Wait for a turn, and for leave to call.

        Raises:
            Unavailable: The service does not answer, or is too busy with others.
        """
        if self._breaker.is_open and (leave := self._breaker.enter()):
            # A probe needs no slot: those that hang hold them all.
            try:
                yield leave
            finally:
                self._breaker.left(leave)
            return
        if self._breaker.is_open:
            raise self._unavailable()
        try:
            async with asyncio.timeout(TURN):
                await slots.acquire()
        except TimeoutError:
            raise self._unavailable() from None
        try:
            # It may have failed meanwhile.
            if self._breaker.is_open or (leave := self._breaker.enter()) is None:
                raise self._unavailable()
            yield leave
        finally:
            slots.release()

    def _judge(self, leave: Pass, code: int, body: bytes, what: str) -> None:
        """Take note of how the service is, and raise what an answer says."""
        if code in _AWAY or 300 <= code < 400:  # no redirect is the service's
            raise self._failed(leave, f"{what}: {code}")
        if code < 500:
            if self._breaker.is_open:
                _log.warning("the tracking service answers again")
            self._breaker.answered()
        elif self._breaker.doubted(leave):
            _log.warning("the tracking service fails: %s: %d", what, code)
        if code >= 400:
            raise _error(code, body, what, again=self._again())

    def _failed(self, leave: Pass, what: str) -> Unavailable:
        if self._breaker.failed(leave):
            _log.warning("the tracking service does not answer, one caller asks on: %s", what)
        return self._unavailable()

    def _unavailable(self) -> Unavailable:
        return Unavailable(
            "TrackingUnavailable",
            f"The tracking service does not answer at {self._url}{self._distrust}: waiting for it",
            after=self._again(),
        )

    def _again(self) -> timedelta:
        return timedelta(seconds=_AGAIN * (1 + self._jitter()))


def _path_of(log: Log) -> str:
    # That of the first pod is named as when an attempt had but one.
    name = f"{log.attempt}/{log.index}" if log.index else f"{log.attempt}"
    return f"/namespaces/{log.namespace}/runs/{log.run_id}/logs/{name}"


def _error(code: int, body: bytes, what: str, *, again: timedelta) -> OperatorError:
    told = json_object(body)
    message = body[:300].decode(errors="replace") if told is None else str(told.get("message", ""))
    if told is None and code in _ITS_OWN and not what.startswith("HEAD "):
        said = f"{what}: {code}, not by the tracking service: {message}"
        return Unavailable("TrackingUnavailable", said, after=again)
    said = f"The tracking service refused {what} with {code}: {message}"
    if code == 404:
        return NotFound("NotFound", said)
    if code == 409:
        return Conflict("Conflict", said)
    if code in {400, 422}:
        return Terminal("TrackingRefused", said)
    return Unavailable("TrackingUnavailable", said, after=again)
