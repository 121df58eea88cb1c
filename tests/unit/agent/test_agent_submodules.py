"""Submodules of a Run's repository: fetched at their commits, or told by name."""

import shutil
from pathlib import Path

import pytest
from builders.repositories import add_submodule, checkout, commit, git, repository
from trainyard_agent.errors import SourceError
from trainyard_agent.git import fetch
from trainyard_agent.git_access import environment
from trainyard_agent.submodules import resolved


@pytest.fixture
def outer(tmp_path: Path) -> Path:
    return repository(tmp_path / "outer", {"train.py": "import lib\n"})


@pytest.fixture
def inner(tmp_path: Path) -> Path:
    return repository(tmp_path / "inner", {"lib.py": "VERSION = 1\n"})


def test_a_submodule_is_there_at_the_commit_that_was_recorded(
    outer: Path, inner: Path, tmp_path: Path
) -> None:
    add_submodule(outer, inner, "libs/inner")
    commit(inner, {"lib.py": "VERSION = 2\n"})

    fetch(checkout(outer, tmp_path / "work"))

    assert (tmp_path / "work/libs/inner/lib.py").read_text() == "VERSION = 1\n"


def test_a_url_relative_to_the_repositorys_is_found(
    outer: Path, inner: Path, tmp_path: Path
) -> None:
    add_submodule(outer, inner, "lib", url="../inner")

    fetch(checkout(outer, tmp_path / "work"))

    assert (tmp_path / "work/lib/lib.py").exists()


def test_submodules_of_submodules_are_there_too(outer: Path, inner: Path, tmp_path: Path) -> None:
    deepest = repository(tmp_path / "deepest", {"deep.py": ""})
    add_submodule(inner, deepest, "deep", url="../deepest")
    add_submodule(outer, inner, "lib", url="../inner")

    fetch(checkout(outer, tmp_path / "work"))

    assert (tmp_path / "work/lib/deep/deep.py").exists()


def test_the_path_of_a_run_may_be_in_a_submodule(outer: Path, inner: Path, tmp_path: Path) -> None:
    commit(inner, {"src/a.py": ""})
    add_submodule(outer, inner, "lib")

    assert fetch(checkout(outer, tmp_path / "work", path="lib/src"))


def test_a_submodule_that_is_gone_is_told_with_its_name_and_url(
    outer: Path, inner: Path, tmp_path: Path
) -> None:
    add_submodule(outer, inner, "lib", url="../gone")
    shutil.rmtree(inner)

    with pytest.raises(SourceError) as caught:
        fetch(checkout(outer, tmp_path / "work"))

    assert caught.value.message.startswith("submodule lib: file://")
    assert "/gone is no git repository: check its url in .gitmodules" in caught.value.message


def test_a_commit_that_was_never_pushed_is_told(outer: Path, inner: Path, tmp_path: Path) -> None:
    add_submodule(outer, inner, "lib")
    commit(outer / "lib", {"lib.py": "unpushed\n"})
    unpushed = commit(outer, {})

    with pytest.raises(SourceError) as caught:
        fetch(checkout(outer, tmp_path / "work", unpushed))

    assert caught.value.message.startswith("submodule lib: revision ")
    assert caught.value.message.endswith("was it pushed?")


def test_a_repository_in_the_repository_without_a_url_is_told(
    outer: Path, inner: Path, tmp_path: Path
) -> None:
    shutil.copytree(inner, outer / "vendored")
    commit(outer, {})

    with pytest.raises(SourceError) as caught:
        fetch(checkout(outer, tmp_path / "work"))

    assert caught.value.message.startswith("submodule vendored: .gitmodules does not say its url")


def test_a_submodule_that_is_not_to_be_fetched_is_left_out(
    outer: Path, inner: Path, tmp_path: Path
) -> None:
    add_submodule(outer, inner, "lib")
    git(outer, "config", "-f", ".gitmodules", "submodule.lib.update", "none")
    commit(outer, {})

    fetch(checkout(outer, tmp_path / "work"))

    assert not list((tmp_path / "work/lib").iterdir())


@pytest.mark.parametrize("url", ["file://{}", "{}", "ext::touch {}"])
def test_no_address_reads_the_pod_or_runs_a_command(inner: Path, tmp_path: Path, url: str) -> None:
    with pytest.raises(SourceError) as caught:
        fetch(checkout(inner, tmp_path / "work", url=url.format(inner), environment={}))

    assert "not allowed" in caught.value.message


def test_a_password_in_the_url_of_a_submodule_is_not_repeated(
    outer: Path, inner: Path, tmp_path: Path
) -> None:
    add_submodule(outer, inner, "lib", url="http://me:hunter2@127.0.0.1:9/lib.git")
    both = {"GIT_ALLOW_PROTOCOL": "file:http"}

    with pytest.raises(SourceError) as caught:
        fetch(checkout(outer, tmp_path / "work", environment=both))

    assert caught.value.message.startswith("submodule lib: git could not fetch")
    assert "127.0.0.1" in caught.value.message
    assert "hunter2" not in caught.value.message


def test_credentials_go_to_the_server_of_the_run_only(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("secret")

    made = environment("https://git.example.org:8443/team/x.git", tmp_path, scratch=tmp_path)

    keys = [made[f"GIT_CONFIG_KEY_{n}"] for n in range(int(made["GIT_CONFIG_COUNT"]))]
    assert [key for key in keys if key.startswith("credential")] == [
        "credential.https://git.example.org:8443.helper"
    ]


@pytest.mark.parametrize(
    ("base", "url", "absolute"),
    [
        ("https://h/team/a.git", "../b.git", "https://h/team/b.git"),
        ("https://h/team/a.git/", "../../other/b.git", "https://h/other/b.git"),
        ("https://h/team/a.git", "./b.git", "https://h/team/a.git/b.git"),
        ("git@h:team/a.git", "../b.git", "git@h:team/b.git"),
        ("git@h:team/a.git", "../../b.git", "git@h:b.git"),
        ("ssh://git@h:22/team/a.git", "../b.git", "ssh://git@h:22/team/b.git"),
        ("https://h/team/a.git", "https://elsewhere/b.git", "https://elsewhere/b.git"),
    ],
)
def test_a_relative_url_starts_at_that_of_the_repository(
    base: str, url: str, absolute: str
) -> None:
    assert resolved(base, url) == absolute


@pytest.mark.parametrize(
    "base", ["https://h/a.git", "https://h:8443/a.git", "git@h:a.git", "ssh://git@h/a.git"]
)
def test_a_relative_url_never_leaves_its_server(base: str) -> None:
    with pytest.raises(SourceError):
        resolved(base, "../../b.git")
