import json
from pathlib import Path

import pytest
from trainyard_agent import __main__ as agent
from trainyard_agent import termination
from trainyard_agent.convert import convert
from trainyard_agent.errors import RefusedError, SourceError

MLMODEL = """
flavors:
  python_function: {loader_module: mlflow.sklearn, python_version: 3.13.5}
  sklearn: {pickled_model: model.pkl, sklearn_version: 1.7.2, serialization_format: cloudpickle}
signature:
  inputs: '[{"type": "tensor", "tensor-spec": {"dtype": "float64", "shape": [-1, 64]}}]'
  outputs: '[{"type": "tensor", "tensor-spec": {"dtype": "int64", "shape": [-1]}}]'
  params: null
"""


def model(folder: Path, text: str = MLMODEL) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "MLmodel").write_text(text)
    (folder / "requirements.txt").write_text("# by hand\n\nmlflow==3.17.2\nscipy==1.16  # why\n")
    return folder


def test_the_manifest_fields_are_what_the_model_says(tmp_path: Path) -> None:
    fields = convert(model(tmp_path / "model"), out=tmp_path / "out")

    assert fields["flavors"] == {"python_function": "3.13.5", "sklearn": "1.7.2"}
    assert fields["requirements"] == ["mlflow==3.17.2", "scipy==1.16"]
    assert fields["signature"]["inputs"][0]["tensor-spec"]["shape"] == [-1, 64]
    assert "params" not in fields["signature"]
    assert json.loads((tmp_path / "out/manifest-fields.json").read_text()) == fields


@pytest.mark.parametrize(
    ("flavors", "allowed"),
    [
        pytest.param("sklearn: {}", [], id="no list allows all"),
        pytest.param("sklearn: {}, python_function: {}", ["sklearn"], id="the native flavor"),
        pytest.param(
            "onnx: {}, python_function: {loader_module: mlflow.onnx}", ["onnx"], id="its own loader"
        ),
        pytest.param(
            "onnx: {code: code}, python_function: {loader_module: mine}",
            ["onnx", "pyfunc"],
            id="code of its own where it may",
        ),
        pytest.param("python_function: {}", ["pyfunc"], id="pyfunc is python_function"),
        pytest.param("onnx: {}, sklearn: {}", ["onnx", "sklearn"], id="each of several"),
    ],
)
def test_allowed_formats_pass(tmp_path: Path, flavors: str, allowed: list[str]) -> None:
    folder = model(tmp_path / "model", f"flavors: {{{flavors}}}")

    assert convert(folder, out=tmp_path / "out", allowed=allowed)["flavors"]


@pytest.mark.parametrize(
    ("flavors", "allowed"),
    [
        pytest.param("sklearn: {}, python_function: {}", ["onnx"], id="another format"),
        pytest.param(
            "sklearn: {}, python_function: {}", ["pyfunc"], id="the wrapper is not enough"
        ),
        pytest.param("onnx: {}, sklearn: {}", ["onnx"], id="one of several is not enough"),
        pytest.param(
            "onnx: {}, python_function: {loader_module: mlflow.pyfunc.model}",
            ["onnx"],
            id="a pickle that says it is another format",
        ),
        pytest.param(
            "onnx: {}, python_function: {loader_module: mlflow.onnx, code: code}",
            ["onnx"],
            id="code that came with it",
        ),
        pytest.param("onnx: {code: code}", ["onnx"], id="code of the flavor"),
    ],
)
def test_other_formats_are_refused_with_the_way_out(
    tmp_path: Path, flavors: str, allowed: list[str]
) -> None:
    folder = model(tmp_path / "model", f"flavors: {{{flavors}}}")

    with pytest.raises(RefusedError) as caught:
        convert(folder, out=tmp_path / "out", allowed=allowed)

    assert caught.value.reason == "FormatNotAllowed"
    assert "spec.allowedFormats" in caught.value.message


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("- a list", id="no mapping"),
        pytest.param("flavors: [a]", id="flavors that are a list"),
        pytest.param(
            "flavors: {" + ", ".join(f"flavor-{n}: {{}}" for n in range(300)) + "}",
            id="more flavors than can be told",
        ),
        pytest.param("a: [", id="no YAML"),
        pytest.param("flavors: !!python/object/apply:os.system ['true']", id="YAML that would act"),
        pytest.param(
            "flavors: {a: {}}\nsignature: {inputs: '{'}", id="a signature that is no JSON"
        ),
        pytest.param("flavors: {a: {}}\nsignature: text", id="a signature that is a text"),
        pytest.param("flavors: {a: {}}\nsignature: [1]", id="a signature that is a list"),
        pytest.param(
            f"flavors: {{a: {{}}}}\nsignature: {{inputs: '{'[' * 9000}'}}", id="deep JSON"
        ),
        pytest.param(
            f"flavors: {{a: {{}}}}\nsignature: {{inputs: '{'[' * 99}{']' * 99}'}}",
            id="JSON that is nested too deep",
        ),
        pytest.param("flavors: " + "[" * 9000, id="deep YAML"),
        pytest.param(
            "flavors: {a: {}}\nsignature: {inputs: [.inf]}", id="a number without a JSON word"
        ),
        pytest.param("flavors: {a: {}}\nsignature: {inputs: [!!binary eA==]}", id="bytes"),
        pytest.param("flavors: {a: {}}\nat: 2026-99-99", id="a date that is none"),
        pytest.param(
            "flavors: {a: {}}\nx: &x0 [1, 2, 3, 4, 5, 6, 7, 8, 9]\n"
            + "".join(f"y{n}: &x{n + 1} [{', '.join([f'*x{n}'] * 9)}]\n" for n in range(12))
            + "signature: {inputs: *x12}",
            id="values that name each other into millions",
        ),
    ],
)
def test_a_file_that_is_no_mlmodel_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(SourceError):
        convert(model(tmp_path / "model", text), out=tmp_path / "out")


def test_dates_become_text(tmp_path: Path) -> None:
    text = "flavors: {a: {}}\nsignature: {inputs: [{default: 2026-11-27}]}"

    fields = convert(model(tmp_path / "model", text), out=tmp_path / "out")

    assert fields["signature"] == {"inputs": [{"default": "2026-11-27"}]}


@pytest.mark.parametrize("name", ["MLmodel", "requirements.txt"])
@pytest.mark.parametrize(
    ("content", "words"),
    [(b"mlflow==3 # \xfc\n", "not UTF-8"), (b"#" * (9 << 20), "larger than")],
    ids=["another encoding", "a large file"],
)
def test_a_file_that_can_not_be_read_is_refused_by_its_name(
    tmp_path: Path, name: str, content: bytes, words: str
) -> None:
    folder = model(tmp_path / "model")
    (folder / name).write_bytes(content)

    with pytest.raises(SourceError) as caught:
        convert(folder, out=tmp_path / "out")

    assert name in caught.value.message
    assert words in caught.value.message


def test_a_folder_without_mlmodel_is_told_with_what_it_has(tmp_path: Path) -> None:
    (tmp_path / "weights.bin").write_bytes(b"")

    with pytest.raises(SourceError) as caught:
        convert(tmp_path, out=tmp_path / "out")

    assert caught.value.reason == "SourceMissing"
    assert "weights.bin" in caught.value.message


def test_a_refusal_is_the_termination_message(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = tmp_path / "termination-log"
    log.touch()
    monkeypatch.setenv(termination.PATH_VARIABLE, str(log))
    folder = model(tmp_path / "model")

    code = agent.main(
        ["convert", "--model", str(folder), "--out", str(tmp_path / "out"), "--allow", "onnx"]
    )

    assert code == 3
    assert json.loads(log.read_text())["reason"] == "FormatNotAllowed"


def test_what_nobody_thought_of_is_told_as_well(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = tmp_path / "termination-log"
    log.touch()
    monkeypatch.setenv(termination.PATH_VARIABLE, str(log))
    fields = tmp_path / "fields.json"
    fields.write_text("[")
    monkeypatch.setenv("TRAINYARD_TRACKING_URL", "http://127.0.0.1:9")
    sent = ["--namespace", "n", "--model", str(tmp_path), "--fields", str(fields)]

    assert agent.main(["publish", *sent]) == 1
    assert "JSONDecodeError" in json.loads(log.read_text())["message"]


def test_a_missing_setting_is_told_not_raised(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("TRAINYARD_TRACKING_URL", raising=False)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)

    code = agent.main(
        ["fetch", "archive", "--namespace", "n", "--digest", "sha256:0", "--into", str(tmp_path)]
    )

    assert code == 1
    assert "TRAINYARD_TRACKING_URL" in capsys.readouterr().out


class TestTerminationMessage:
    def published(self, **more: object) -> dict[str, object]:
        return {"digest": "sha256:" + "0" * 64, "size": 1, "flavors": {"sklearn": "1.7"}, **more}

    def test_a_small_one_is_whole(self) -> None:
        message = self.published(signature={"inputs": []}, requirements=["a==1"])

        assert json.loads(termination.encode(message)) == message

    def test_a_large_signature_becomes_a_link(self) -> None:
        message = self.published(signature={"inputs": ["x" * 5000]}, requirements=["a==1"])

        told = json.loads(termination.encode(message))

        assert told["signature"] == {"manifest": message["digest"]}
        assert told["requirements"] == ["a==1"]
        assert told["truncated"] == ["signature"]

    def test_too_many_requirements_are_cut_and_said_to_be(self) -> None:
        message = self.published(requirements=[f"package-{n}==1.0" for n in range(1000)])

        encoded = termination.encode(message)

        assert len(encoded) <= termination.LIMIT
        assert json.loads(encoded)["requirements"][0] == "package-0==1.0"
        assert json.loads(encoded)["truncated"][-1] == "requirements"

    @pytest.mark.parametrize("letter", ["e", "é", "\N{GRINNING FACE}"])
    def test_a_long_text_is_cut(self, letter: str) -> None:
        encoded = termination.encode({"reason": "SourceFailed", "message": letter * 9000})

        assert len(encoded) <= termination.LIMIT
        assert json.loads(encoded)["reason"] == "SourceFailed"
