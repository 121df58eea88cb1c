"""`run --local`: the program really runs, here and without any cluster."""

import sys
from pathlib import Path

import pytest
from trainyard.errors import InvalidInput
from trainyard.local import execute, prepare
from trainyard.program import command_for, distributions, modules_needed

SCRIPT = """
import os, pathlib, sys
pathlib.Path("seen").write_text("\\n".join([*sys.argv[1:], os.environ["MLFLOW_TRACKING_URI"],
    os.environ["TRAINYARD_PARAM_MAX_DEPTH"], os.environ.get("MLFLOW_EXPERIMENT_NAME", "")]))
sys.exit(3)
"""


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_NAME", "KUBECONFIG", "VIRTUAL_ENV"):
        monkeypatch.delenv(name, raising=False)


def test_the_program_runs_in_place_with_parameters_and_a_local_store(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(SCRIPT)
    run = prepare(tmp_path, ["python", "train.py"], {"max_depth": 12}, experiment="digits")
    code = execute(run)
    store = f"sqlite:///{(tmp_path.resolve() / 'mlflow.db').as_posix()}"

    assert code == 3
    assert (tmp_path / "seen").read_text().split("\n") == ["--max_depth=12", store, "12", "digits"]


def test_a_tracking_server_of_the_users_own_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://mine:5000")

    assert prepare(tmp_path, ["python", "-V"], {}).tracking_uri == "http://mine:5000"


def test_modules_that_are_missing_come_with_the_pip_install(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text("import no_such_module_here\n")

    with pytest.raises(InvalidInput, match="no_such_module_here") as error:
        prepare(tmp_path, ["python", "train.py"], {})
    assert "-m pip install no_such_module_here" in error.value.fix


def test_a_program_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="no-such-program"):
        prepare(tmp_path, ["no-such-program"], {})


def test_another_program_than_python_is_found(tmp_path: Path) -> None:
    assert prepare(tmp_path, [sys.executable, "x"], {}).command == [sys.executable, "x"]


def test_only_what_a_script_cannot_do_without_is_needed(tmp_path: Path) -> None:
    (tmp_path / "beside.py").write_text("")
    script = tmp_path / "train.py"
    script.write_text(
        "import os, beside\nimport sklearn.svm\nfrom mlflow import x\nfrom . import y\n"
        "try:\n    import torch\nexcept ImportError:\n    pass\n"
        "def f():\n    import jax\n"
    )

    assert distributions(modules_needed(script)) == ["mlflow", "scikit-learn"]


def test_a_script_with_a_mistake_is_left_to_python(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text("import (")

    assert modules_needed(tmp_path / "train.py") == []


@pytest.mark.parametrize(
    ("files", "given", "command"),
    [
        pytest.param(["train.py", "main.py"], [], ["python", "train.py"], id="train.py first"),
        pytest.param(["main.py"], [], ["python", "main.py"], id="then main.py"),
        pytest.param([], ["sh", "x.sh"], ["sh", "x.sh"], id="what was given"),
    ],
)
def test_the_command(
    tmp_path: Path, files: list[str], given: list[str], command: list[str]
) -> None:
    for name in files:
        (tmp_path / name).write_text("")

    assert command_for(tmp_path, given) == command


def test_a_folder_without_a_usual_script_lists_what_it_has(tmp_path: Path) -> None:
    folder = tmp_path / "my job"
    folder.mkdir()
    (folder / "fit.py").write_text("")

    with pytest.raises(InvalidInput, match=r"it holds fit\.py") as error:
        command_for(folder, [])
    assert error.value.fix.endswith(f"trainyard run … '{folder}' -- python fit.py")
