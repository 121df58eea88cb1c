from typing import Any

import pytest
from trainyard_api.flavors import formats, refused

SKLEARN = {"loader_module": "mlflow.sklearn"}


@pytest.mark.parametrize(
    ("flavors", "found"),
    [
        pytest.param({"sklearn": {}, "python_function": SKLEARN}, {"sklearn"}, id="its own loader"),
        pytest.param({"sklearn": {}}, {"sklearn"}, id="a native flavor alone"),
        pytest.param({"sklearn": {}, "python_function": {}}, {"sklearn"}, id="no loader"),
        pytest.param(
            {"sklearn": {"code": None}, "python_function": {**SKLEARN, "code": None}},
            {"sklearn"},
            id="code that is none",
        ),
        pytest.param({"python_function": SKLEARN}, {"pyfunc"}, id="a loader without its flavor"),
        pytest.param({}, {"pyfunc"}, id="nothing"),
        pytest.param({"pyfunc": {}}, {"pyfunc"}, id="a flavor that is called pyfunc"),
        pytest.param(
            {"onnx": {}, "python_function": {"loader_module": "mlflow.pyfunc.model"}},
            {"onnx", "pyfunc"},
            id="a pickle in the coat of onnx",
        ),
        pytest.param(
            {"onnx": {}, "python_function": {"loader_module": "loading"}},
            {"onnx", "pyfunc"},
            id="a module of the author",
        ),
        pytest.param(
            {"onnx": {}, "python_function": SKLEARN}, {"onnx", "pyfunc"}, id="another's loader"
        ),
        pytest.param(
            {"onnx": {}, "python_function": {"loader_module": ["mlflow.onnx"]}},
            {"onnx", "pyfunc"},
            id="a loader that is no name",
        ),
        pytest.param(
            {"sklearn": {}, "python_function": {**SKLEARN, "code": "code"}},
            {"sklearn", "pyfunc"},
            id="code in the folder",
        ),
        pytest.param(
            {"sklearn": {"code": "code"}, "python_function": SKLEARN},
            {"sklearn", "pyfunc"},
            id="code of the native flavor",
        ),
        pytest.param(
            {
                "langchain": {},
                "python_function": {
                    "loader_module": "mlflow.langchain",
                    "model_code_path": "agent.py",
                },
            },
            {"langchain", "pyfunc"},
            id="a model from code",
        ),
        pytest.param(
            {
                "pyfunc.model": {},
                "python_function": {"loader_module": "mlflow.pyfunc.model"},
            },
            {"pyfunc.model"},
            id="a flavor that is called like a loader is a format nobody allows",
        ),
        pytest.param({"onnx": {}, "python_function": "x"}, {"onnx"}, id="a flavor that is text"),
        pytest.param("onnx", {"pyfunc"}, id="flavors that are text"),
    ],
)
def test_a_flavor_counts_with_its_own_loader_only(flavors: Any, found: set[str]) -> None:
    assert formats({"flavors": flavors}) == found


def test_every_format_must_be_allowed_by_either_name_of_a_python_function() -> None:
    coated = {"flavors": {"onnx": {}, "python_function": {"loader_module": "mlflow.pyfunc.model"}}}

    assert refused(coated, ["onnx"]) == ("pyfunc",)
    assert refused(coated, ["onnx", "pyfunc"]) == ()
    assert refused(coated, ["onnx", "python_function"]) == ()
    assert refused(coated, ["sklearn"]) == ("onnx", "pyfunc")
    assert refused(coated, []) == ()
