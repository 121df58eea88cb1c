"""What a container of ours says of its end can always be written into a status."""

import json

import orjson
import pytest
from trainyard_operator.termination import reported

# As Python reads the name of a file that is no UTF-8.
NAME = b"caf\xe9.py".decode(errors="surrogateescape")


@pytest.mark.parametrize(
    ("said", "told"),
    [
        pytest.param({"message": f"no {NAME}"}, {"message": "no caf?.py"}, id="a text"),
        pytest.param({NAME: [{"a": NAME}]}, {"caf?.py": [{"a": "caf?.py"}]}, id="deep inside"),
        pytest.param({"message": "\U0001f600 é"}, {"message": "\U0001f600 é"}, id="whole letters"),
        pytest.param({"size": 3, "ok": None}, {"size": 3, "ok": None}, id="no text"),
    ],
)
def test_half_a_letter_becomes_a_question_mark(said: object, told: object) -> None:
    found = reported({"message": json.dumps(said)})

    assert found == told
    assert orjson.loads(orjson.dumps(found)) == told


@pytest.mark.parametrize("said", ["", "Traceback", "[1]", "[" * 4000, '{"a":' * 800 + "1"])
def test_a_programs_words_report_nothing(said: str) -> None:
    assert reported({"message": said}) == {}
