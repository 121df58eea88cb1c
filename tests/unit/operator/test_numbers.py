import pytest
from trainyard_api.names import next_version
from trainyard_operator.numbers import LISTED, Retired, is_retired, retire


def test_a_deleted_version_is_retired() -> None:
    told = retire(Retired(), existing={1, 2}, deleting={2}, pointed=set())

    assert told == Retired(2, (2,))
    assert is_retired(told, 2)
    assert not is_retired(told, 1)


def test_a_version_that_a_pointer_holds_is_not_let_go() -> None:
    told = retire(Retired(), existing={1, 2}, deleting={1, 2}, pointed={2})

    assert told.numbers == (1,)


def test_a_number_is_not_reused_after_the_highest_is_deleted() -> None:
    told = retire(Retired(), existing={1, 2, 3}, deleting={3}, pointed=set())

    assert next_version({1, 2}, told.highest) == 4


def test_a_version_that_vanished_without_being_retired_spends_its_number_all_the_same() -> None:
    told = retire(Retired(), existing={1}, deleting=set(), pointed=set(), latest_seen=3)

    assert told.highest == 3


def test_retiring_again_changes_nothing() -> None:
    once = retire(Retired(), existing={1, 2}, deleting={2}, pointed=set(), latest_seen=2)

    assert retire(once, existing={1, 2}, deleting={2}, pointed=set(), latest_seen=2) == once
    assert retire(once, existing={1}, deleting=set(), pointed=set(), latest_seen=2) == once


@pytest.mark.parametrize("count", [LISTED, LISTED + 1, 3 * LISTED])
def test_however_many_go_at_once_each_gets_its_turn(count: int) -> None:
    existing = set(range(1, count + 1))
    retired = Retired()
    rounds = 0
    while existing:
        retired = retire(retired, existing=existing, deleting=existing, pointed=set())
        assert len(retired.numbers) <= LISTED
        existing -= {n for n in existing if is_retired(retired, n)}
        rounds += 1

    assert rounds == -(-count // LISTED)
    assert retired.highest == count
