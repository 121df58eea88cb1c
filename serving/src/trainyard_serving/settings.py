"""What the server is told: by the environment in a pod, by arguments elsewhere."""

import argparse
from argparse import ArgumentTypeError
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from trainyard_api import serving as names
from trainyard_api.contract import CA_FILE_ENV

TERMINATION_LOG_ENV = "TRAINYARD_TERMINATION_LOG"
DEADLINE_SECONDS_ENV = "TRAINYARD_DEADLINE_SECONDS"
LONGEST_CALL_SECONDS_ENV = "TRAINYARD_LONGEST_CALL_SECONDS"
MAX_CONNECTIONS_ENV = "TRAINYARD_MAX_CONNECTIONS"
MAX_HELD_BYTES_ENV = "TRAINYARD_MAX_HELD_BYTES"
_HELD_BYTES = 256 * 1024 * 1024
_SIZES = (1, 1 << 40)
_LONGEST_SECONDS = 86_400.0
ALLOWED_FORMATS_ENV = "TRAINYARD_ALLOWED_FORMATS"


@dataclass(frozen=True, slots=True)
class Settings:
    """Where the model comes from, and how to serve it. Times are seconds."""

    name: str
    version: str
    digest: str = ""
    url: str = ""
    token_file: Path | None = None
    ca_file: str = ""
    """The authority that the certificate behind `url` is checked by; the machine's own without."""
    model_dir: Path | None = None
    """A folder that holds the model already; nothing is fetched then."""
    store: Path = Path(names.MODEL_DIRECTORY)
    host: str = ""
    """Where it listens; at every address without one."""
    port: int = names.PORT
    drain_seconds: float = names.DRAIN_SECONDS
    termination_log: Path = Path("/dev/termination-log")
    max_body_bytes: int = names.MAX_BODY_BYTES
    max_held_bytes: int = 0
    max_connections: int = 4096
    deadline_seconds: float = 30.0
    longest_call_seconds: float = 600.0
    allowed_formats: tuple[str, ...] = ()
    """Formats of which a model may be (`trainyard_api.flavors`); none means any."""
    batching: bool = True
    """Whether rows of several requests may be one call of the model."""

    @property
    def held_bytes(self) -> int:
        """Return how much of requests and answers is held: two of the longest at least."""
        return self.max_held_bytes or max(_HELD_BYTES, 2 * self.max_body_bytes)


def settings_from(arguments: Sequence[str], environment: Mapping[str, str]) -> Settings:
    """Return the settings; arguments win over the environment.

    Raises:
        SystemExit: Something is missing or is no number; the message names it.
    """
    parser = _parser(environment)
    given = parser.parse_args(arguments)
    if given.model_dir is None and not (given.url and given.digest):
        parser.error(f"give --model-dir, or set {names.MODEL_URL_ENV} and {names.MODEL_DIGEST_ENV}")
    if 0 < given.max_held_bytes < 2 * given.max_body_bytes:
        parser.error(f"--max-held-bytes must hold two bodies: {2 * given.max_body_bytes} or more")
    return Settings(
        name=given.name or (given.model_dir.resolve().name if given.model_dir else "model"),
        version=given.version,
        digest=given.digest,
        url=given.url,
        token_file=Path(given.token_file) if given.token_file else None,
        ca_file=given.ca_file,
        model_dir=given.model_dir,
        store=given.store,
        host=given.host or ("127.0.0.1" if given.model_dir else ""),  # a pod is asked by others
        port=given.port,
        drain_seconds=given.drain_seconds,
        termination_log=Path(environment.get(TERMINATION_LOG_ENV, "/dev/termination-log")),
        max_body_bytes=given.max_body_bytes,
        max_held_bytes=given.max_held_bytes,
        max_connections=given.max_connections,
        deadline_seconds=given.deadline_seconds,
        longest_call_seconds=given.longest_call_seconds,
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
    parser.add_argument("--ca-file", default=get(CA_FILE_ENV, ""))
    parser.add_argument("--store", type=Path, default=Path(names.MODEL_DIRECTORY))
    parser.add_argument("--host", default="")

    def add(option: str, variable: str, default: str, kind: Callable[[str], object]) -> None:
        given = get(variable, default)
        parser.add_argument(option, type=kind, default=given, help=f"also {variable}")

    add("--port", names.PORT_ENV, str(names.PORT), _whole(0, 65535))
    add("--drain-seconds", names.DRAIN_SECONDS_ENV, str(names.DRAIN_SECONDS), _seconds)
    add("--deadline-seconds", DEADLINE_SECONDS_ENV, "30", _seconds)
    add("--longest-call-seconds", LONGEST_CALL_SECONDS_ENV, "600", _seconds)
    add("--max-body-bytes", names.MAX_BODY_BYTES_ENV, str(names.MAX_BODY_BYTES), _whole(*_SIZES))
    add("--max-held-bytes", MAX_HELD_BYTES_ENV, "0", _whole(0, _SIZES[1]))
    add("--max-connections", MAX_CONNECTIONS_ENV, "4096", _whole(1, 1 << 20))
    add("--batching", names.BATCHING_ENV, "true", _flag)
    parser.add_argument("--allowed-formats", default=get(ALLOWED_FORMATS_ENV, ""))
    return parser


def _flag(text: str) -> bool:
    if text not in {"true", "false"}:
        raise ArgumentTypeError(f"{text:.50} is neither true nor false ({names.BATCHING_ENV})")
    return text == "true"


def _whole(least: int, most: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        number = int(text) if text.strip().lstrip("-").isdecimal() else None
        if number is None or not least <= number <= most:
            raise ArgumentTypeError(f"{text:.50} is not a whole number from {least} to {most}")
        return number

    return parse


def _seconds(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 <= number <= _LONGEST_SECONDS:  # nor is it "nan"
        longest = f"{_LONGEST_SECONDS:.0f}"
        raise ArgumentTypeError(f"{text:.50} is not a number of seconds from 0 to {longest}")
    return number
