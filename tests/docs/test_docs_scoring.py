"""docs/reference/scoring.md says what both servers answer: it is asked of both, line by line.

Of MLflow's it is the one installed; a line may say from which release on it answers otherwise.
"""

import asyncio
import json
import re
from collections.abc import Callable
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
import mlflow.pyfunc
import numpy as np
import pytest
from builders.serving import routes
from mlflow.exceptions import MlflowException
from mlflow.models import ModelSignature
from mlflow.pyfunc.scoring_server import init
from mlflow.types import ColSpec, ParamSchema, ParamSpec, Schema, TensorSpec
from pages import PAGES, ROOT, rows, sections
from scipy.sparse import csr_matrix
from trainyard_serving import runtimes
from trainyard_serving.web.answers import Request

pytestmark = [pytest.mark.filterwarnings("ignore")]  # MLflow's hints about models without types

PAGE = "docs/reference/scoring.md"
SECTIONS = sections(PAGE)
JSON = "application/json"
TESTS = ROOT / "tests/unit/serving"
RELEASE = tuple(int(part) for part in mlflow.__version__.split(".")[:2])
FROM = re.compile(r"`?; from (\d+)\.(\d+) `?")
Answer = tuple[int, str]
"""A status, and the body as it came."""


class Shown(mlflow.pyfunc.PythonModel):
    """Answers with the first value that it was called with, and its type."""

    def predict(self, context, model_input, params=None):
        if params:
            return [repr(params["p"])]
        if isinstance(model_input, np.ndarray):
            return [f"{model_input.dtype} {model_input.flat[0]}"]
        if "a" not in model_input:
            return ["no column"]
        column = model_input["a"]
        return [f"{column.dtype} {next(iter(column.tolist()), '')}"]


class Gives(mlflow.pyfunc.PythonModel):
    """Answers with what a line of the page says in Python."""

    def __init__(self, said: str) -> None:
        self.said = said

    def predict(self, context, model_input, params=None):
        return eval(self.said, {"np": np, "csr_matrix": csr_matrix, "broken": broken})


def broken(why: str) -> None:
    raise MlflowException(why)


class Pair:
    """A model behind our server and behind MLflow's."""

    def __init__(self, model: Any, signature: ModelSignature) -> None:
        with TemporaryDirectory() as kept:
            folder = Path(kept) / "model"
            mlflow.pyfunc.save_model(
                str(folder), python_model=model, signature=signature, pip_requirements=["mlflow"]
            )
            self._model, self._signature, _ = runtimes.load(folder)
            theirs = init(mlflow.pyfunc.load_model(str(folder)))
        self._app = httpx.ASGITransport(theirs, raise_app_exceptions=False)

    def asked(self, body: bytes, media: str = JSON) -> tuple[Answer, Answer]:
        """Return our answer and theirs."""
        return asyncio.run(self._ours(body, media)), asyncio.run(self._theirs(body, media))

    async def _theirs(self, body: bytes, media: str) -> Answer:
        told = {"content-type": media} if media else {}
        async with httpx.AsyncClient(transport=self._app, base_url="http://theirs") as client:
            reply = await client.post("/invocations", content=body, headers=told)
        return reply.status_code, reply.text

    async def _ours(self, body: bytes, media: str) -> Answer:
        table, _, _ = routes(self._signature, self._model)
        answered = asyncio.get_running_loop().create_future()
        headers = {b"content-type": media.encode()} if media else {}
        table.route(Request("POST", "/invocations", headers, body), answered.set_result)
        answer = await asyncio.wait_for(answered, 30)
        return answer.status, answer.body.decode()


@pytest.fixture(autouse=True)
def _as_a_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("_MLFLOW_IS_IN_SERVING_ENVIRONMENT", "true")  # the app sets it for good


@cache
def made(signature: str) -> Pair:
    return Pair(Shown(), ModelSignature.from_dict(json.loads(signature)))


def shown(*specs: ColSpec | TensorSpec, param: str = "") -> Pair:
    params = ParamSchema([ParamSpec("p", param, 1)]) if param else None
    signature = ModelSignature(inputs=Schema(list(specs)), params=params)
    return made(json.dumps(signature.to_dict()))


def column(kind: str) -> Pair:
    return shown(ColSpec(kind.rstrip("?"), "a", required=not kind.endswith("?")))


def records(kind: str, value: str) -> tuple[Answer, Answer]:
    row = "{}" if value == "left out" else f'{{"a": {value}}}'
    return column(kind).asked(f'{{"dataframe_records": [{row}]}}'.encode())


def arrays(kind: str, value: str) -> tuple[Answer, Answer]:
    return column(kind).asked(f'{{"inputs": {{"a": [{value}]}}}}'.encode())


def request(body: str, media: str) -> tuple[Answer, Answer]:
    pair = shown(ColSpec("double", "a"), ColSpec("long", "b"))
    return pair.asked(body.replace(r"\n", "\n").encode(), "" if media == "none" else media)


def tensor(kind: str, value: str) -> tuple[Answer, Answer]:
    return shown(TensorSpec(np.dtype(kind), (-1, 2))).asked(f'{{"inputs": {value}}}'.encode())


def parameter(kind: str, value: str) -> tuple[Answer, Answer]:
    body = f'{{"inputs": {{"a": [1]}}, "params": {{"p": {value}}}}}'
    return shown(ColSpec("double", "a"), param=kind).asked(body.encode())


def given(said: str) -> tuple[Answer, Answer]:
    pair = Pair(Gives(said), ModelSignature(inputs=Schema([ColSpec("double", "a")])))
    return pair.asked(b'{"inputs": {"a": [1]}}')


ASKED: dict[str, Callable[..., tuple[Answer, Answer]]] = {
    "Values of a column": records,
    "Values in inputs": arrays,
    "Requests": request,
    "Tensors": tensor,
    "Parameters": parameter,
    "Answers": given,
}
LINES = [
    pytest.param(section, [cell.strip("`") for cell in row], id=" ".join((section, *row[:-2])))
    for section in ASKED
    for row in rows(SECTIONS[section])
]


def is_said(cell: str, answer: Answer) -> bool:
    """Tell whether a cell says what was answered: a status, the predictions, or the only one."""
    status, body = answer
    if re.match(r"\d{3}\b", cell):
        return status == int(cell[:3])
    predictions = json.loads(body)["predictions"]
    return predictions == [cell] or json.dumps(predictions) == cell


def of_release(cell: str, release: tuple[int, ...]) -> str:
    """Give what a cell says of a release of MLflow's: its last word that begins by then."""
    first, *later = FROM.split(cell)
    begun = [
        said
        for major, minor, said in zip(later[::3], later[1::3], later[2::3], strict=True)
        if (int(major), int(minor)) <= release
    ]
    return [first, *begun][-1]


@pytest.mark.parametrize(
    ("release", "said"), [((3, 17), "a 1"), ((3, 18), "b 2"), ((3, 19), "b 2"), ((4, 0), "c")]
)
def test_a_line_says_from_which_release_on_mlflow_answers_otherwise(
    release: tuple[int, int], said: str
) -> None:
    assert of_release("a 1`; from 3.18 `b 2`; from 4.0 `c", release) == said
    assert of_release("400", release) == "400"


@pytest.mark.parametrize(("section", "cells"), LINES)
def test_both_servers_answer_what_the_page_says(section: str, cells: list[str]) -> None:
    *sent, here, there = cells
    ours, theirs = ASKED[section](*sent)

    assert is_said(here, ours), ours
    assert is_said(of_release(there, RELEASE), theirs), f"MLflow {mlflow.__version__}: {theirs}"


@pytest.mark.parametrize("kind", ["array", "object"])
def test_values_of_columns_that_hold_others_are_told_by_the_model(kind: str) -> None:
    examples = {"array": [1.5], "object": {"k": 1.5}}
    signature = mlflow.models.infer_signature([{"a": examples[kind]}])
    ours, theirs = Pair(Shown(), signature).asked(b'{"dataframe_records": [{"a": 1}]}')

    assert (ours[0], theirs[0]) == (422, 400)


@pytest.mark.parametrize(("text", "ours"), [("NA", "str NA"), ("null", "str null")])
def test_words_of_a_file_are_texts(text: str, ours: str) -> None:
    pair = shown(ColSpec("string", "a"), ColSpec("long", "b"))
    here, there = pair.asked(f"a,b\n{text},1".encode(), "text/csv")

    assert is_said(ours, here)
    assert is_said("object nan", there)


@pytest.mark.parametrize(
    "spec", [ColSpec("datetime", "a"), TensorSpec(np.dtype("float32"), (-1, 1))]
)
def test_files_with_times_and_of_tensors_are_read(spec: ColSpec | TensorSpec) -> None:
    value = "2020-01-01" if isinstance(spec, ColSpec) else "1.5"
    ours, theirs = shown(spec).asked(f"a\n{value}\n".encode(), "text/csv")

    assert (ours[0], theirs[0]) == (200, 400)


def test_what_else_is_said_names_a_test_that_there_is() -> None:
    named = re.findall(r"<!-- (\S+)::(\w+) -->", PAGES[PAGE])
    lines = [line for line in SECTIONS["Otherwise"].splitlines() if line.startswith("- ")]

    assert len(named) == len(lines) - 1  # the first is held by a test above
    for file, test in named:
        assert f"def {test}(" in (TESTS / file).read_text("utf-8"), test
