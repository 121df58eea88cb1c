"""Start the server: `python -m trainyard_serving`. Exits 0 when drained, 1 with the reason."""

import logging
import os
import sys

import uvloop

from trainyard_serving.errors import LoadError
from trainyard_serving.server import Server, told_once
from trainyard_serving.settings import Settings, settings_from

LOG = logging.getLogger("trainyard_serving")


async def _serve(settings: Settings) -> None:
    await Server(settings).run()


def main() -> int:
    """Serve until told to stop; return the exit code."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    settings = settings_from(sys.argv[1:], os.environ)
    try:
        uvloop.run(_serve(settings))
    except LoadError as exc:
        LOG.error("%s", exc)  # noqa: TRY400  # the reason is the message, the trace is noise
        told_once(settings.termination_log, exc)
        return 1
    return 0


if __name__ == "__main__":
    # The loading thread can't be stopped; it must not keep a stopped server alive.
    code = main()
    logging.shutdown()
    os._exit(code)
