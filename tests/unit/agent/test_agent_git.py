import socket
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from builders import threaded
from builders.repositories import checkout, git
from trainyard_agent.errors import SourceError
from trainyard_agent.git import Checkout, fetch


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "repository"
    (folder / "src").mkdir(parents=True)
    git(folder, "init", "--quiet", "--initial-branch=main")
    (folder / "src" / "train.py").write_text("print(1)\n")
    git(folder, "add", "-A")
    git(folder, "commit", "--quiet", "-m", "First")
    git(folder, "tag", "v1")
    (folder / "src" / "train.py").write_text("print(2)\n")
    git(folder, "commit", "--quiet", "-am", "Second")
    return folder


@pytest.mark.parametrize(
    ("revision", "content"),
    [
        pytest.param("main", "print(2)\n", id="a branch"),
        pytest.param("v1", "print(1)\n", id="a tag"),
        pytest.param("refs/heads/main", "print(2)\n", id="a full reference"),
    ],
)
def test_a_name_is_checked_out_and_its_commit_reported(
    repository: Path, tmp_path: Path, revision: str, content: str
) -> None:
    commit = fetch(checkout(repository, tmp_path / "work", revision))

    assert (tmp_path / "work/src/train.py").read_text() == content
    assert commit == git(repository, "rev-parse", f"{revision}^{{commit}}")


@pytest.mark.parametrize("length", [40, 8])
def test_a_commit_is_found_whole_or_abbreviated(
    repository: Path, tmp_path: Path, length: int
) -> None:
    wanted = git(repository, "rev-parse", "v1^{commit}")

    assert fetch(checkout(repository, tmp_path / "work", wanted[:length])) == wanted


def test_a_revision_that_is_not_there_is_told_with_those_that_are(
    repository: Path, tmp_path: Path
) -> None:
    with pytest.raises(SourceError) as caught:
        fetch(checkout(repository, tmp_path / "work", "nowhere"))

    assert caught.value.reason == "RevisionNotFound"
    assert "main, v1" in caught.value.message


def test_a_page_that_answers_in_place_of_a_repository_is_asked_about(tmp_path: Path) -> None:
    class LogIn(BaseHTTPRequestHandler):
        def log_message(self, *given: object) -> None:
            """Say nothing: a test's output is no access log."""

        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"<html>Who are you?</html>")

    server = ThreadingHTTPServer(("127.0.0.1", 0), LogIn)
    url = f"http://127.0.0.1:{server.server_port}/code"

    with threaded.running(server), pytest.raises(SourceError, match="not a page to log in at"):
        fetch(checkout(tmp_path, tmp_path / "work", url=url, environment={}))


@pytest.mark.parametrize("what", ["main^{tree}", "main:src/train.py"])
def test_an_object_that_is_no_commit_is_told(repository: Path, tmp_path: Path, what: str) -> None:
    with pytest.raises(SourceError, match="is no commit") as caught:
        fetch(checkout(repository, tmp_path / "work", git(repository, "rev-parse", what)))

    assert caught.value.reason == "RevisionNotFound"


def test_a_path_that_is_not_there_is_told_with_those_that_are(
    repository: Path, tmp_path: Path
) -> None:
    with pytest.raises(SourceError) as caught:
        fetch(checkout(repository, tmp_path / "work", path="code"))

    assert caught.value.reason == "PathNotFound"
    assert "src" in caught.value.message


@pytest.mark.parametrize("path", ["src", "./src/", ".", "./"])
def test_a_path_that_is_there_is_fine(repository: Path, tmp_path: Path, path: str) -> None:
    assert fetch(checkout(repository, tmp_path / "work", path=path))


def test_a_path_that_leaves_the_repository_is_refused(repository: Path, tmp_path: Path) -> None:
    with pytest.raises(SourceError) as caught:
        fetch(checkout(repository, tmp_path / "work", path="../.."))

    assert caught.value.reason == "UnsafePath"


def test_a_repository_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(SourceError) as caught:
        fetch(checkout(tmp_path / "nothing", tmp_path / "work"))

    assert "spec.source.git.url" in caught.value.message


@pytest.mark.parametrize(
    ("url", "revision"), [("--upload-pack=touch x", "main"), ("https://x", "--exec=x"), ("", "")]
)
def test_a_value_that_git_would_take_for_an_option_is_refused(
    tmp_path: Path, url: str, revision: str
) -> None:
    with pytest.raises(SourceError) as caught:
        fetch(Checkout(url=url, revision=revision, into=tmp_path / "work"))

    assert caught.value.reason == "InvalidSpec"


def test_a_server_that_refuses_connections_is_tried_again_and_then_told(tmp_path: Path) -> None:
    pauses: list[float] = []

    with pytest.raises(SourceError) as caught:
        fetch(
            Checkout(
                url="http://127.0.0.1:9/x.git",
                revision="main",
                into=tmp_path / "work",
                say=lambda line: None,
                sleep=pauses.append,
            )
        )

    assert len(pauses) >= 3
    assert "127.0.0.1" in caught.value.message
    assert caught.value.reason == "SourceUnavailable"


def test_a_server_that_takes_the_call_and_says_nothing_is_given_up(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"git://127.0.0.1:{silent.getsockname()[1]}/code"
        checkout = Checkout(url, "main", tmp_path / "work", silence=0.5)

        with pytest.raises(
            SourceError, match=r"git fetch printed and wrote nothing for 0\.5 s"
        ) as e:
            fetch(checkout)

    assert e.value.reason == "SourceUnavailable"


def test_a_password_written_into_the_url_is_not_repeated(tmp_path: Path) -> None:
    with pytest.raises(SourceError) as caught:
        fetch(
            Checkout(
                url="http://me:hunter2@127.0.0.1:9/x.git",
                revision="main",
                into=tmp_path / "work",
                say=lambda line: None,
                sleep=lambda seconds: None,
            )
        )

    assert "hunter2" not in caught.value.message


def test_a_secret_with_no_usable_key_is_told(repository: Path, tmp_path: Path) -> None:
    credentials = tmp_path / "credentials"
    credentials.mkdir()

    with pytest.raises(SourceError) as caught:
        fetch(checkout(repository, tmp_path / "work", credentials=credentials))

    assert caught.value.reason == "ConfigMissing"


@pytest.mark.parametrize("keys", [("username", "password"), ("token",), ("ssh-privatekey",)])
def test_each_kind_of_credentials_is_taken(
    repository: Path, tmp_path: Path, keys: tuple[str, ...]
) -> None:
    credentials = tmp_path / "credentials"
    credentials.mkdir()
    for key in keys:
        (credentials / key).write_text("secret")

    assert fetch(checkout(repository, tmp_path / "work", credentials=credentials))
