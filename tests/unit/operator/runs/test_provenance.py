"""What MLflow is told of where a Run came from."""

from typing import Any

import pytest
from builders import given
from trainyard_operator.runs.provenance import tags
from trainyard_operator.runs.recording import record_run

COMMIT = "0123456789abcdef0123456789abcdef01234567"
REPOSITORY = "https://git.example/team/code.git"


def git(**fields: Any) -> dict[str, Any]:
    return {"git": {"url": REPOSITORY, "revision": "main", **fields}}


@pytest.mark.parametrize(
    ("spec", "name", "kind"),
    [
        pytest.param({"source": git()}, REPOSITORY, "PROJECT", id="a repository"),
        pytest.param(
            {"source": git(path="train")}, f"{REPOSITORY}#train", "PROJECT", id="a folder of one"
        ),
        pytest.param(
            {
                "source": {"archive": {"digest": given.DIGEST}},
                "command": ["python", "-u", "fit.py", "--fast"],
            },
            "fit.py",
            "JOB",
            id="an uploaded folder by its script",
        ),
        pytest.param(
            {"source": None, "runtime": None, "image": "example/train:1", "command": ["/bin/fit"]},
            "example/train:1",
            "JOB",
            id="an image",
        ),
        pytest.param(
            {"source": {"configMap": {"name": "code"}}, "command": ["python", "-m", "fit"]},
            "python -m fit",
            "JOB",
            id="a command without a script",
        ),
    ],
)
def test_the_source_has_a_name(spec: dict[str, Any], name: str, kind: str) -> None:
    told = tags(given.run(**spec))

    assert (told["mlflow.source.name"], told["mlflow.source.type"]) == (name, kind)


@pytest.mark.parametrize(
    ("revision", "tag"),
    [(COMMIT, "mlflow.source.git.commit"), ("main", "mlflow.source.git.branch")],
)
def test_a_revision_is_a_commit_or_a_branch(revision: str, tag: str) -> None:
    told = tags(given.run(source=git(revision=revision)))
    named = {key for key in told if key.startswith("mlflow.source.git.")}

    assert told[tag] == revision
    assert named == {tag, "mlflow.source.git.repoURL"}


def test_the_note_leads_back_to_the_run() -> None:
    told = record_run(given.run("deep")).tags

    assert "trainyard describe run deep -n team" in told["mlflow.note.content"]
    assert (told["trainyard.run"], told["trainyard.namespace"]) == ("deep", "team")


def test_the_maker_is_whom_the_run_names_or_nobody() -> None:
    named = given.run(metadata={"annotations": {"trainyard.dev/created-by": "ada@example.com"}})

    assert tags(named)["mlflow.user"] == "ada@example.com"
    assert "mlflow.user" not in tags(given.run())
