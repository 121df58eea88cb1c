"""Whether a serving runtime can load a version, told before any pod is started.

Pure: flavors and pinned requirements against the packages that an administrator declares for
the runtime. It installs nothing and never imports a model.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from trainyard_api.conditions import ServableReason
from trainyard_api.flavors import GENERIC

FLAVORS = ("sklearn", GENERIC)

# Pickles of these are promised to load within a minor release only.
_MINOR_MATTERS = frozenset({"scikit-learn", "xgboost", "lightgbm", "skops", "onnx"})
# MLflow lists what happened to be imported where the model was logged; these never predict.
_NEVER_NEEDED = frozenset(
    {"coverage", "debugpy", "ipykernel", "ipython", "jupyterlab", "mypy", "notebook", "pip"}
    | {"pytest", "rich", "ruff", "setuptools", "wheel"}
)
# The server brings what these do, under another name.
_SAME = {"mlflow": "mlflow-skinny", "mlflow-skinny": "mlflow"}
_REQUIREMENT = re.compile(
    r"^\s*([A-Za-z0-9][A-Za-z0-9._-]*)\s*(?:\[[^\]]*\])?\s*(==|~=|>=|<=|<|>|!=)?\s*([0-9][^,;\s]*)?"
)


@dataclass(frozen=True, slots=True)
class Verdict:
    """The Servable condition: status True, False or Unknown, with the fix in the message."""

    status: Literal["True", "False", "Unknown"]
    reason: str
    message: str


def judge(
    flavors: Mapping[str, str],
    requirements: Sequence[str],
    *,
    runtime: str,
    packages: Mapping[str, str],
) -> Verdict:
    """Judge whether the runtime can serve a model of these flavors and requirements.

    Args:
        flavors: Each with the release of its library; python_function has Python's.
        packages: Those of the runtime; `python` among them is its Python.
    """
    if not set(flavors) & set(FLAVORS):
        return Verdict(
            "False",
            ServableReason.UNKNOWN_FLAVOR,
            f"the model has the flavors {', '.join(sorted(flavors)) or 'none'}, runtime"
            f" {runtime} serves {' and '.join(FLAVORS)}: log the model with one of them",
        )
    if not packages:
        return Verdict(
            "Unknown",
            ServableReason.PACKAGES_UNKNOWN,
            f"runtime {runtime} does not say which packages it has: an administrator can"
            f" list them under runtimes.{runtime}.packages",
        )
    verdict = _judge_packages(requirements, runtime=runtime, packages=packages)
    return (
        verdict if verdict.status == "False" else _judge_python(flavors, verdict, runtime, packages)
    )


def _judge_python(
    flavors: Mapping[str, str], verdict: Verdict, runtime: str, packages: Mapping[str, str]
) -> Verdict:
    pin, have = flavors.get(GENERIC, ""), packages.get("python", "")
    if not pin or not have or _release(pin)[:2] == _release(have)[:2]:
        return verdict
    told = f"the model was logged with Python {pin}, runtime {runtime} has {have}"
    fix = f"train it with Python {have}, as a Run with runtime {runtime} does"
    if set(flavors) & set(FLAVORS) == {GENERIC}:
        # It was pickled together with its code, whose form changes with every minor release.
        return Verdict(
            "False",
            ServableReason.VERSION_MISMATCH,
            f"{told}: {fix}, or name a runtime with that Python",
        )
    why = "whether it loads is not known, and a function of yours in it would not"
    return Verdict("Unknown", ServableReason.VERSION_MISMATCH, f"{told}: {why}; {fix}")


def _judge_packages(
    requirements: Sequence[str], *, runtime: str, packages: Mapping[str, str]
) -> Verdict:
    installed = {_canonical(name): version for name, version in packages.items()}
    missing: list[str] = []
    mismatched: list[tuple[str, str, str]] = []
    for line in requirements:
        name, operator, pin = parse_requirement(line)
        if not name or name in _NEVER_NEEDED:
            continue
        have = installed.get(name, installed.get(_SAME.get(name, ""), ""))
        if not have:
            missing.append(line.strip())
        elif operator == "==" and not _agree(name, pin, have):
            mismatched.append((name, pin, have))
    if mismatched:
        return _mismatch(mismatched, runtime=runtime)
    if missing:
        return Verdict(
            "False",
            ServableReason.MISSING_PACKAGE,
            f"runtime {runtime} lacks {', '.join(missing)}: use a runtime whose image has"
            f" {'it' if len(missing) == 1 else 'them'} (spec.runtime), or log the model with"
            " pip_requirements that it needs to predict only",
        )
    return Verdict(
        "True", ServableReason.COMPATIBLE, f"Runtime {runtime} has what the model was logged with"
    )


def _mismatch(mismatched: Sequence[tuple[str, str, str]], *, runtime: str) -> Verdict:
    told = ", ".join(f"{name} {pin} (runtime has {have})" for name, pin, have in mismatched)
    pins = " ".join(f"{name}=={have}" for name, _, have in mismatched)
    return Verdict(
        "False",
        ServableReason.VERSION_MISMATCH,
        f"the model was logged with {told}: train it with {pins} (a Run with runtime"
        f" {runtime} has them), or name a runtime with these releases in spec.runtime",
    )


def parse_requirement(line: str) -> tuple[str, str, str]:
    """Split one line of requirements.txt into name, operator and version, each maybe empty."""
    text = line.split("#", 1)[0].strip()
    if not text or text.startswith("-"):
        return "", "", ""
    match = _REQUIREMENT.match(text)
    if not match:
        return "", "", ""
    name, operator, version = match.groups()
    return _canonical(name), operator or "", version or ""


def _canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _agree(name: str, pin: str, have: str) -> bool:
    digits = 2 if name in _MINOR_MATTERS else 1
    return _release(pin)[:digits] == _release(have)[:digits]


def _release(version: str) -> tuple[int, ...]:
    numbers = re.match(r"\d+(?:\.\d+)*", version)
    parts = tuple(int(n) for n in numbers.group().split(".")) if numbers else ()
    return (*parts, 0, 0)
