"""The agent's command line, as the pods that the operator makes call it.

    fetch archive --namespace NS --digest sha256:… --into DIR
    fetch git     --url URL --revision REV [--path P] [--credentials DIR] --into DIR
    fetch model   --namespace NS --version NAME --into DIR
    convert       --model DIR --out DIR [--allow FLAVOR]…
    publish       --namespace NS --model DIR --fields FILE

The tracking service's URL is TRAINYARD_TRACKING_URL (or MLFLOW_TRACKING_URI), its token the
content of TRAINYARD_TOKEN_FILE, or TRAINYARD_TOKEN, or MLFLOW_TRACKING_TOKEN; TRAINYARD_CA_FILE
has the authority that its certificate is checked by. Whatever comes of it is the container's
termination message: {"commit"}, {"digest", …} or {"reason", "message"}.
"""

import argparse
import json
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

from trainyard_api import authority

from trainyard_agent import archive, git, publish, source, termination
from trainyard_agent.convert import convert
from trainyard_agent.errors import AgentError, of_system
from trainyard_agent.transport import Tracking


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return the exit code."""
    options = _parser().parse_args(arguments)
    try:
        result: dict[str, Any] = options.run(options)
    except AgentError as exc:
        return _failed(exc)
    except OSError as exc:
        told, reason = of_system(exc)
        return _failed(AgentError(told, reason=reason))
    except Exception as exc:  # noqa: BLE001  # a traceback is told to nobody
        return _failed(AgentError(f"unexpected {type(exc).__name__}: {exc}"))
    return 0 if _reported(result) else 1


def _failed(exc: AgentError) -> int:
    _reported({"reason": exc.reason, "message": exc.message})
    # Last of all: without a message, the kubelet takes the end of the log for it.
    _say(f"{exc.reason}: {exc.message}")
    return exc.exit_code


def _reported(message: dict[str, Any]) -> bool:
    try:
        termination.report(message)
    except OSError as exc:
        _say(f"what came of it can't be told: the termination message: {exc.strerror}")
        return False
    return True


def _stop(number: int, _: object) -> NoReturn:
    """End at once when the pod is to go: the first program of a container has to ask for that.

    What the tracking service has of a file by now is kept there; the next attempt goes on with it.
    """
    message = "it was told to stop before it was done: its pod is deleted, or leaves its node"
    with suppress(OSError):
        termination.report({"reason": "Stopped", "message": message})
    with suppress(OSError):
        # Not by print, which the signal may have come in the middle of.
        os.write(1, f"Stopped: {message}\n".encode())
    os._exit(128 + number)


def _fetch_archive(options: argparse.Namespace) -> dict[str, Any]:
    entries = archive.fetch(_tracking(options), digest=options.digest, into=options.into, say=_say)
    return {"entries": entries}


def _fetch_git(options: argparse.Namespace) -> dict[str, Any]:
    checkout = git.Checkout(
        url=options.url,
        revision=options.revision,
        into=options.into,
        path=options.path,
        credentials=options.credentials,
        say=_say,
    )
    return {"commit": git.fetch(checkout)}


def _fetch_model(options: argparse.Namespace) -> dict[str, Any]:
    return source.fetch(_tracking(options), version=options.version, into=options.into, say=_say)


def _convert(options: argparse.Namespace) -> dict[str, Any]:
    fields = convert(options.model, out=options.out, allowed=options.allow)
    _say(f"flavors: {', '.join(fields['flavors'])}")
    return {"flavors": fields["flavors"]}


def _publish(options: argparse.Namespace) -> dict[str, Any]:
    fields = json.loads(options.fields.read_text())
    return publish.publish(_tracking(options), options.model, fields=fields, say=_say)


def _tracking(options: argparse.Namespace) -> Tracking:
    service = os.environ.get("TRAINYARD_TRACKING_URL") or os.environ.get("MLFLOW_TRACKING_URI")
    if not service:
        raise AgentError("TRAINYARD_TRACKING_URL is not set", reason="ConfigMissing")
    base = f"{service.rstrip('/')}/api/trainyard/v1/namespaces/{options.namespace}"
    return Tracking(
        base=base, token=_token(), patience=options.patience, say=_say, ca_file=_ca_file()
    )


def _ca_file() -> str:
    path = os.environ.get("TRAINYARD_CA_FILE", "")
    if path:
        try:
            authority.read(path)
        except ValueError as exc:
            raise AgentError(str(exc), reason="ConfigMissing") from exc
    return path


def _token() -> str:
    path = os.environ.get("TRAINYARD_TOKEN_FILE")
    if path:
        return Path(path).read_text().strip()
    return os.environ.get("TRAINYARD_TOKEN") or os.environ.get("MLFLOW_TRACKING_TOKEN", "")


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="trainyard_agent")
    commands = parser.add_subparsers(required=True)
    kinds = commands.add_parser("fetch").add_subparsers(required=True)
    _add_fetches(kinds)
    converting = commands.add_parser("convert")
    converting.set_defaults(run=_convert)
    converting.add_argument("--model", type=Path, required=True)
    converting.add_argument("--out", type=Path, required=True)
    converting.add_argument("--allow", action="append", default=[])
    publishing = commands.add_parser("publish")
    publishing.set_defaults(run=_publish)
    _add_namespace(publishing)
    publishing.add_argument("--model", type=Path, required=True)
    publishing.add_argument("--fields", type=Path, required=True)
    return parser


def _add_fetches(kinds: Any) -> None:
    archived = kinds.add_parser("archive")
    archived.set_defaults(run=_fetch_archive)
    _add_namespace(archived)
    archived.add_argument("--digest", required=True)
    cloned = kinds.add_parser("git")
    cloned.set_defaults(run=_fetch_git)
    cloned.add_argument("--url", required=True)
    cloned.add_argument("--revision", required=True)
    cloned.add_argument("--path", default="")
    cloned.add_argument("--credentials", type=Path)
    model = kinds.add_parser("model")
    model.set_defaults(run=_fetch_model)
    _add_namespace(model)
    model.add_argument("--version", required=True)
    for command in (archived, cloned, model):
        command.add_argument("--into", type=Path, required=True)


def _add_namespace(command: argparse.ArgumentParser) -> None:
    command.add_argument("--namespace", required=True)
    command.add_argument("--patience", type=float, default=600.0)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, _stop)
    _code = main()
    sys.stdout.flush()
    # Not by sys.exit, which would wait for the uploads beside one that was refused.
    os._exit(_code)
