"""What `make install` and `make quickstart` type, and where."""

import re
import shlex
import sys
from pathlib import Path
from typing import Any

import pytest
from trainyard_cluster import __main__, asking, paths, quickstart, shell, typed

MAKEFILE = (paths.REPOSITORY / "Makefile").read_text("utf-8")


@pytest.fixture
def helm(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Keep what is typed, with neither helm nor an image there."""
    words: list[str] = []
    monkeypatch.setattr(quickstart, "run", words.append)
    monkeypatch.setattr(quickstart, "inputs_of", lambda name: f"hash-of-{name}")
    monkeypatch.setattr(quickstart.tools, "helm", lambda: Path("/bin/helm"))
    return words


def test_the_chart_is_installed_so_that_images_built_anew_restart_their_pods(
    helm: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TRAINYARD_VALUES", raising=False)

    quickstart.install()

    assert len(helm) == 1
    assert "--set-string tracking.podAnnotations.image=hash-of-tracking" in helm[0]
    assert "--values" not in helm[0]


def test_values_of_ones_own_reach_the_chart(
    helm: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRAINYARD_VALUES", "/mine.yaml")

    quickstart.install()

    assert "--values /mine.yaml" in helm[0]


def test_values_are_found_from_the_caller_s_folder_and_paths_may_have_spaces(
    helm: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folder = tmp_path / "my work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setattr(paths, "REPOSITORY", folder)
    monkeypatch.setattr(quickstart.tools, "helm", lambda: folder / "helm")
    monkeypatch.setenv("TRAINYARD_VALUES", "mine.yaml")

    quickstart.install()

    words = shlex.split(helm[0])
    assert words[0] == str(folder / "helm")
    assert words[words.index("--values") + 1] == str(folder / "mine.yaml")
    assert str(folder / "charts" / "trainyard") in words


def test_the_quickstart_goes_from_the_chart_to_a_model_that_was_asked(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    done: list[str] = []
    numbers = {"digits-shallow": "digits-3", "digits-deep": "digits-4"}

    def typed(command: str, **more: Any) -> str:
        done.append(command)
        name = command.split()[3] if command.startswith("kubectl get run ") else ""
        return numbers.get(name, "")

    monkeypatch.setattr(quickstart, "run", typed)
    monkeypatch.setattr(quickstart, "install", lambda: done.append("install"))
    monkeypatch.setattr(quickstart.tools, "kubectl", lambda: Path("/bin/kubectl"))
    for name in ("reached", "predict", "counted"):
        monkeypatch.setattr(asking, name, lambda name=name: done.append(name) or 0.0)
    monkeypatch.setattr(asking, "load", lambda before: done.append("load"))

    quickstart.quickstart()

    assert done[0] == "install"
    assert done.index("trainyard promote digits 3 --to production") < done.index(
        "trainyard promote digits 4 --to production"
    )
    assert done[-4:] == ["reached", "counted", "predict", "load"]
    assert "digits version 4 is in production." in capsys.readouterr().out


def test_a_command_is_shown_with_what_it_printed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(typed, "_environment", dict)

    printed = typed.run(f"{sys.executable} -c 'print(1 + 1)'")

    assert printed == "2\n"
    assert "-c 'print(1 + 1)'\033[0m\n2\n" in capsys.readouterr().out


def test_a_command_that_ends_otherwise_than_expected_ends_the_whole(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(typed, "_environment", dict)

    with pytest.raises(shell.StepError, match=r"ended with 3, not 0: see above"):
        typed.run(f"{sys.executable} -c 'import sys; sys.exit(\"no\" and 3)'", quiet=True)


def test_make_calls_commands_that_are_there() -> None:
    called = set(re.findall(r"\$\(CLUSTER\) ([a-z]+)", MAKEFILE))
    callbacks = [command.callback for command in __main__.app.registered_commands]

    assert {"install", "quickstart"} <= called
    assert called <= {callback.__name__ for callback in callbacks if callback}


def test_examples_are_for_copying_and_know_nothing_of_how_the_cluster_is_made() -> None:
    examples = list((paths.REPOSITORY / "examples").rglob("*.py"))

    assert examples
    assert [file for file in examples if "trainyard_cluster" in file.read_text("utf-8")] == []
