import errno
import io
import secrets
import tarfile
from pathlib import Path

import pytest
from trainyard_agent import archive
from trainyard_agent.errors import SourceError


def packed(path: Path, *members: tarfile.TarInfo, **files: bytes) -> Path:
    with tarfile.open(path, "w:gz") as tar:
        for member in members:
            tar.addfile(member)
        for name, content in files.items():
            info = tarfile.TarInfo(name.replace("__", "/"))
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return path


def member(name: str, kind: bytes, target: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type = kind
    info.linkname = target
    return info


def test_files_and_folders_are_unpacked(tmp_path: Path) -> None:
    path = packed(tmp_path / "a.tar.gz", train=b"print(1)", pkg__mod=b"x = 1")

    assert archive.unpack(path, into=tmp_path / "work") == 2
    assert (tmp_path / "work/pkg/mod").read_bytes() == b"x = 1"


@pytest.mark.parametrize(
    "bad",
    [
        pytest.param(member("../out", tarfile.REGTYPE), id="a path that climbs out"),
        pytest.param(member("link", tarfile.SYMTYPE, "../../etc"), id="a link that points out"),
        pytest.param(member("link", tarfile.SYMTYPE, "/etc/passwd"), id="an absolute link"),
        pytest.param(member("hard", tarfile.LNKTYPE, "../x"), id="a hard link that points out"),
        pytest.param(member("null", tarfile.CHRTYPE), id="a device"),
        pytest.param(member("pipe", tarfile.FIFOTYPE), id="a pipe"),
    ],
)
def test_what_does_not_belong_in_a_folder_of_code_is_refused(
    tmp_path: Path, bad: tarfile.TarInfo
) -> None:
    path = packed(tmp_path / "a.tar.gz", bad)

    with pytest.raises(SourceError) as caught:
        archive.unpack(path, into=tmp_path / "work")

    assert caught.value.reason == "UnsafePath"
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("spoil", [lambda b: b"PK\x03\x04zip", lambda b: b[: len(b) // 2]])
def test_a_file_that_is_no_whole_tar_gz_is_told(tmp_path: Path, spoil) -> None:
    path = packed(tmp_path / "a.tar.gz", train=bytes(range(256)) * 400 + secrets.token_bytes(9000))
    path.write_bytes(spoil(path.read_bytes()))

    with pytest.raises(SourceError) as caught:
        archive.unpack(path, into=tmp_path / "work")

    assert caught.value.reason == "SourceFailed"


@pytest.mark.parametrize("hindrance", ["a file", "a full disk"])
def test_a_folder_that_takes_no_files_is_not_the_archives_fault(
    tmp_path: Path, hindrance: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    path = packed(tmp_path / "a.tar.gz", train=b"print(1)", train__x=b"x")
    if hindrance != "a file":
        monkeypatch.setattr(tarfile.TarFile, "extract", full)

    with pytest.raises(SourceError, match="can't be unpacked to"):
        archive.unpack(path, into=tmp_path / "work")


def test_a_hard_link_to_nothing_is_told(tmp_path: Path) -> None:
    path = packed(tmp_path / "a.tar.gz", member("hard", tarfile.LNKTYPE, "nothing"))

    with pytest.raises(SourceError, match="nothing"):
        archive.unpack(path, into=tmp_path / "work")
