"""What is said of a version that is published."""

from builders import given
from builders.versions import RESULT, SETTINGS
from trainyard_operator.settings import Runtime
from trainyard_operator.versions.published import judge, read_result

STATUS = {"flavors": RESULT["flavors"], "requirements": RESULT["requirements"]}


def test_one_runtime_that_fits_is_enough() -> None:
    old = Runtime("old", serving_image="serving:0", packages={"scikit-learn": "1.5.0"})

    verdict = judge(STATUS, runtimes={"old": old, **SETTINGS.runtimes})

    assert verdict.status == "True"


def test_without_a_serving_runtime_it_stays_open() -> None:
    verdict = judge(STATUS, runtimes={"train": Runtime("train", image="x")})

    assert verdict.status == "Unknown"


def test_a_model_without_signature_has_none_in_its_status() -> None:
    assert "signature" not in read_result({"digest": given.DIGEST})
