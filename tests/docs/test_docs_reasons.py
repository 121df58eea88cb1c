"""A reason is written by the operator, listed by the API and explained in the docs, or none is."""

import ast
import re
from collections.abc import Iterable, Iterator
from enum import StrEnum

import pytest
from pages import ROOT, rows, sections, words
from trainyard_api import conditions
from trainyard_api.conditions import (
    ConditionType,
    MoveReason,
    RefusalReason,
    ServableReason,
    TroubleReason,
)
from trainyard_api.deployment import DeploymentPhase
from trainyard_api.model_version import ModelVersionPhase
from trainyard_api.reference import REASONS
from trainyard_api.run import RunPhase
from trainyard_operator.engine import objects

OPERATOR = ROOT / "operator/src/trainyard_operator"
SECTIONS = sections("docs/how-to/troubleshooting.md")
ENUMS = {name: each for name, each in vars(conditions).items() if name.endswith("Reason")}
LISTED = {str(reason) for enum in ENUMS.values() for reason in enum}

WORD = re.compile(r"(?=\w{4})[A-Z]+[a-z]+([A-Z]+[a-z]*)*")
# Calls that look something up, make something else than a condition, or raise for the process.
NO_REASON = {"Event", "LeaseLost", "Ref", "find", "frozenset", "is_true", "owner_of"} | {
    *("owner_reference", "path_of", "startswith")
}
# The plans' own objects under a name that may be another's: f"{kind}NameTaken".
MADE_ONCE = ("Deployment", "Job", "PodDisruptionBudget", "Secret", "Service")
KUBERNETES = {"Background", "DeleteOptions", "IfNotPresent", "PersistentVolumeClaim"} | {
    *("PodScheduled", "ServiceAccount", "True", "False", "Unknown")
}
KINDS = {kind for _, kind in objects.PLURALS}
PHASES = {str(phase) for enum in (DeploymentPhase, ModelVersionPhase, RunPhase) for phase in enum}
OTHERS = KUBERNETES | KINDS | PHASES | {str(each) for each in ConditionType}


class Values(ast.NodeVisitor):
    """Collects the words of a module that are handed on: not those compared with or looked up."""

    def __init__(self) -> None:
        self.words: set[str] = set()

    def visit_Compare(self, node: ast.Compare) -> None:
        """Skip what is compared."""

    visit_Set = visit_Compare  # type: ignore[assignment]  # noqa: N815  # a set is for looking up

    def visit_Subscript(self, node: ast.Subscript) -> None:
        self.visit(node.value)

    def visit_Dict(self, node: ast.Dict) -> None:
        for value in node.values:
            self.visit(value)

    def visit_Call(self, node: ast.Call) -> None:
        called = node.func.attr if isinstance(node.func, ast.Attribute) else ""
        called = called or getattr(node.func, "id", "")
        if called not in NO_REASON:
            self.visit(node.func)
            for value in [*node.args[called == "get" :], *node.keywords]:
                self.visit(value)

    def visit_arg(self, node: ast.arg) -> None:
        """Skip an annotation."""

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        if node.value:
            self.visit(node.value)

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        for part in (node.args, *node.body):
            self.visit(part)

    visit_AsyncFunctionDef = visit_FunctionDef  # noqa: N815  # ast's name for it

    def visit_Assign(self, node: ast.Assign) -> None:
        if getattr(node.targets[0], "id", "") != "__all__":
            self.visit(node.value)

    def visit_JoinedStr(self, node: ast.JoinedStr) -> None:
        last = node.values[-1]
        if isinstance(last, ast.Constant) and last.value == "NameTaken":
            self.words |= {f"{kind}NameTaken" for kind in MADE_ONCE}

    def visit_Attribute(self, node: ast.Attribute) -> None:
        enum = ENUMS.get(getattr(node.value, "id", ""))
        if enum:
            self.words.add(enum[node.attr].value)
        self.visit(node.value)

    def visit_Constant(self, node: ast.Constant) -> None:
        if isinstance(node.value, str) and WORD.fullmatch(node.value):
            self.words.add(node.value)


def words_in(source: str) -> set[str]:
    values = Values()
    values.visit(ast.parse(source))
    return values.words


def written() -> set[str]:
    """Return every word that the operator can hand on, the reasons among them."""
    files = [each for each in OPERATOR.rglob("*.py") if each.parent.name != "logs"]
    # objects.py spells the kinds, recorder.py the fields of Events, the others those of children.
    no_conditions = {
        "names",
        "objects",
        "recorder",
        "children",
        "job",
        "pod",
        "tokens",
        "security",
    } | {*("source", "scheduling", "trimming")}
    texts = [file.read_text("utf-8") for file in files if file.stem not in no_conditions]
    return set().union(*map(words_in, texts))


def test_the_operator_writes_no_reason_that_the_api_does_not_list() -> None:
    assert written() - LISTED - OTHERS == set()


def test_the_api_lists_no_reason_that_the_operator_does_not_write() -> None:
    assert LISTED - written() == set()


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ('Waiting("BrandNew", "x")', {"BrandNew"}),
        ('_WHY = {"Evicted": ("BrandNew", "x")}', {"BrandNew"}),
        ('return told.get("Reason") or "BrandNew"', {"BrandNew"}),
        ('def f(x: "Logs"):\n  if x == "Old" or x in {"Older"}:\n    return a["Oldest"]', set()),
        ("yield ModelReason.VERSION_DELETING", {"VersionDeleting"}),
        ('NameTaken(f"{ref.kind}NameTaken", "x")', {f"{kind}NameTaken" for kind in MADE_ONCE}),
    ],
)
def test_a_word_that_is_handed_on_is_found(source: str, found: set[str]) -> None:
    assert words_in(source) == found


def own(kind: str) -> Iterator[str]:
    """Yield the reasons that are a kind's own; a Deployment's Servable is that of its version."""
    elsewhere = [TroubleReason, *([ServableReason] if kind == "Deployment" else [])]
    more: list[Iterable[StrEnum]] = [RefusalReason, MoveReason] if kind == "Model" else []
    groups = [*(group for _, reasons in REASONS[kind] for group in reasons), *more]
    for group in groups:
        yield from map(str, () if group in elsewhere else group)


def explained(title: str) -> set[str]:
    """Return the reasons in the tables below every heading that begins with a title."""
    texts = [text for heading, text in SECTIONS.items() if heading.partition(":")[0] == title]
    return {word for text in texts for row in rows(text) for word in words(row[0])}


@pytest.mark.parametrize("kind", REASONS)
def test_every_reason_of_a_kind_is_explained_and_no_other(kind: str) -> None:
    assert explained(kind) == set(own(kind))


def test_what_can_happen_to_any_kind_is_explained() -> None:
    assert explained("Anywhere") == set(map(str, TroubleReason))
