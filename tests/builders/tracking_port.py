"""The tracking service's port, without the service: what it does with connections."""

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import uvicorn
from trainyard_tracking.__main__ import configured
from trainyard_tracking.certificate import Files
from trainyard_tracking.settings import ObjectStoreSettings, Settings

from builders.authority import Authority

NOWHERE = ObjectStoreSettings("minio:9000", "b", "r", secure=False)
PLAIN = Settings("sqlite://", NOWHERE, Path("tls.crt"), Path("spool"), 5000, "warning")
HANGS_SECONDS = 15.0  # less than the service's own grace


@dataclass(frozen=True)
class Served:
    """A server in a thread of its own, and where it listens."""

    server: uvicorn.Server
    address: tuple[str, int]
    thread: threading.Thread

    def connected(self, trusted: ssl.SSLContext) -> ssl.SSLSocket:
        plain = socket.create_connection(self.address, timeout=HANGS_SECONDS)
        return trusted.wrap_socket(plain, server_hostname=self.address[0])

    def is_told_to_end(self) -> bool:
        """Have it end; tell whether it takes no more connections."""
        self.server.should_exit = True
        return not any(one.is_serving() for one in self.server.servers)

    def ends(self) -> None:
        """Have it end, and wait for that."""
        self.server.should_exit = True
        self.thread.join(HANGS_SECONDS)
        assert not self.thread.is_alive(), "it waits for somebody"


@contextmanager
def served(config: uvicorn.Config, at: socket.socket | None = None) -> Iterator[Served]:
    """Serve by a socket, or at a free port of 127.0.0.1."""
    server = uvicorn.Server(config)
    with at or socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        made = Served(server, listening.getsockname()[:2], thread)
        thread.start()
        try:
            yield made
        finally:
            made.ends()


def on_loop(loop: str, what: Any, folder: Path) -> tuple[uvicorn.Config, ssl.SSLContext]:
    """Have an application served by TLS on an event loop; gives what a client trusts, too."""
    authority = Authority(folder)
    pair = authority.issue()
    config = configured(what, replace(PLAIN, tls=Files(pair.certificate, pair.key)))
    config.loop = loop
    return config, ssl.create_default_context(cafile=authority.file)


def await_that(holds: Callable[[], Any]) -> None:
    """Look until something holds, in a thread of its own; fail rather than look for ever."""
    until = time.monotonic() + HANGS_SECONDS
    while not holds():
        assert time.monotonic() < until, "it waits for somebody"
