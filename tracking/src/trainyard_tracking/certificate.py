"""The certificate that the service shows: of files that may be renewed while it runs.

Whoever renews it (cert-manager, the chart) writes a Secret, and the node the files. They are looked
at while a connection is opened, in the event loop's own thread and every few seconds at most: no
thread changes what a handshake reads, and a service that nobody calls does nothing.
"""

import contextlib
import logging
import ssl
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography import x509
from prometheus_client import Gauge

from trainyard_tracking.errors import BadSettings

# Not in metrics.py, which brings MLflow along before its settings are made.
CERTIFICATE_ENDS = Gauge(
    "trainyard_tracking_certificate_expiry_timestamp_seconds",
    "Unix time at which the certificate that is shown ends; 0 without TLS.",
)
_EVERY = 5.0
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Files:
    """PEM files of the certificate, with what is between it and its authority, and of its key."""

    certificate: Path
    key: Path

    def context(self, kind: type[ssl.SSLContext] = ssl.SSLContext) -> Any:
        """Read them.

        Raises:
            OSError: One can't be read, or they don't belong together (ssl.SSLError).
        """
        context = kind(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, self.key)
        return context

    def ends(self) -> float:
        """Return until when the certificate is good, as Unix time.

        Raises:
            OSError: It can't be read.
            ValueError: It is none.
        """
        shown = x509.load_pem_x509_certificate(self.certificate.read_bytes())
        return shown.not_valid_after_utc.timestamp()

    def stamp(self) -> tuple[tuple[int, int, int], ...]:
        """Return what changes with them."""
        told = (path.stat() for path in (self.certificate, self.key))
        return tuple((each.st_ino, each.st_mtime_ns, each.st_size) for each in told)


class Early:
    """Bytes of one connection, no other's even if it sent the same."""

    def __init__(self, sent: bytes) -> None:
        self.sent = sent


class Listening(ssl.SSLContext):
    """Opens connections, each with the bytes that came before the event loop was asked to.

    uvloop opens a connection a turn after it was asked to, and others are asked for in between: it
    opens them in the order in which it was asked.

    Attributes:
        early: Of those connections that are asked for and not open yet.
    """

    def __init__(self, *_: Any) -> None:
        self.early: deque[Early] = deque()

    def wrap_bio(
        self, incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO, *args: Any, **more: Any
    ) -> ssl.SSLObject:
        """Open one; called by the event loop."""
        incoming.write(self.early.popleft().sent)
        return super().wrap_bio(incoming, outgoing, *args, **more)


class Shown:
    """What is shown to who connects.

    Files that can't be read any more are tried again; until then the last that could be are shown.

    Raises:
        BadSettings: They can't be read at the start; names the settings.
    """

    def __init__(self, files: Files, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._files, self._clock = files, clock
        try:
            # A renewal between the two is one that is seen later.
            self._stamp = files.stamp()
            self._context = files.context()
        except OSError as exc:
            raise BadSettings(
                f"TRAINYARD_TLS_CERT_FILE {files.certificate} and TRAINYARD_TLS_KEY_FILE"
                f" {files.key} can't be used: {exc}; a certificate and its own key, as PEM, are"
                " expected"
            ) from exc
        self._looked = clock()
        self._tell()

    def listening(self) -> Listening:
        """Return what opens connections, and shows each what there is by then.

        Raises:
            OSError: The files have gone meanwhile.
        """
        context: Listening = self._files.context(Listening)
        context.sni_callback = self.choose
        return context

    def choose(self, opened: ssl.SSLObject, _name: str | None, _first: ssl.SSLContext) -> None:
        """Show what the files hold by now; called while a connection is opened."""
        if self._clock() - self._looked >= _EVERY:
            self._looked = self._clock()
            self._look()
        opened.context = self._context

    def _look(self) -> None:
        try:
            stamp = self._files.stamp()
            if stamp != self._stamp:
                self._context, self._stamp = self._files.context(), stamp
                _log.info("shows the renewed certificate %s", self._files.certificate)
                self._tell()
        except OSError as exc:
            _log.warning("the renewed %s can't be used: %s", self._files.certificate, exc)

    def _tell(self) -> None:
        # What can't be told is no reason not to show it.
        with contextlib.suppress(OSError, ValueError):
            CERTIFICATE_ENDS.set(self._files.ends())
