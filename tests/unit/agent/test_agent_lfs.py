"""Files in Git LFS: fetched before the program starts, or told by name."""

import hashlib
import os
from pathlib import Path

import pytest
from builders.repositories import FILES_ALLOWED, add_submodule, checkout, repository
from trainyard_agent.errors import SourceError
from trainyard_agent.git import fetch

_CONTENT = "weights " * 100
# What git-lfs does of which the agent makes use, for machines that have none.
_STAND_IN = """#!/bin/sh
[ "$1 $2" = "pull origin" ] || exit 2
there=$(git config remote.origin.url | sed 's|^file://||')
for name in $(git ls-files -- ':(attr:filter=lfs)'); do
  oid=$(sed -n 's/^oid sha256://p' "$name")
  object="$there/.git/lfs/objects/$(echo "$oid" | cut -c1-2)/$(echo "$oid" | cut -c3-4)/$oid"
  if [ -f "$object" ]; then mkdir -p .git/lfs && cp "$object" "$name"; else missing=$name; fi
done
[ -z "$missing" ] || { echo "error: failed to fetch some objects" >&2; exit 2; }
"""


@pytest.fixture
def tools(tmp_path: Path) -> dict[str, str]:
    folder = tmp_path / "tools"
    folder.mkdir()
    tool = folder / "git-lfs"
    tool.write_text(_STAND_IN)
    tool.chmod(0o755)
    # A real one goes first.
    return {**FILES_ALLOWED, "PATH": f"{os.environ['PATH']}:{folder}"}


def with_large_file(folder: Path, *names: str, pushed: bool = True) -> Path:
    oid = hashlib.sha256(_CONTENT.encode()).hexdigest()
    pointer = (
        f"version https://git-lfs.github.com/spec/v1\noid sha256:{oid}\nsize {len(_CONTENT)}\n"
    )
    attributes = "*.bin filter=lfs diff=lfs merge=lfs -text\n"
    made = repository(folder, {".gitattributes": attributes, **dict.fromkeys(names, pointer)})
    if pushed:
        store = folder / ".git/lfs/objects" / oid[:2] / oid[2:4]
        store.mkdir(parents=True)
        (store / oid).write_text(_CONTENT)
    return made


def test_a_program_sees_the_content_and_no_pointer(tmp_path: Path, tools: dict[str, str]) -> None:
    there = with_large_file(tmp_path / "there", "a.bin", "data/b.bin")

    fetch(checkout(there, tmp_path / "work", environment=tools))

    assert (tmp_path / "work/a.bin").read_text() == _CONTENT
    assert (tmp_path / "work/data/b.bin").read_text() == _CONTENT


def test_content_takes_its_room_once(tmp_path: Path, tools: dict[str, str]) -> None:
    there = with_large_file(tmp_path / "there", "a.bin")

    fetch(checkout(there, tmp_path / "work", environment=tools))

    assert not (tmp_path / "work/.git/lfs").exists()


def test_a_submodules_content_is_there_too(tmp_path: Path, tools: dict[str, str]) -> None:
    inner = with_large_file(tmp_path / "inner", "a.bin")
    outer = repository(tmp_path / "outer", {"train.py": ""})
    add_submodule(outer, inner, "lib")

    fetch(checkout(outer, tmp_path / "work", environment=tools))

    assert (tmp_path / "work/lib/a.bin").read_text() == _CONTENT


def test_content_that_was_never_pushed_is_told_by_name(
    tmp_path: Path, tools: dict[str, str]
) -> None:
    there = with_large_file(tmp_path / "there", "a.bin", "b.bin", pushed=False)

    with pytest.raises(SourceError) as caught:
        fetch(checkout(there, tmp_path / "work", environment=tools))

    assert caught.value.message.startswith("2 files are kept in Git LFS of file://")
    assert "(first: a.bin), which did not give the content (" in caught.value.message


def test_without_git_lfs_its_files_are_told_by_name(tmp_path: Path) -> None:
    there = with_large_file(tmp_path / "there", "a.bin")
    (tmp_path / "nothing").mkdir()
    without = {**FILES_ALLOWED, "PATH": str(tmp_path / "nothing")}

    with pytest.raises(SourceError) as caught:
        fetch(checkout(there, tmp_path / "work", environment=without))

    assert caught.value.message.startswith("1 file is kept in Git LFS of file://")
    assert "there is no git-lfs in the agent's image" in caught.value.message


def test_a_file_that_only_its_attributes_call_large_is_taken_as_it_is(tmp_path: Path) -> None:
    there = repository(
        tmp_path / "there", {".gitattributes": "*.bin filter=lfs\n", "a.bin": "small"}
    )

    fetch(checkout(there, tmp_path / "work"))

    assert (tmp_path / "work/a.bin").read_text() == "small"


def breaking_off(tmp_path: Path, *, more: str) -> str:
    """Make git-lfs break off seven times, and do its work at the eighth."""
    tool = tmp_path / "tools" / "git-lfs"
    tool.rename(f"{tool}-whole")
    tool.write_text(
        f"""#!/bin/sh
mkdir -p .git/lfs
echo >> {tmp_path}/tries
[ $(wc -l < {tmp_path}/tries) -lt 8 ] || exec {tool}-whole "$@"
{more}
echo "read tcp: i/o timeout" >&2
exit 2
"""
    )
    tool.chmod(0o755)
    return f"{tool.parent}:{os.environ['PATH']}"


def test_a_server_that_breaks_off_is_asked_again_as_long_as_more_comes_each_time(
    tmp_path: Path, tools: dict[str, str]
) -> None:
    there = with_large_file(tmp_path / "there", "a.bin")
    path = breaking_off(tmp_path, more="seq 100 >> .git/lfs/part")

    fetch(checkout(there, tmp_path / "work", environment={**tools, "PATH": path}))

    assert (tmp_path / "work/a.bin").read_text() == _CONTENT


def test_a_server_of_which_nothing_comes_is_given_up_for_now(
    tmp_path: Path, tools: dict[str, str]
) -> None:
    there = with_large_file(tmp_path / "there", "a.bin")
    path = breaking_off(tmp_path, more="true")

    with pytest.raises(SourceError, match="i/o timeout") as caught:
        fetch(checkout(there, tmp_path / "work", environment={**tools, "PATH": path}))

    assert caught.value.reason == "SourceUnavailable"
    assert len((tmp_path / "tries").read_text()) == 4
