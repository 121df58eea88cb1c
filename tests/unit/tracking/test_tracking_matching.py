"""LIKE in the registry's searches: SQLite's meaning, and a cost that nobody can drive up."""

import random
import sqlite3

import pytest
from trainyard_tracking.registry.matching import Like

ROUNDS = 3000


@pytest.fixture
def sqlite():
    connection = sqlite3.connect(":memory:")
    connection.execute("PRAGMA case_sensitive_like = true")
    yield connection
    connection.close()


def drawn(chance: random.Random, letters: str, most: int) -> str:
    return "".join(chance.choice(letters) for _ in range(chance.randint(0, most)))


def test_like_means_what_it_means_in_sqlite(sqlite):
    chance = random.Random(7)  # the same words each time
    wrong = []
    for _ in range(ROUNDS):
        text, pattern = drawn(chance, "abABé\n", 9), drawn(chance, "abABé\n%%__", 7)
        (like,) = sqlite.execute("SELECT ? LIKE ?", (text, pattern)).fetchone()
        (ilike,) = sqlite.execute("SELECT lower(?) LIKE lower(?)", (text, pattern)).fetchone()
        said = (Like(pattern).matches(text), Like(pattern, ignore_case=True).matches(text))
        if said != (bool(like), bool(ilike)):
            wrong.append((text, pattern))

    assert wrong == []


class Letters(str):
    """A text that counts how often somebody looks at one of its letters."""

    __slots__ = ()
    looks = 0

    def __getitem__(self, key):
        Letters.looks += 1
        return super().__getitem__(key)


@pytest.mark.parametrize("pattern", ["%a_a%a_a%a_b", "%a_%a_%a_%a_%a_%a_%b", "%_a_a_a_a_b%"])
def test_no_letter_is_looked_at_more_than_once_for_each_piece_it_may_be_in(pattern):
    text = Letters("a" * 5000)
    Letters.looks = 0

    assert not Like(pattern).matches(text)
    assert Letters.looks <= 2 * len(text)


@pytest.mark.parametrize("pattern", ["%a" * 1000 + "%b", "%a_" * 1000 + "%b", "%" * 4000 + "b"])
def test_a_pattern_that_a_regular_expression_never_finishes_is_answered(pattern):
    assert not Like(pattern).matches("a" * 100_000)
    assert Like(pattern).matches("a" * 100_000 + "b")


def test_searches_of_models_and_versions_use_it(registry):
    many = "a" * 900
    registry.add(tags=[{"key": "k", "value": many}])
    hostile = "tags.k LIKE '" + "%a" * 40 + "%b'"
    kind = "tags.k ILIKE 'A%_A'"

    found = [
        len(registry.call("GET", "model-versions/search", filter=wanted).json())
        for wanted in (hostile, f"name = '{registry.name}' AND {kind}")
    ]

    assert found == [0, 1]


@pytest.mark.parametrize("wanted", ["(" * 3000, "name LIKE", "name = 'x' OR name = 'y'", ";" * 999])
@pytest.mark.parametrize("path", ["registered-models/search", "model-versions/search"])
def test_a_filter_that_can_not_be_read_is_the_callers_fault(registry, path, wanted):
    assert registry.call("GET", path, filter=wanted).status_code == 400
