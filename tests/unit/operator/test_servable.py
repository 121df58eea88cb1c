import pytest
from trainyard_api.conditions import ServableReason
from trainyard_operator import servable

PACKAGES = {"scikit-learn": "1.7.2", "numpy": "2.3.5", "mlflow-skinny": "3.17.2", "pandas": "2.3.3"}
FLAVORS = ("python_function", "sklearn")


def judge(
    *requirements: str, flavors: tuple[str, ...] = FLAVORS, **packages: str
) -> servable.Verdict:
    return servable.judge(
        dict.fromkeys(flavors, ""), requirements, runtime="sklearn", packages=packages or PACKAGES
    )


@pytest.mark.parametrize(
    "requirement",
    [
        pytest.param("scikit-learn==1.7.2", id="the same release"),
        pytest.param("scikit-learn==1.7.0", id="the same minor"),
        pytest.param("scikit_learn==1.7.1", id="spelled otherwise"),
        pytest.param("numpy==2.1.0", id="another minor of what keeps its format"),
        pytest.param("mlflow==3.17.2", id="mlflow, which the runtime has as mlflow-skinny"),
        pytest.param("pandas<3", id="a range"),
        pytest.param("pandas[parquet]==2.3.3 ; python_version > '3.9'", id="extras and a marker"),
        pytest.param("# a comment", id="a comment"),
        pytest.param("--extra-index-url https://example.org", id="an option"),
        pytest.param("", id="an empty line"),
        pytest.param("numpy", id="no version at all"),
        pytest.param("pytest==9.2.0", id="what never predicts"),
    ],
)
def test_a_model_is_servable_with(requirement: str) -> None:
    verdict = judge(requirement)

    assert (verdict.status, verdict.reason) == ("True", ServableReason.COMPATIBLE)


@pytest.mark.parametrize(
    ("requirement", "reason", "told"),
    [
        pytest.param(
            "scikit-learn==1.6.1", ServableReason.VERSION_MISMATCH,
            ["scikit-learn 1.6.1", "1.7.2", "scikit-learn==1.7.2", "spec.runtime"],
            id="another minor of scikit-learn",
        ),
        pytest.param(
            "numpy==1.26.4", ServableReason.VERSION_MISMATCH, ["numpy==2.3.5"], id="another major",
        ),
        pytest.param(
            "xgboost==3.0.0", ServableReason.MISSING_PACKAGE, ["xgboost==3.0.0"],
            id="a missing package",
        ),
        pytest.param(
            "mine @ git+https://git.example/mine", ServableReason.MISSING_PACKAGE, ["mine"],
            id="a package from git",
        ),
    ],
)  # fmt: skip
def test_a_mismatch_comes_with_the_fix(requirement: str, reason: str, told: list[str]) -> None:
    verdict = judge("pandas==2.3.3", requirement)

    assert (verdict.status, verdict.reason) == ("False", reason)
    assert [word for word in told if word not in verdict.message] == []


def test_a_flavor_that_no_server_knows_is_told() -> None:
    verdict = judge(flavors=("onnx",))

    assert (verdict.status, verdict.reason) == ("False", ServableReason.UNKNOWN_FLAVOR)


def test_a_runtime_that_does_not_list_its_packages_leaves_it_open() -> None:
    verdict = servable.judge(FLAVORS, ["a==1"], runtime="mine", packages={})

    assert (verdict.status, verdict.reason) == ("Unknown", ServableReason.PACKAGES_UNKNOWN)
    assert "runtimes.mine.packages" in verdict.message


class TestPython:
    def judged(self, python: str, *flavors: str) -> servable.Verdict:
        logged = dict.fromkeys(flavors, "") | {"python_function": python}
        packages = {**PACKAGES, "python": "3.13"}
        return servable.judge(logged, ["numpy==2.3.5"], runtime="sklearn", packages=packages)

    def test_the_same_minor_is_compatible(self) -> None:
        assert self.judged("3.13.5").reason == ServableReason.COMPATIBLE

    def test_pickled_code_of_another_minor_is_refused(self) -> None:
        verdict = self.judged("3.11.9")

        assert (verdict.status, verdict.reason) == ("False", ServableReason.VERSION_MISMATCH)
        assert "3.11.9" in verdict.message
        assert "3.13" in verdict.message

    def test_an_estimator_of_another_minor_is_served_with_a_word_of_doubt(self) -> None:
        verdict = self.judged("3.11.9", "sklearn")

        assert (verdict.status, verdict.reason) == ("Unknown", ServableReason.VERSION_MISMATCH)
        assert "Python 3.11.9" in verdict.message

    def test_a_model_that_does_not_say_is_not_judged_by_it(self) -> None:
        assert self.judged("").reason == ServableReason.COMPATIBLE
