"""Fetching by digest over loopback: what is wrong is refused, what is down is asked again."""

import hashlib
import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from builders import threaded
from builders.authority import Authority
from trainyard_api import progress
from trainyard_serving.errors import LoadError, SourceUnavailable
from trainyard_serving.fetch import Source, fetch


def sha256(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


class Store:
    """A tracking service with one model, whose answers a test can spoil."""

    def __init__(self) -> None:
        self.files = {"MLmodel": b"flavors: {}\n", "data/model pkl.bin": bytes(range(256)) * 9000}
        self.paths = {name: name for name in self.files}
        self.spoiled: dict[str, tuple[int, bytes]] = {}
        self.asked: list[tuple[str, str | None]] = []
        self.ranges: list[str] = []
        self.promised: int | None = None
        self.port = 0
        self.server: ThreadingHTTPServer

    @property
    def manifest(self) -> bytes:
        files = [
            {"path": self.paths[p], "size": len(data), "digest": sha256(data)}
            for p, data in sorted(self.files.items())
        ]
        document = {"schemaVersion": 1, "files": files, "flavors": {}, "requirements": ["é"]}
        text = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        return text.encode()

    def source(self, **changes) -> Source:
        fields = {"url": f"http://127.0.0.1:{self.port}/models/x", "digest": sha256(self.manifest)}
        return Source(**(fields | changes))

    def reply(self, path: str) -> tuple[int, bytes]:
        name = path.removeprefix("/models/x").removeprefix("/files/").replace("%20", " ")
        if name in self.spoiled:
            return self.spoiled[name]
        return (200, self.manifest) if not name else (200, self.files[name])


@pytest.fixture
def store() -> Iterator[Store]:
    served = Store()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            served.asked.append((self.path, self.headers["Authorization"]))
            status, body = served.reply(self.path)
            self.send_response(status)
            if wanted := self.headers["Range"]:
                served.ranges.append(wanted)
                self.send_header("Content-Range", f"{wanted.replace('=', ' ')}1/*")
            if served.promised is not None:
                self.send_header("Content-Length", str(served.promised))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    served.port, served.server = server.server_port, server
    with threaded.running(server):
        yield served


def test_every_file_arrives_with_the_token(store, tmp_path):
    (tmp_path / "token").write_text("secret\n")

    folder = fetch(store.source(token_file=tmp_path / "token"), tmp_path)

    assert {p: (folder / p).read_bytes() for p in store.files} == store.files
    assert {token for _, token in store.asked} == {"Bearer secret"}


def test_what_is_here_and_right_is_not_fetched_again(store, tmp_path):
    folder = fetch(store.source(), tmp_path)
    (folder / "MLmodel").write_bytes(b"flavors: {x}")
    store.asked.clear()

    fetch(store.source(), tmp_path)

    assert [path for path, _ in store.asked] == ["/models/x", "/models/x/files/MLmodel"]
    assert (folder / "MLmodel").read_bytes() == store.files["MLmodel"]


def test_how_far_fetching_and_verifying_are_is_in_the_log(store, tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(progress, "_EVERY_SECONDS", 0.0)
    caplog.set_level("INFO")
    fetch(store.source(), tmp_path)
    assert all(line.startswith("fetched of ") for line in caplog.messages)
    caplog.clear()

    fetch(store.source(), tmp_path)

    assert caplog.messages
    assert all(line.startswith("verified of ") for line in caplog.messages)


@pytest.mark.parametrize(
    ("spoiled", "error", "reason"),
    [
        pytest.param({"": (200, b"{}")}, LoadError, "digest", id="another manifest"),
        pytest.param({"MLmodel": (200, b"flavors: {x}")}, LoadError, "MLmodel", id="another file"),
        pytest.param({"MLmodel": (200, b"x" * 99)}, LoadError, "MLmodel", id="a longer file"),
        pytest.param({"MLmodel": (200, b"fl")}, SourceUnavailable, "broke off", id="a cut file"),
        pytest.param({"": (503, b"")}, SourceUnavailable, "503", id="down"),
        pytest.param({"MLmodel": (500, b"")}, SourceUnavailable, "500", id="down for a file"),
        pytest.param({"": (429, b"")}, SourceUnavailable, "429", id="busy"),
        pytest.param({"": (401, b"")}, LoadError, "token", id="no token"),
        pytest.param({"": (403, b"")}, LoadError, "does not allow", id="another's token"),
        pytest.param({"": (404, b"")}, LoadError, "published", id="no such model"),
    ],
)
def test_wrong_answers(store, tmp_path, spoiled, error, reason):
    store.spoiled = spoiled

    with pytest.raises(error, match=reason):
        fetch(store.source(), tmp_path)
    assert not list(tmp_path.rglob("MLmodel"))


def test_a_manifest_that_broke_off_is_asked_for_again(store, tmp_path):
    store.promised = len(store.manifest)
    store.spoiled = {"": (200, store.manifest[:50])}

    with pytest.raises(SourceUnavailable, match="broke off"):
        fetch(store.source(), tmp_path)


def test_what_broke_off_is_fetched_from_there_on(store, tmp_path):
    path = "data/model pkl.bin"
    store.spoiled = {path: (200, store.files[path][:1000])}
    with pytest.raises(SourceUnavailable):
        fetch(store.source(), tmp_path)
    store.spoiled = {path: (206, store.files[path][1000:])}
    store.asked.clear()

    folder = fetch(store.source(), tmp_path)

    assert store.ranges == ["bytes=1000-"]
    assert (folder / path).read_bytes() == store.files[path]


@pytest.mark.parametrize("path", ["../evil", "/etc/evil", "a/../../evil", "", "a\0b"])
def test_paths_that_lead_out_are_refused(store, tmp_path, path):
    store.paths["MLmodel"] = path

    with pytest.raises(LoadError, match=r"manifest can't be read: .*path"):
        fetch(store.source(), tmp_path)


def test_nobody_listening_is_asked_again(tmp_path):
    source = Source("http://127.0.0.1:9/models/x", "sha256:" + "0" * 64)

    with pytest.raises(SourceUnavailable, match="does not answer"):
        fetch(source, tmp_path)


@pytest.mark.parametrize(
    "changes",
    [{"digest": "sha256:1"}, {"url": "file:///etc/passwd"}, {"token_file": Path("/nowhere")}],
)
def test_a_source_that_can_never_work_is_a_load_error(store, tmp_path, changes):
    with pytest.raises(LoadError):
        fetch(store.source(**changes), tmp_path)


def test_a_store_with_a_certificate_is_checked_by_its_authority(store, tmp_path):
    authority = Authority(tmp_path)
    url = f"{authority.issue().serve(store.server)}/models/x"

    folder = fetch(store.source(url=url, ca_file=str(authority.file)), tmp_path)

    assert (folder / "MLmodel").read_bytes() == store.files["MLmodel"]


def test_a_store_of_another_authority_is_shown_no_token_and_may_be_tried_again(store, tmp_path):
    (tmp_path / "token").write_text("secret")
    url = f"{Authority(tmp_path).issue().serve(store.server)}/models/x"
    told = {"ca_file": str(Authority(tmp_path, "other").file), "token_file": tmp_path / "token"}

    with pytest.raises(SourceUnavailable, match=r"TRAINYARD_CA_FILE, .*other\.crt"):
        fetch(store.source(url=url, **told), tmp_path)
    assert store.asked == []


def test_an_authority_that_is_not_there_is_final(store, tmp_path):
    url = f"{Authority(tmp_path).issue().serve(store.server)}/models/x"

    with pytest.raises(LoadError, match=r"TRAINYARD_CA_FILE names .*none\.crt"):
        fetch(store.source(url=url, ca_file=str(tmp_path / "none.crt")), tmp_path)
