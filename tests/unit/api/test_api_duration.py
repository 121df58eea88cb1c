"""Durations as people write them."""

import re
from datetime import timedelta

import pytest
from trainyard_api.duration import format_duration, parse_duration
from trainyard_api.run import RunSpec

WRITTEN = {
    "90s": timedelta(seconds=90),
    "15m": timedelta(minutes=15),
    "1h30m": timedelta(hours=1, minutes=30),
    "1h1s": timedelta(hours=1, seconds=1),
    "0h2m": timedelta(minutes=2),
}
NO_DURATIONS = [
    "",
    "90",
    "0s",
    "0h0m",
    "1.5h",
    "1d",
    "30m1h",
    "-5s",
    "5 s",
    "1h30",
    "1h\n",
    "\u0661s",
]


@pytest.mark.parametrize(("text", "length"), WRITTEN.items())
def test_a_duration_is_read(text: str, length: timedelta) -> None:
    assert parse_duration(text) == length


@pytest.mark.parametrize("text", NO_DURATIONS)
def test_what_is_no_duration_is_refused_with_examples(text: str) -> None:
    with pytest.raises(ValueError, match="write it as 90s, 15m or 1h30m"):
        parse_duration(text)


@pytest.mark.parametrize("text", [*WRITTEN, *NO_DURATIONS])
def test_the_api_server_takes_what_can_be_read(text: str) -> None:
    timeout = RunSpec.model_json_schema()["properties"]["timeout"]["anyOf"][0]
    rule = timeout["x-kubernetes-validations"][0]["rule"]
    patterns = re.findall(r"matches\('(.*?)'\)", rule)
    # Python's $ also matches before a last line break; RE2's does not.
    accepted = all(re.search(pattern.replace("$", r"\Z"), text) for pattern in patterns)

    assert accepted == (text in WRITTEN)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"),
        (-3, "0s"),
        (41.9, "41s"),
        (60, "1m"),
        (185, "3m5s"),
        (3600, "1h"),
        (7805, "2h10m"),
        (86400, "1d"),
        (273600, "3d4h"),
    ],
)
def test_a_length_of_time_is_written_at_a_glance(seconds: float, text: str) -> None:
    assert format_duration(timedelta(seconds=seconds)) == text
