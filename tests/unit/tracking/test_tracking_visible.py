"""What a list of workspaces costs the API server, in a cluster of any size."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from builders.tracking import (
    API_SERVER,
    OPERATOR,
    SCIENTIST,
    STRANGER,
    FakeKube,
    bearer,
    person_token,
)
from trainyard_tracking import visible as seeing
from trainyard_tracking.auth.caller import CALLER, SHOWN
from trainyard_tracking.errors import Busy, Unavailable
from trainyard_tracking.reviews import KEPT_SECONDS, REFUSALS, Allowance, Permission, Reviews
from trainyard_tracking.visible import _SPREAD, KEPT_SECONDS_EACH, OF_ALL, OF_ONE, Visible
from trainyard_tracking.watching import Cache, Watcher
from trainyard_tracking.workspaces import MANY, Namespaces

THOUSAND = ["team", *(f"team-{number}" for number in range(999))]


class Clock:
    now = 6000.0

    def __call__(self):
        return self.now


class Seen:
    """One service, and what its lists cost."""

    def __init__(self):
        self.kube, self.clock = FakeKube(), Clock()
        self.reviews = Reviews(self.kube, self.clock)
        self.visible = Visible(self.reviews, self.clock)

    def by(self, token, names):
        """List as who has the token; give the names, or None where they are not known yet."""
        person = self.reviews.person(token)
        try:
            return self.visible.among(person, "list", "runs", names)
        except Busy:
            return None

    def cost(self, token, names):
        self.reviews.person(token)
        before = self.kube.reviews
        self.by(token, names)
        return self.kube.reviews - before


@pytest.fixture
def seen():
    return Seen()


def test_who_may_list_all_costs_one_question(seen):
    assert seen.cost(OPERATOR, THOUSAND) == 1
    assert seen.by(OPERATOR, THOUSAND) == THOUSAND


def test_others_see_only_theirs_and_are_asked_about_once(seen):
    assert seen.by(SCIENTIST, ["a", "team", "z"]) == ["team"]
    assert seen.cost(SCIENTIST, ["a", "team", "z"]) == 0
    assert seen.cost(SCIENTIST, ["a", "new", "team", "z"]) == 1


def test_what_was_said_of_many_is_kept_for_longer(seen):
    names = THOUSAND[:500]
    assert seen.by(SCIENTIST, names) == ["team"]
    seen.clock.now += KEPT_SECONDS_EACH * len(names) - 1
    assert seen.cost(SCIENTIST, names) == 1  # whether he may list all
    seen.clock.now += 2
    assert seen.cost(SCIENTIST, names) == len(names)


def test_a_right_that_was_taken_away_is_noticed_in_a_minute_where_there_are_few(seen):
    assert seen.by(SCIENTIST, ["team"]) == ["team"]
    seen.clock.now += KEPT_SECONDS + 1
    assert seen.cost(SCIENTIST, ["team"]) == 2


def test_a_stranger_who_asks_without_end_costs_so_much_a_minute_with_any_number_of_tokens(seen):
    names = [f"ns-{number}" for number in range(10_000)]
    for number in range(20):
        assert seen.by(person_token("mallory", API_SERVER, str(number)), names) is None

    # And a question for each token.
    assert seen.visible.allowance.of_one == OF_ONE
    assert seen.kube.reviews <= OF_ONE + 2 * 20


def test_all_together_cost_so_much_a_minute(seen):
    names = [f"ns-{number}" for number in range(OF_ONE)]
    people = [person_token(f"p{number}", API_SERVER) for number in range(8)]
    for token in people:
        seen.by(token, names)

    assert seen.kube.reviews <= OF_ALL + 2 * len(people)


def accounts(namespace):
    return [
        person_token(f"system:serviceaccount:{namespace}:sa-{number}", API_SERVER)
        for number in range(4)
    ]


def test_the_accounts_of_one_namespace_cost_what_one_may(seen):
    names = [f"ns-{number}" for number in range(OF_ONE)]
    for token in accounts("evil"):
        seen.by(token, names)

    assert seen.kube.reviews <= OF_ONE + 2 * 4
    assert seen.by(SCIENTIST, THOUSAND) == ["team"]


def test_what_others_spent_leaves_a_quarter_for_who_comes_last(seen):
    for number in (0, 1, 2, 3, 4, 4):
        seen.by(person_token(f"p{number}", API_SERVER), THOUSAND[: OF_ONE * 5 // 8])

    assert seen.visible.allowance._all <= OF_ALL * 3 // 4
    assert seen.by(SCIENTIST, THOUSAND[: OF_ONE // 4]) == ["team"]
    assert seen.visible.allowance._all <= OF_ALL


def test_refusals_of_the_accounts_of_one_namespace_count_together(seen):
    first, second, *_ = accounts("evil")
    person = seen.reviews.person(first)
    for number in range(REFUSALS):
        assert not seen.reviews.may(person, Permission("runs", "list", f"ns-{number}"))

    right = Permission("runs", "list", "team")
    with pytest.raises(Busy, match="your namespace"):
        seen.reviews.may(seen.reviews.person(second), right)
    assert seen.reviews.may(seen.reviews.person(SCIENTIST), right)


def test_a_list_is_whole_once_enough_minutes_have_passed(seen):
    names = [*(f"ns-{number}" for number in range(2_500)), "team"]
    tries = 1
    while (found := seen.by(SCIENTIST, names)) is None:
        tries += 1
        seen.clock.now += 60
    assert found == ["team"]
    assert tries == 3


def test_who_has_to_wait_is_told_for_how_long_and_how_far_it_is(seen):
    names = [f"ns-{number}" for number in range(OF_ONE + 1)]
    with pytest.raises(Busy, match="1000 are looked at") as told:
        seen.visible.among(seen.reviews.person(SCIENTIST), "list", "runs", names)
    assert 0 < int(told.value.headers["Retry-After"]) <= 61 + len(_SPREAD)


def test_those_who_have_to_wait_are_not_told_the_same_second(seen):
    names = [f"ns-{number}" for number in range(OF_ONE + 1)]
    scientist, told = seen.reviews.person(SCIENTIST), set()
    for _ in range(50):
        with pytest.raises(Busy) as busy:
            seen.visible.among(scientist, "list", "runs", names)
        told.add(busy.value.again)
    assert len(told) > 1
    assert max(told) - min(told) < len(_SPREAD)


@pytest.mark.parametrize(
    ("others", "shown", "listed"),
    [
        ("ns", "team", ["team"]),  # not looked at when the minute's questions are spent
        ("ns", "", []),
        ("ns", "ns-3", []),
        ("zz", "", ["team"]),
        ("ns", None, None),
    ],
)
def test_the_ui_sees_what_is_known_and_where_it_is(seen, others, shown, listed):
    names = ["team", *(f"{others}-{number}" for number in range(OF_ONE))]
    for name in names:
        seen.kube.write(f"/api/v1/namespaces/{name}", {"metadata": {"name": name, "uid": name}})
    cache = Cache("namespaces")
    Watcher(seen.kube, cache).list_once()
    workspaces = Namespaces(cache, seen.visible)
    workspaces.used = lambda: names

    contexts = [(CALLER, CALLER.set(seen.reviews.person(SCIENTIST))), (SHOWN, SHOWN.set(shown))]
    try:
        if listed is None:
            with pytest.raises(Busy):
                workspaces.list_workspaces()
        else:
            for _ in range(2):
                assert [one.name for one in workspaces.list_workspaces()] == listed
    finally:
        for variable, token in contexts:
            variable.reset(token)


def test_a_cluster_that_is_away_is_no_proof_that_there_is_nothing(seen):
    assert seen.by(SCIENTIST, ["team"]) == ["team"]
    seen.kube.down = True
    assert seen.by(SCIENTIST, ["team"]) == ["team"]
    with pytest.raises(Unavailable):
        seen.by(SCIENTIST, ["b", "team"])


def test_pages_that_are_opened_at_once_ask_once(seen):
    scientist = seen.reviews.person(SCIENTIST)
    seen.kube.reviews = 0
    together = threading.Barrier(6)

    def ask():
        together.wait(20)
        return seen.visible.among(scientist, "list", "runs", THOUSAND[:100])

    with ThreadPoolExecutor(6) as pool:
        found = [one.result(60) for one in [pool.submit(ask) for _ in range(6)]]
    assert found == [["team"]] * 6
    # Of the first question each may be one's own.
    assert seen.kube.reviews <= 100 + 6


def test_what_is_kept_of_people_is_bounded(seen, monkeypatch):
    monkeypatch.setattr(seeing, "_MOST", 100)
    monkeypatch.setattr(seeing, "_PEOPLE", 5)
    for number in range(30):
        token = person_token(f"p{number}", API_SERVER)
        seen.by(token, [f"ns-{one}" for one in range(40)])
    assert len(seen.visible._known) <= 5
    assert sum(len(one.said) for one in seen.visible._known.values()) <= 100 + 40


@pytest.mark.parametrize(("count", "listed"), [(MANY - 1, MANY), (MANY, 1)])
def test_of_very_many_namespaces_those_are_listed_that_were_used(seen, count, listed):
    kube = seen.kube
    for name in ("team", *(f"ns-{number}" for number in range(count))):
        kube.write(f"/api/v1/namespaces/{name}", {"metadata": {"name": name, "uid": name}})
    cache = Cache("namespaces")
    Watcher(kube, cache).list_once()
    workspaces = Namespaces(cache, seen.visible)
    workspaces.used = lambda: {"team", "gone"}

    caller = CALLER.set(seen.reviews.person(STRANGER))
    kube.reviews = 0
    try:
        assert list(workspaces.list_workspaces()) == []
    finally:
        CALLER.reset(caller)
    assert kube.reviews == 1 + listed


def test_only_the_ui_is_given_a_list_that_is_not_whole(world, monkeypatch):
    from mlflow.server import handlers  # noqa: PLC0415  # reads its environment

    visible = handlers._get_workspace_store().visible
    monkeypatch.setattr(visible, "allowance", Allowance(0, 0, visible.clock))
    monkeypatch.setattr(visible, "_known", type(visible._known)())
    headers = bearer(SCIENTIST, **{"X-MLFLOW-WORKSPACE": "team"})

    seen = world.client.get("/ajax-api/3.0/mlflow/workspaces", headers=headers)
    told = world.client.get("/api/3.0/mlflow/workspaces", headers=headers)

    assert [one["name"] for one in seen.json()["workspaces"]] == ["team"]
    assert (told.status_code, "Retry-After" in told.headers) == (429, True)
