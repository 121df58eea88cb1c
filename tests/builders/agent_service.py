"""A tracking service for the agent's tests: files in memory, over real HTTP."""

import hashlib
import http.server
import json
import threading
from dataclasses import dataclass, field


@dataclass
class Service:
    """A tracking service in memory: what it holds, what it was sent, when it is away."""

    contents: dict[str, bytes] = field(default_factory=dict)
    puts: list[str] = field(default_factory=list)
    tokens: set[str] = field(default_factory=set)
    away: int = 0
    refuse: int = 0
    cut: int = 0
    url: str = ""
    partial: dict[str, bytes] = field(default_factory=dict)
    received: list[int] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    ranges: list[str] = field(default_factory=list)
    changes: dict[str, bytes] = field(default_factory=dict)
    largest: int = 0
    progress: dict[str, object] | None = None
    silent: threading.Event = field(default_factory=threading.Event)


class _Handler(http.server.BaseHTTPRequestHandler):
    server: "Server"

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # its name there
        pass

    def do_GET(self) -> None:
        if self._is_barred():
            return
        service = self.server.service
        blob = self.path.removesuffix("/upload")
        if blob != self.path:
            there = blob in service.contents
            offset = len(service.partial.get(blob, b""))
            told = {"complete": there, "offset": offset}
            if service.progress is not None:
                told = service.progress
            self._answer(200, json.dumps(told).encode())
        elif self.path not in service.contents:
            self._answer(404, json.dumps({"message": "no such thing"}).encode())
        else:
            self._send_file(service.contents[self.path])

    def _send_file(self, body: bytes) -> None:
        service = self.server.service
        tag = hashlib.sha256(body).hexdigest()
        wanted = self.headers.get("Range", "")
        service.ranges.append(wanted)
        begin = int(wanted.removeprefix("bytes=").rstrip("-") or 0)
        if self.headers.get("If-Range", tag) != tag:
            begin = 0
        more = {"ETag": tag, "Accept-Ranges": "bytes"}
        if begin:
            more["Content-Range"] = f"bytes {begin}-{len(body) - 1}/{len(body)}"
        if service.cut:
            service.cut -= 1
            self._answer(200, body[: len(body) // 2], length=len(body), **more)
            service.contents |= service.changes
            self.close_connection = True
            return
        self._answer(206 if begin else 200, body[begin:], **more)

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_PUT(self) -> None:
        service = self.server.service
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self._is_barred():
            return
        fault = service.faults.pop(0) if service.faults else ""
        if fault == "silent":
            service.silent.set()
            # Until whoever asked is gone.
            self.rfile.read(1)
            self.close_connection = True
            return
        if service.largest and len(body) > service.largest:
            told = {"message": f"{len(body)} bytes are more than tracking.largestFile"}
            self._answer(413, json.dumps(told).encode())
            return
        if fault == "lost":
            service.partial.clear()
            fault = "away"
        if fault in {"away", "busy"}:
            self._answer(503 if fault == "away" else 409, b"{}")
            return
        body = body[: len(body) // 2] if fault == "half" else body
        service.received.append(len(body))
        status = self._taken(body)
        if fault:
            self.close_connection = True
            return
        offset = len(service.partial.get(self.path, b""))
        self._answer(status, json.dumps({"offset": offset}).encode())

    def _taken(self, body: bytes) -> int:
        service = self.server.service
        stated = self.headers.get("Content-Range")
        total = int(stated.rpartition("/")[2]) if stated else len(body)
        if stated and stated.startswith("bytes 0-"):
            service.partial.pop(self.path, None)
        body = service.partial.pop(self.path, b"") + body if stated else body
        if len(body) < total:
            service.partial[self.path] = body
            return 202
        digest = hashlib.sha256(body).hexdigest()
        if "sha256:" in self.path and not self.path.endswith(digest):
            return 422
        service.puts.append(self.path)
        service.contents[self.path] = body
        return 201

    def _answer(
        self, code: int, body: bytes = b"", *, length: int | None = None, **more: str
    ) -> None:
        self.send_response(code)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        for name, value in more.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _is_barred(self) -> bool:
        service = self.server.service
        service.tokens.add(self.headers.get("Authorization", ""))
        if service.away:
            service.away -= 1
            self._answer(503, b"{}")
            return True
        if service.refuse:
            self._answer(service.refuse, json.dumps({"message": "not yours"}).encode())
            return True
        return False


class Server(http.server.ThreadingHTTPServer):
    def __init__(self, service: Service) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.service = service
