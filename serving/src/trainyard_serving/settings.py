"""What the server is told: by the environment in a pod, by arguments elsewhere."""

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from trainyard_api import serving as names

TERMINATION_LOG_ENV = "TRAINYARD_TERMINATION_LOG"
MAX_BODY_BYTES_ENV = "TRAINYARD_MAX_BODY_BYTES"
ALLOWED_FORMATS_ENV = "TRAINYARD_ALLOWED_FORMATS"


@dataclass(frozen=True, slots=True)
class Settings:
    """Where the model comes from, and how to serve it. Times are seconds."""

    name: str
    version: str
    digest: str = ""
    url: str = ""
    token_file: Path | None = None
    model_dir: Path | None = None
    """A folder that holds the model already; nothing is fetched then."""
    store: Path = Path(names.MODEL_DIRECTORY)
    host: str = "0.0.0.0"  # noqa: S104  # a pod is reached from outside
    port: int = names.PORT
    drain_seconds: float = names.DRAIN_SECONDS
    termination_log: Path = Path("/dev/termination-log")
    max_body_bytes: int = 32 * 1024 * 1024
    allowed_formats: tuple[str, ...] = ()
    """Formats of which a model may be (`trainyard_api.flavors`); none means any."""
    batching: bool = True
    """Whether rows of several requests may be one call of the model."""


def settings_from(arguments: Sequence[str], environment: Mapping[str, str]) -> Settings:
    """Return the settings; arguments win over the environment.

    Raises:
        SystemExit: Something is missing or is no number; the message names it.
    """
    parser = _parser(environment)
    given = parser.parse_args(arguments)
    if given.model_dir is None and not (given.url and given.digest):
        parser.error(f"give --model-dir, or set {names.MODEL_URL_ENV} and {names.MODEL_DIGEST_ENV}")
    return Settings(
        name=given.name or (given.model_dir.resolve().name if given.model_dir else "model"),
        version=given.version,
        digest=given.digest,
        url=given.url,
        token_file=Path(given.token_file) if given.token_file else None,
        model_dir=given.model_dir,
        store=given.store,
        host=given.host or ("127.0.0.1" if given.model_dir else "0.0.0.0"),  # noqa: S104  # a pod
        port=given.port,
        drain_seconds=given.drain_seconds,
        termination_log=Path(environment.get(TERMINATION_LOG_ENV, "/dev/termination-log")),
        max_body_bytes=given.max_body_bytes,
        allowed_formats=tuple(filter(None, map(str.strip, given.allowed_formats.split(",")))),
        batching=given.batching,
    )


def _parser(environment: Mapping[str, str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="trainyard_serving", description=__doc__)
    get = environment.get
    parser.add_argument("--model-dir", type=Path, help="a folder with an MLmodel file")
    parser.add_argument("--name", default=get(names.MODEL_NAME_ENV, ""))
    parser.add_argument("--version", default=get(names.MODEL_VERSION_ENV, "1"))
    parser.add_argument("--digest", default=get(names.MODEL_DIGEST_ENV, ""))
    parser.add_argument("--url", default=get(names.MODEL_URL_ENV, ""))
    parser.add_argument("--token-file", default=get(names.TOKEN_FILE_ENV, ""))
    parser.add_argument("--store", type=Path, default=Path(names.MODEL_DIRECTORY))
    parser.add_argument("--host", default="")
    parser.add_argument("--port", type=int, default=get(names.PORT_ENV, str(names.PORT)))
    drain = get(names.DRAIN_SECONDS_ENV, str(names.DRAIN_SECONDS))
    parser.add_argument("--drain-seconds", type=float, default=drain)
    limit = get(MAX_BODY_BYTES_ENV, str(32 * 1024 * 1024))
    parser.add_argument("--max-body-bytes", type=int, default=limit)
    parser.add_argument("--allowed-formats", default=get(ALLOWED_FORMATS_ENV, ""))
    batching = get(names.BATCHING_ENV, "true")
    parser.add_argument("--batching", type=_flag, metavar="true|false", default=batching)
    return parser


def _flag(text: str) -> bool:
    if text not in {"true", "false"}:
        raise argparse.ArgumentTypeError(
            f"{text!r} is neither true nor false ({names.BATCHING_ENV})"
        )
    return text == "true"
