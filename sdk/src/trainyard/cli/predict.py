"""`trainyard predict`: ask a served model, through the API server's proxy."""

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from trainyard.cli.completion import complete_deployment
from trainyard.cli.options import Context, Namespace, client_for


def predict(
    deployment: Annotated[
        str,
        typer.Argument(
            metavar="DEPLOYMENT", help="Name of it.", autocompletion=complete_deployment
        ),
    ],
    data: Annotated[
        str,
        typer.Option("--data", "-d", metavar="JSON|@FILE", help="The input; @- reads stdin."),
    ],
    namespace: Namespace = "",
    context: Context = "",
) -> None:
    """Send data to a Deployment and print its prediction. No port-forward is needed.

    A bare list is a batch of rows. MLflow's bodies (inputs, instances,
    dataframe_split, dataframe_records) and those of the Open Inference
    Protocol v2 go as they are.

    \b
    Examples:
      trainyard predict iris --data '[[5.1, 3.5, 1.4, 0.2]]'
      trainyard predict digits --data @rows.json
      trainyard predict credit --data '{"dataframe_records": [{"age": 41, "income": 3000}]}'
    """
    from trainyard import serving  # noqa: PLC0415  # not for --help

    rows = read_data(data)
    answer = serving.predict(deployment, rows, client=client_for(namespace, context))
    print(json.dumps(answer, indent=2, ensure_ascii=False))


def read_data(text: str) -> Any:
    """Read JSON as given, from a file (@FILE) or from standard input (@-).

    Raises:
        InvalidInput: the file is not there, or it is no JSON; the message says where.
    """
    from trainyard.errors import InvalidInput  # noqa: PLC0415  # not for --help

    place = "--data"
    if text.startswith("@"):
        place = text[1:] if text != "@-" else "standard input"
        try:
            read = sys.stdin.buffer.read() if text == "@-" else Path(place).read_bytes()
        except OSError as exc:
            raise InvalidInput(
                f"Cannot read {place}: {exc.strerror}",
                fix="Name a file that is there, or write the rows themselves: --data '[[1, 2, 3]]'",
            ) from exc
    else:
        read = text.encode()
    try:
        return json.loads(read)  # of bytes it knows UTF-8 with a mark and UTF-16: PowerShell's
    except (UnicodeDecodeError, RecursionError) as exc:
        raise InvalidInput(
            f"{place} is not JSON: {str(exc).split(chr(10))[0]:.200}", fix="Write it in UTF-8"
        ) from exc
    except json.JSONDecodeError as exc:
        raise InvalidInput(
            f"{place} is not JSON: {exc.msg} at line {exc.lineno}, column {exc.colno}",
            fix="Quote it for the shell: --data '[[1, 2, 3]]', or use a file: --data @rows.json",
        ) from exc
