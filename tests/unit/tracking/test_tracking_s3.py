"""The S3 client where no S3 is needed: whose keys it takes, and what it says of a store."""

import hashlib
import http.server
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from builders import threaded
from trainyard_tracking.errors import BadSettings, Lost, Unavailable
from trainyard_tracking.s3 import S3Objects
from trainyard_tracking.settings import ObjectStoreSettings

_ROLE = b"""<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
<AssumeRoleWithWebIdentityResult><Credentials><AccessKeyId>ROLEKEY</AccessKeyId>
<SecretAccessKey>secret</SecretAccessKey><SessionToken>role-token</SessionToken>
<Expiration>2099-01-01T00:00:00Z</Expiration></Credentials></AssumeRoleWithWebIdentityResult>
</AssumeRoleWithWebIdentityResponse>"""


@dataclass
class Cloud:
    """A token service and a store in one: what was asked of it, and how it breaks off."""

    url: str = ""
    asked: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)
    content: bytes = b""
    cuts: int = 0
    posts: list[tuple[int, str]] = field(default_factory=list)
    etag: str = '"tag"'
    head: int = 403


def _handler(cloud: Cloud) -> type[http.server.BaseHTTPRequestHandler]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # its name there
            pass

        def do_POST(self) -> None:
            self._told()
            status, code = cloud.posts.pop(0) if cloud.posts else (200, "")
            self._answer(status, f"<Error><Code>{code}</Code></Error>".encode() if code else _ROLE)

        def do_GET(self) -> None:
            self._told()
            wanted = self.headers.get("Range", "bytes=0-").removeprefix("bytes=").partition("-")
            body = cloud.content[int(wanted[0]) :]
            if cloud.cuts:
                cloud.cuts -= 1
                self._answer(206, body[: len(body) // 2], len(body))
                self.close_connection = True
            else:
                self._answer(206, body)

        def do_HEAD(self) -> None:
            self._told()
            self._answer(cloud.head, b"")

        def _told(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
            cloud.asked.append((f"{self.command} {self.path}", body, dict(self.headers)))

        def _answer(self, status: int, body: bytes, length: int | None = None) -> None:
            self.send_response(status)
            self.send_header("ETag", cloud.etag)
            self.send_header("Content-Length", str(len(body) if length is None else length))
            self.end_headers()
            self.wfile.write(body)

    return Handler


@pytest.fixture
def cloud() -> Iterator[Cloud]:
    found = Cloud()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _handler(found))
    found.url = f"127.0.0.1:{server.server_port}"
    with threaded.running(server):
        yield found


@pytest.fixture(autouse=True)
def _no_keys_of_this_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


def store(url: str, **more: Any) -> S3Objects:
    return S3Objects(ObjectStoreSettings(url, "yard", "us-east-1", secure=False, **more))


def test_the_role_of_the_service_account_is_taken_where_there_are_no_keys(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "token").write_text("token-of-the-service-account")
    monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", str(tmp_path / "token"))
    monkeypatch.setenv("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/trainyard")
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", f"http://{cloud.url}")

    b"".join(store(cloud.url).read("key"))

    (_, exchanged, _), (asked, _, headers) = cloud.asked
    assert "WebIdentityToken=token-of-the-service-account" in exchanged
    assert asked == "GET /yard/key"
    assert "ROLEKEY" in headers["Authorization"]
    assert headers["X-Amz-Security-Token"] == "role-token"


def test_a_session_token_travels_with_its_keys(cloud: Cloud) -> None:
    keyed = store(cloud.url, access_key="a", secret_key="s", session_token="the-session")

    b"".join(keyed.read("key"))

    assert cloud.asked[0][2]["X-Amz-Security-Token"] == "the-session"


def test_a_read_that_the_store_breaks_off_goes_on_in_the_same_state_of_the_file(
    cloud: Cloud,
) -> None:
    cloud.content, cloud.cuts = b"0123456789" * 10, 2

    found = b"".join(store(cloud.url, access_key="a", secret_key="s").read("key"))

    assert found == cloud.content
    ranges = [headers["Range"] for _, _, headers in cloud.asked]
    assert ranges == ["bytes=0-", "bytes=50-99", "bytes=75-99"]
    assert [headers.get("If-Match") for _, _, headers in cloud.asked[1:]] == ['"tag"', '"tag"']


def test_a_store_that_breaks_off_every_time_is_away(cloud: Cloud) -> None:
    cloud.content, cloud.cuts = b"0123456789" * 10, 99

    with pytest.raises(Unavailable, match="does not answer"):
        b"".join(store(cloud.url, access_key="a", secret_key="s").read("key"))


def test_what_is_wrong_with_a_store_is_said_with_its_fix(cloud: Cloud, tmp_path: Path) -> None:
    with pytest.raises(BadSettings, match=r"objectStore\.existingSecret.*ServiceAccount"):
        store(cloud.url).ensure_bucket()
    with pytest.raises(BadSettings, match="check its keys"):
        store(cloud.url, access_key="a", secret_key="s").ensure_bucket()
    with pytest.raises(BadSettings, match=r"never/ca.crt, where no file is"):
        store(cloud.url, ca_bundle="never/ca.crt")


PARTS = [f'"{hashlib.md5(part).hexdigest()}"' for part in (b"first", b"second")]
WHOLE = '"018d78427d06dd29caa19b06085b7e7e-2"'
GONE = (404, "NoSuchUpload")
UNHEARD = (500, "InternalError")


@pytest.mark.parametrize(
    ("posts", "there", "new"),
    [
        pytest.param([UNHEARD, GONE], WHOLE, False, id="an artifact that has the parts' own tag"),
        pytest.param([UNHEARD, GONE], '"any"', True, id="content by its digest, however it came"),
        pytest.param([GONE], WHOLE, False, id="one that an earlier request put together"),
    ],
)
def test_a_completion_whose_answer_was_lost_is_told_as_the_first_would_have_been(
    cloud: Cloud, posts: list[tuple[int, str]], there: str, new: bool
) -> None:
    cloud.posts, cloud.etag, cloud.head = posts, there, 200

    assert store(cloud.url, access_key="a", secret_key="s").complete("key", "id", PARTS, new=new)


@pytest.mark.parametrize(
    ("head", "there", "new"),
    [
        pytest.param(200, '"of-another-writer"', False, id="something else is there"),
        pytest.param(404, "", True, id="nothing is there"),
    ],
)
def test_an_upload_that_is_gone_is_lost_where(
    cloud: Cloud, head: int, there: str, new: bool
) -> None:
    cloud.posts, cloud.etag, cloud.head = [GONE], there, head

    with pytest.raises(Lost, match="NoSuchUpload"):
        store(cloud.url, access_key="a", secret_key="s").complete("key", "id", PARTS, new=new)


@pytest.mark.parametrize("head", [200, 404])
def test_what_another_is_writing_is_not_called_there_before_it_is(cloud: Cloud, head: int) -> None:
    cloud.posts, cloud.head = [(409, "ConditionalRequestConflict")] * 5, head
    written = store(cloud.url, access_key="a", secret_key="s")

    if head == 200:
        assert written.complete("key", "id", PARTS, new=True) is False
    else:
        with pytest.raises(Unavailable, match="ConditionalRequestConflict"):
            written.complete("key", "id", PARTS, new=True)
