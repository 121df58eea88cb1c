"""The operator's own log: one JSON object per line, or plain text for a terminal.

Fields bound by whoever logs (kind, namespace, name, reason …) go in `extra`. Never secrets,
never whole objects.
"""

import logging
import sys
from datetime import UTC, datetime

import orjson

_PLAIN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
# kopf binds these to every record of a handler; they hold whole objects.
_BULKY = frozenset({"settings", "k8s_skip", "k8s_ref"})


class JsonFormatter(logging.Formatter):
    """Formats a record as one line of JSON."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        extras = vars(record).keys() - _PLAIN - _BULKY
        line |= {key: vars(record)[key] for key in sorted(extras)}
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return orjson.dumps(line, default=str).decode()


def configure(*, level: str, style: str) -> None:
    """Send everything at and above a level to standard error.

    Args:
        style: "json", or anything else for text.
    """
    handler = logging.StreamHandler(sys.stderr)
    text = logging.Formatter("%(asctime)s %(levelname)-7s %(name)s: %(message)s")
    handler.setFormatter(JsonFormatter() if style == "json" else text)
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for noisy in ("kopf", "aiohttp.access", "asyncio"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
