import hashlib
import io
import itertools
import json
import tarfile
from pathlib import Path

import pytest
from builders.agent_service import Service
from trainyard_agent import __main__ as agent
from trainyard_agent import source, termination
from trainyard_agent.errors import AgentError, RefusedError, SourceError, TransportError
from trainyard_agent.publish import canonical_manifest, publish
from trainyard_agent.transport import Tracking


def digest_of(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def test_a_download_carries_the_token_and_is_verified(
    service: Service, tracking: Tracking, tmp_path: Path
) -> None:
    service.contents["/blobs/x"] = b"code"

    size = tracking.download("/blobs/x", tmp_path / "x", digest=digest_of(b"code"))

    assert size == 4
    assert service.tokens == {"Bearer the-token"}


def test_content_that_is_not_its_digest_is_refused(
    service: Service, tracking: Tracking, tmp_path: Path
) -> None:
    service.contents["/blobs/x"] = b"other"

    with pytest.raises(SourceError) as caught:
        tracking.download("/blobs/x", tmp_path / "x", digest=digest_of(b"code"))

    assert caught.value.reason == "DigestMismatch"


def test_a_service_that_comes_back_is_waited_for_and_each_wait_is_told(
    service: Service, tracking: Tracking, said: list[str], tmp_path: Path
) -> None:
    service.contents["/blobs/x"] = b"code"
    service.away = 2

    assert tracking.download("/blobs/x", tmp_path / "x") == 4
    assert len(said) == 2
    assert "trying again in 1 s" in said[1]


def test_an_answer_that_is_cut_off_is_asked_for_again(
    service: Service, tracking: Tracking, tmp_path: Path
) -> None:
    service.contents["/blobs/x"] = b"code"
    service.cut = 1

    assert tracking.download("/blobs/x", tmp_path / "x", digest=digest_of(b"code")) == 4


def test_a_service_that_stays_away_ends_the_patience(said: list[str], tmp_path: Path) -> None:
    # Port 9 of the loopback: nobody listens.
    seconds = itertools.count()
    nobody = Tracking(
        "http://127.0.0.1:9",
        "t",
        patience=3,
        say=said.append,
        sleep=lambda seconds: None,
        clock=lambda: next(seconds),
    )

    with pytest.raises(TransportError) as caught:
        nobody.download("/blobs/x", tmp_path / "x")

    assert caught.value.reason == "TrackingUnavailable"
    assert said


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        pytest.param(404, "SourceMissing", id="what is not there is missing"),
        pytest.param(401, "TokenRefused", id="a bad token is refused"),
        pytest.param(403, "TokenRefused", id="another's things are refused"),
        pytest.param(400, "TrackingRefused", id="a bad request is told"),
        pytest.param(413, "TooLarge", id="what is too large stays so"),
        pytest.param(422, "ContentRefused", id="what it says of the content stays true"),
    ],
)
def test_an_answer_that_no_wait_mends_is_not_retried(
    service: Service, tracking: Tracking, said: list[str], code: int, reason: str
) -> None:
    service.refuse = code

    with pytest.raises(AgentError) as caught:
        tracking.json("/modelversions/digits-1/source")

    assert caught.value.reason == reason
    assert "not yours" in caught.value.message
    assert said == []


class TestFetchingASource:
    BASE = "/modelversions/digits-1/source"

    def offer(self, service: Service, files: dict[str, bytes], **sizes: int) -> None:
        listed = [{"path": p, "size": sizes.get(p, len(c))} for p, c in files.items()]
        document = {"uri": "runs:/a/model", "runID": "a", "files": listed}
        service.contents[self.BASE] = json.dumps(document).encode()
        for path, content in files.items():
            service.contents[f"{self.BASE}/{path.replace(' ', '%20')}"] = content

    def test_every_file_lands_in_its_place(
        self, service: Service, tracking: Tracking, tmp_path: Path
    ) -> None:
        self.offer(service, {"MLmodel": b"flavors: {}", "data/my model.pkl": b"\x80"})

        told = source.fetch(tracking, version="digits-1", into=tmp_path, say=lambda line: None)

        assert told == {"size": 12, "uri": "runs:/a/model", "runID": "a"}
        assert (tmp_path / "data/my model.pkl").read_bytes() == b"\x80"

    def test_no_file_means_that_the_source_is_missing(
        self, service: Service, tracking: Tracking, tmp_path: Path
    ) -> None:
        self.offer(service, {})

        with pytest.raises(SourceError) as caught:
            source.fetch(tracking, version="digits-1", into=tmp_path)

        assert caught.value.reason == "SourceMissing"

    def test_a_file_of_another_size_than_announced_is_refused(
        self, service: Service, tracking: Tracking, tmp_path: Path
    ) -> None:
        self.offer(service, {"MLmodel": b"flavors: {}"}, MLmodel=99)

        with pytest.raises(SourceError) as caught:
            source.fetch(tracking, version="digits-1", into=tmp_path)

        assert caught.value.reason == "SourceIncomplete"

    @pytest.mark.parametrize(
        "files",
        [
            pytest.param({"a": b"1", "a/b": b"2"}, id="a file that is a folder"),
            pytest.param({"a/b": b"2", "a": b"1"}, id="a folder that is a file"),
            pytest.param({"x" * 300: b"1"}, id="a long name"),
        ],
    )
    def test_a_name_that_a_store_has_and_no_folder_is_told(
        self, service: Service, tracking: Tracking, tmp_path: Path, files: dict[str, bytes]
    ) -> None:
        self.offer(service, files)

        with pytest.raises(SourceError, match=r"can't be a file \((File|Is a|Not a)") as caught:
            source.fetch(tracking, version="digits-1", into=tmp_path / "model")

        assert caught.value.reason == "SourceFailed"

    @pytest.mark.parametrize("listed", ["abc", [1], [{}], [{"path": "a", "size": "1"}]])
    def test_a_list_of_files_that_is_none_is_told(
        self, service: Service, tracking: Tracking, tmp_path: Path, listed: object
    ) -> None:
        service.contents[self.BASE] = json.dumps({"uri": "u", "files": listed}).encode()

        with pytest.raises(TransportError, match="list of files is none"):
            source.fetch(tracking, version="digits-1", into=tmp_path / "model")

    @pytest.mark.parametrize("path", ["../../etc/passwd", "/etc/passwd", "a/../../b", "a\0b"])
    def test_a_path_that_leaves_the_folder_is_refused(
        self, service: Service, tracking: Tracking, tmp_path: Path, path: str
    ) -> None:
        self.offer(service, {path: b"x"})

        with pytest.raises(SourceError) as caught:
            source.fetch(tracking, version="digits-1", into=tmp_path / "model")

        assert caught.value.reason == "UnsafePath"


class TestPublishing:
    FIELDS = {"flavors": {"sklearn": "1.7.2"}, "requirements": ["scikit-learn==1.7.2"]}

    def model(self, folder: Path) -> Path:
        (folder / "data").mkdir(parents=True)
        (folder / "MLmodel").write_bytes(b"flavors: {}")
        (folder / "data" / "model.pkl").write_bytes(b"\x80pickle")
        return folder

    def test_the_manifest_comes_last_under_its_own_digest(
        self, service: Service, tracking: Tracking, tmp_path: Path
    ) -> None:
        model = self.model(tmp_path / "model")

        told = publish(tracking, model, fields=self.FIELDS, say=lambda line: None)

        manifest = service.contents[service.puts[-1]]
        assert service.puts[-1] == f"/models/{told['digest']}"
        assert told["digest"] == digest_of(manifest)
        assert told["size"] == 18
        assert [f["path"] for f in json.loads(manifest)["files"]] == ["MLmodel", "data/model.pkl"]

    def test_publishing_again_sends_no_file_again_and_gives_the_same_digest(
        self, service: Service, tracking: Tracking, tmp_path: Path
    ) -> None:
        model = self.model(tmp_path / "model")
        first = publish(tracking, model, fields=self.FIELDS, say=lambda line: None)
        service.puts.clear()

        second = publish(tracking, model, fields=self.FIELDS, say=lambda line: None)

        assert first == second
        assert service.puts == [f"/models/{first['digest']}"]

    def test_a_link_in_the_model_is_not_followed(self, tracking: Tracking, tmp_path: Path) -> None:
        model = self.model(tmp_path / "model")
        (model / "token").symlink_to("/etc/hostname")

        with pytest.raises(SourceError) as caught:
            publish(tracking, model, fields=self.FIELDS, say=lambda line: None)

        assert caught.value.reason == "UnsafePath"

    def test_a_file_that_is_too_large_is_named_while_others_are_under_way(
        self, service: Service, tracking: Tracking, tmp_path: Path
    ) -> None:
        model = self.model(tmp_path / "model")
        (model / "weights").write_bytes(bytes(100))
        service.largest = 50

        with pytest.raises(RefusedError, match=r"^weights: .*\(413\): .*largestFile") as caught:
            publish(tracking, model, fields=self.FIELDS, say=lambda line: None)

        assert caught.value.reason == "TooLarge"

    def test_a_list_of_files_that_is_refused_is_named(
        self, service: Service, tracking: Tracking, tmp_path: Path
    ) -> None:
        model = self.model(tmp_path / "model")
        service.largest = 50

        with pytest.raises(RefusedError, match=r"^the list of its 2 files: "):
            publish(tracking, model, fields=self.FIELDS, say=lambda line: None)

    def test_an_empty_model_is_none(self, tracking: Tracking, tmp_path: Path) -> None:
        with pytest.raises(SourceError) as caught:
            publish(tracking, tmp_path, fields=self.FIELDS, say=lambda line: None)

        assert caught.value.reason == "SourceMissing"

    def test_the_canonical_manifest_has_sorted_keys_and_no_spaces(self) -> None:
        manifest = canonical_manifest([], {"requirements": [], "flavors": {"b": "1", "a": "é"}})

        assert manifest.decode() == (
            '{"files":[],"flavors":{"a":"é","b":"1"},"requirements":[],"schemaVersion":1}'
        )


def test_the_commands_hand_a_model_from_source_to_manifest(
    service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = "/api/trainyard/v1/namespaces/team"
    files = {"MLmodel": b"flavors: {sklearn: {sklearn_version: 1.7.2}}", "model.pkl": b"x"}
    listed = [{"path": p, "size": len(c)} for p, c in files.items()]
    source_path = f"{base}/modelversions/digits-1/source"
    service.contents[source_path] = json.dumps({"uri": "u", "files": listed}).encode()
    for name, content in files.items():
        service.contents[f"{source_path}/{name}"] = content
    log, model, out = tmp_path / "log", tmp_path / "model", tmp_path / "out"
    log.touch()
    (tmp_path / "token").write_text("the-token\n")
    monkeypatch.setenv("TRAINYARD_TRACKING_URL", service.url)
    monkeypatch.setenv("TRAINYARD_TOKEN_FILE", str(tmp_path / "token"))
    monkeypatch.setenv(termination.PATH_VARIABLE, str(log))
    fields = str(out / "manifest-fields.json")

    codes = [
        agent.main(words)
        for words in (
            [
                "fetch",
                "model",
                "--namespace",
                "team",
                "--version",
                "digits-1",
                "--into",
                str(model),
            ],
            ["convert", "--model", str(model), "--out", str(out)],
            ["publish", "--namespace", "team", "--model", str(model), "--fields", fields],
        )
    ]

    told = json.loads(log.read_text())
    assert codes == [0, 0, 0]
    assert f"{base}/models/{told['digest']}" in service.contents
    assert service.tokens == {"Bearer the-token"}


def test_the_commands_fetch_and_unpack_an_archive(
    service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        info = tarfile.TarInfo("train.py")
        info.size = 8
        tar.addfile(info, io.BytesIO(b"print(1)"))
    content = packed.getvalue()
    digest = digest_of(content)
    service.contents[f"/api/trainyard/v1/namespaces/team/blobs/{digest}"] = content
    monkeypatch.setenv("TRAINYARD_TRACKING_URL", service.url)
    monkeypatch.setenv("TRAINYARD_TOKEN", "run-token")
    words = ["--namespace", "team", "--digest", digest, "--into", str(tmp_path / "work")]

    assert agent.main(["fetch", "archive", *words]) == 0
    assert (tmp_path / "work/train.py").read_text() == "print(1)"
