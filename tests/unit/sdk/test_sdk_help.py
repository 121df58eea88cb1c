"""What `--help` says, and how soon."""

import subprocess
import sys

import pytest
from trainyard.cli import app
from typer.main import get_command
from typer.testing import CliRunner


@pytest.mark.parametrize("command", sorted(get_command(app).commands))  # type: ignore[attr-defined]  # a group
def test_help_teaches_by_example(command: str) -> None:
    asked = "get" if command == "list" else command

    assert (
        f"trainyard {asked} "
        in CliRunner().invoke(app, [command, "--help"]).output.split("Example")[1] + " "
    )


def test_help_imports_nothing_heavy() -> None:
    probe = (
        "import sys, trainyard.cli;"
        "print([m for m in ('kubernetes', 'pydantic', 'httpx', 'yaml') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"
