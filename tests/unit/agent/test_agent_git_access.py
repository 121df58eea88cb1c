"""Passwords of a private repository: they reach its server, and no other."""

import base64
import socket
import subprocess
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from builders import threaded
from builders.repositories import add_submodule, checkout, git, repository
from trainyard_agent.errors import SourceError
from trainyard_agent.git import fetch
from trainyard_agent.git_access import environment

_ALLOWED = f"Basic {base64.b64encode(b'me:hunter2').decode()}"


class _Private(SimpleHTTPRequestHandler):
    """Gives files to who knows the password, and notes what else was tried."""

    def __init__(self, seen: list[str], *given: Any, **named: Any) -> None:
        self._seen = seen
        super().__init__(*given, **named)

    def do_GET(self) -> None:
        said = self.headers.get("Authorization")
        self._seen += [said] if said else []
        if said == _ALLOWED:
            super().do_GET()
            return
        self.send_response(401)
        self.send_header("WWW-Authenticate", 'Basic realm="git"')
        self.end_headers()

    def log_message(self, *given: Any) -> None:
        """Say nothing: a test's output is no access log."""


class Server:
    """Serves the repositories of a folder, to who knows the password."""

    def __init__(self, folder: Path) -> None:
        self.passwords: list[str] = []
        handler = partial(_Private, self.passwords, directory=str(folder))
        self.http = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    made = Server(tmp_path)
    with threaded.running(made.http):
        yield made


@pytest.fixture
def elsewhere(tmp_path: Path) -> Iterator[Server]:
    made = Server(tmp_path)
    with threaded.running(made.http):
        yield made


@pytest.fixture
def credentials(tmp_path: Path) -> Path:
    folder = tmp_path / "credentials"
    folder.mkdir()
    (folder / "username").write_text("me")
    (folder / "password").write_text("hunter2")
    return folder


def published(folder: Path, *, submodule: str) -> None:
    inner = repository(folder / "inner", {"lib.py": ""})
    outer = repository(folder / "outer", {"train.py": ""})
    add_submodule(outer, inner, "lib", url=submodule)
    for each in (inner, outer):
        git(each, "update-server-info")


def private(server: Server, tmp_path: Path, credentials: Path) -> str:
    url = f"{server.url}/outer/.git"
    into = tmp_path / "work"
    return fetch(checkout(tmp_path, into, url=url, credentials=credentials, environment={}))


def test_a_private_repository_comes_with_its_submodules_on_the_same_server(
    server: Server, tmp_path: Path, credentials: Path
) -> None:
    published(tmp_path, submodule="../../inner/.git")

    private(server, tmp_path, credentials)

    assert (tmp_path / "work/lib/lib.py").exists()


def test_a_submodule_elsewhere_never_learns_the_password(
    server: Server, elsewhere: Server, tmp_path: Path, credentials: Path
) -> None:
    published(tmp_path, submodule=f"{elsewhere.url}/inner/.git")

    with pytest.raises(SourceError) as caught:
        private(server, tmp_path, credentials)

    assert caught.value.reason == "AccessDenied"
    assert caught.value.message.startswith(f"submodule lib: {elsewhere.url}/inner/.git refused")
    assert server.passwords
    assert not elsewhere.passwords


def test_a_server_that_goes_silent_is_given_up(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/x.git"
        made = environment(url, None, scratch=tmp_path)
        soon = {**made, "GIT_HTTP_LOW_SPEED_TIME": "1"}
        done = subprocess.run(
            ["git", "ls-remote", url],
            env=soon,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )

    assert made["GIT_HTTP_LOW_SPEED_TIME"] == "300"
    assert "Operation too slow" in done.stderr
