"""The only module that talks to the tracking service: its private API under /api/trainyard/v1.

One method per route, JSON out. A service that does not answer is Retry("TrackingUnavailable");
an answer that cannot be right is Terminal. The token is the operator's own service-account
token, read again because it is renewed.
"""

import time
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiohttp
import orjson
from trainyard_api.contract import LOG_PLACE_HEADER, TRACKING_API, UPLOAD_OFFSET_HEADER

from trainyard_operator.engine.errors import (
    Conflict,
    NotFound,
    OperatorError,
    Terminal,
    Unavailable,
)
from trainyard_operator.metrics import TRACKING_REQUESTS

Json = Mapping[str, Any]

_TIMEOUT = aiohttp.ClientTimeout(total=60, sock_connect=5)
_TOKEN_AGE = 60.0
# Steady, not doubling: everybody waits for the same service, and should go on soon after it.
_AGAIN = timedelta(seconds=5)


class TrackingClient:
    """The tracking service, as the operator uses it."""

    def __init__(self, session: aiohttp.ClientSession, *, url: str, token_file: Path) -> None:
        self._session = session
        self._base = url + TRACKING_API
        self._token_file = token_file
        self._token = ""
        self._read_at = -_TOKEN_AGE

    async def put_run(self, namespace: str, run_id: str, body: Json) -> Json:
        """Make an MLflow run; again is fine. Answers {runID, experimentID, artifactURI}."""
        return await self._json("PUT", f"/namespaces/{namespace}/runs/{run_id}", body)

    async def finish_run(self, namespace: str, run_id: str, body: Json) -> Json:
        """Close an MLflow run and archive its logs; again is fine.

        Answers {metrics, metric?, models, experimentID, logs: {attempt: artifact}}.
        """
        return await self._json("POST", f"/namespaces/{namespace}/runs/{run_id}/finish", body)

    async def active_runs(self, namespace: str) -> list[Json]:
        """Return {runID, name} of unfinished runs that the operator made."""
        answer = await self._json("GET", f"/namespaces/{namespace}/runs?state=active")
        return list(answer["runs"])

    async def summary(self, namespace: str, run_id: str) -> Json:
        """Return {metrics, params, status, experimentID, experiment, models} of an MLflow run."""
        return await self._json("GET", f"/namespaces/{namespace}/runs/{quote(run_id)}/summary")

    async def audit(self, namespace: str, line: Json) -> None:
        """Append a line to the audit trail; the same line again is one object."""
        await self._json("POST", f"/namespaces/{namespace}/audit", line)

    async def log_offset(self, namespace: str, run_id: str, attempt: int) -> tuple[int, str]:
        """Return how many bytes of an attempt's log are there, and the place they end at."""
        _, headers = await self._request("HEAD", _log(namespace, run_id, attempt))
        return int(headers.get(UPLOAD_OFFSET_HEADER, "0")), headers.get(LOG_PLACE_HEADER, "")

    async def append_log(
        self, namespace: str, run_id: str, attempt: int, *, offset: int, reached: str, data: bytes
    ) -> int:
        """Append bytes at an offset; return the new one.

        Raises:
            Conflict: The log has another length: ask for it.
        """
        given = {UPLOAD_OFFSET_HEADER: str(offset), LOG_PLACE_HEADER: reached}
        given["Content-Type"] = "application/offset+octet-stream"
        path = _log(namespace, run_id, attempt)
        _, headers = await self._request("PATCH", path, data=data, headers=given)
        return int(headers.get(UPLOAD_OFFSET_HEADER, offset + len(data)))

    async def _json(self, method: str, path: str, body: Json | None = None) -> Json:
        data = orjson.dumps(body) if body is not None else None
        headers = {"Content-Type": "application/json"} if body is not None else {}
        answer, _ = await self._request(method, path, data=data, headers=headers)
        parsed: Json = orjson.loads(answer) if answer else {}
        return parsed

    async def _request(
        self,
        method: str,
        path: str,
        *,
        data: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> tuple[bytes, Mapping[str, str]]:
        sent = {**(headers or {}), **self._authorization()}
        try:
            async with self._session.request(
                method, self._base + path, data=data, headers=sent, timeout=_TIMEOUT
            ) as response:
                body = await response.read()
                TRACKING_REQUESTS.labels(str(response.status), method).inc()
                if response.status >= 400:
                    raise _error(response.status, body, f"{method} {path}")
                return body, response.headers
        except (aiohttp.ClientError, TimeoutError) as exc:
            TRACKING_REQUESTS.labels("<error>", method).inc()
            raise Unavailable(
                "TrackingUnavailable",
                f"The tracking service does not answer at {self._base}: waiting for it",
                after=_AGAIN,
            ) from exc

    def _authorization(self) -> dict[str, str]:
        now = time.monotonic()
        if now - self._read_at >= _TOKEN_AGE and self._token_file.exists():
            self._token = self._token_file.read_text(encoding="utf-8").strip()
            self._read_at = now
        return {"Authorization": f"Bearer {self._token}"} if self._token else {}


def _log(namespace: str, run_id: str, attempt: int) -> str:
    return f"/namespaces/{namespace}/runs/{run_id}/logs/{attempt}"


def _error(code: int, body: bytes, what: str) -> OperatorError:
    try:
        message = str(orjson.loads(body).get("message", ""))
    except (orjson.JSONDecodeError, AttributeError):
        message = body[:300].decode(errors="replace")
    said = f"The tracking service refused {what} with {code}: {message}"
    if code == 404:
        return NotFound("NotFound", said)
    if code == 409:
        return Conflict("Conflict", said)
    if code in {400, 422}:
        return Terminal("TrackingRefused", said)
    return Unavailable("TrackingUnavailable", said, after=_AGAIN)
