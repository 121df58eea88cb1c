"""Every command line and every line of Python in the docs is one that works."""

import ast
import inspect
import re
import shlex
from collections.abc import Iterator
from dataclasses import fields
from typing import Any

import pytest
import trainyard as ty
import typer
from pages import PAGES, ROOT, Block, blocks, spans
from trainyard.cli import app
from trainyard.submission import RunOptions

ROOT_COMMAND = typer.main.get_command(app)
COMMANDS = {name: command for name, command in ROOT_COMMAND.commands.items() if not command.hidden}
# typer brings a click of its own, or not, by its release.
UsageError = typer.BadParameter.__base__
NOTES = "charts/trainyard/templates/NOTES.txt"


def typed() -> Iterator[tuple[str, list[str]]]:
    """Yield the words after `trainyard` of every line that a reader may type, and where it is."""
    for page in PAGES:
        for block in blocks(page):
            if block.language in {"", "console", "sh"}:
                yield from _lines(block.where, block.text)
    yield from _lines(NOTES, (ROOT / NOTES).read_text("utf-8"))
    for name, command in COMMANDS.items():
        yield from _lines(f"trainyard {name} --help", command.help or "")


def _lines(where: str, text: str) -> Iterator[tuple[str, list[str]]]:
    for line in text.splitlines():
        if re.search(r"(^|[$|;] *)trainyard ", line.strip()):
            yield from ((where, words) for words in invocations(line))


def invocations(line: str) -> Iterator[list[str]]:
    """Yield the arguments of each `trainyard` in a line of shell."""
    lexer = shlex.shlex(line.strip().removeprefix("$ "), posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    simple: list[list[str]] = [[]]
    for token in lexer:
        if set(token) <= set("|;&()<>"):
            simple.append([])
        else:
            simple[-1].append(token)
    for words in simple:
        if "trainyard" in words:
            at = words.index("trainyard")
            yield [*words[at + 1 :], *(["NAME"] if words[0] == "xargs" else [])]


TYPED = sorted({(where, tuple(words)) for where, words in typed()})


@pytest.mark.parametrize(("where", "words"), TYPED, ids=[" ".join((w, *a)) for w, a in TYPED])
def test_a_command_line_is_one_that_the_command_takes(where: str, words: tuple[str, ...]) -> None:
    assert problem(list(words)) == ""


def problem(words: list[str]) -> str:
    """Return what is wrong with a command line; nothing is run."""
    name, *arguments = words or [""]
    if name not in COMMANDS:
        return "" if words and name in options(ROOT_COMMAND) else f"no command {name!r}"
    try:
        COMMANDS[name].make_context(name, arguments)
    except UsageError as exc:
        return exc.format_message()
    return ""


def options(command: Any) -> set[str]:
    """Return the options of a command."""
    found = {option for each in command.params for option in each.opts if option[0] == "-"}
    return found | {"--help", "-h"}


def test_a_line_that_cannot_work_is_noticed() -> None:
    assert len(TYPED) > 50
    assert problem(["trane"]) == "no command 'trane'"
    assert "--nothing" in problem(["run", ".", "--nothing"])
    assert "VERSION" in problem(["promote", "digits", "two", "--to", "production"])
    assert "--to" in problem(["promote", "digits", "2"])
    assert [*invocations("$ echo 1 | trainyard predict m --data @-  # x")] == [
        ["predict", "m", "--data", "@-"]
    ]


@pytest.mark.parametrize("page", PAGES)
def test_a_command_that_a_sentence_names_is_there(page: str) -> None:
    named = [shlex.split(span)[1:] for span in spans(page) if span.startswith("trainyard ")]

    assert [words for words in named if not is_known(words)] == []


def is_known(words: list[str]) -> bool:
    """Tell whether the command, if one is named, and all options are there."""
    command = COMMANDS.get(words[0])
    given = {word.partition("=")[0] for word in words if word.startswith("-")}
    if command is None:
        return words[0] in options(ROOT_COMMAND)
    return given <= options(command)


def test_the_guide_shows_every_command() -> None:
    shown = {words[0] for where, words in TYPED if where.startswith("docs/how-to/cli.md")}

    assert set(COMMANDS) <= shown


PYTHON = [block for page in PAGES for block in blocks(page) if block.language == "python"]


@pytest.mark.parametrize("block", PYTHON, ids=lambda block: block.where)
def test_a_piece_of_python_calls_what_the_package_has(block: Block) -> None:
    calls = [node for node in ast.walk(ast.parse(block.text)) if isinstance(node, ast.Call)]
    ours = [call for call in calls if _is_ours(call.func)]

    assert ours
    for call in ours:
        _check(call)


def _is_ours(called: ast.expr) -> bool:
    return isinstance(called, ast.Attribute) and isinstance(called.value, ast.Name) and (
        called.value.id in {"ty", "client"}
    )  # fmt: skip


def _check(call: ast.Call) -> None:
    assert isinstance(call.func, ast.Attribute)
    assert isinstance(call.func.value, ast.Name)
    owner = ty if call.func.value.id == "ty" else ty.Client
    function = getattr(owner, call.func.attr)
    given = [*([None] if owner is ty.Client else []), *call.args]
    named = {word.arg: word.value for word in call.keywords if word.arg}
    bound = inspect.signature(function).bind(*given, **named)
    extra = set(bound.arguments.get("options", {})) if function is ty.run else set()
    assert extra <= {each.name for each in fields(RunOptions)}
