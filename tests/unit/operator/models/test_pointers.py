from datetime import timedelta

import pytest
from builders.registry import (
    NOW,
    approval,
    at_least,
    automatic,
    better_than,
    move,
    promoter_owns,
    registry,
    version,
)
from trainyard_api.conditions import RefusalReason
from trainyard_operator.models import pointers
from trainyard_operator.models.pointers import Registry

GATED = approval(at_least("accuracy", "0.9"), name="production")
GOOD = version(2, "0.95")
WEAK = version(3, "0.81")
NAN = version(4, "nan")


def decide(registry: Registry) -> pointers.Pointers:
    return pointers.decide(registry, now=NOW)


class TestMoving:
    def test_a_version_that_passes_takes_an_empty_stage(self) -> None:
        told = decide(registry(GATED, versions=(GOOD,), wanted={"production": 2}))

        assert told.aliases == {"production": 2}
        assert [(m.before, m.after, m.reason) for m in told.moves] == [(None, 2, "GatesPassed")]

    def test_a_move_keeps_what_was_held_and_who_moved_it(self) -> None:
        told = decide(
            registry(
                GATED,
                versions=(version(1, "0.91"), GOOD),
                held={"production": 1},
                wanted={"production": 2},
                promoters={"production": "ann@example.org"},
            )
        )

        holding = told.holdings[0]
        assert (holding.version, holding.previous) == (2, 1)
        assert (holding.by, holding.since) == ("ann@example.org", NOW)

    def test_a_move_is_by_who_wished_for_that_stage_whoever_wrote_the_model_since(self) -> None:
        told = decide(
            registry(
                GATED,
                versions=(GOOD,),
                wanted={"production": 2},
                promoters={"production": "ann@example.org", "canary": "bob@example.org"},
            )
        )

        assert told.moves[0].by == "ann@example.org"

    def test_a_move_that_the_promoter_wrote_is_by_trainyard(self) -> None:
        told = decide(
            registry(
                automatic(),
                versions=(GOOD,),
                wanted={"staging": 2},
                owners=promoter_owns("staging"),
                promoters={"staging": "ann@example.org"},
            )
        )

        assert told.moves[0].by == "trainyard"

    def test_a_move_by_hand_of_an_automatic_stage_is_by_the_owner_of_the_field(self) -> None:
        told = decide(
            registry(
                automatic(),
                versions=(GOOD,),
                wanted={"staging": 2},
                owners={"staging": "kubectl-edit"},
                promoters={"staging": "ann@example.org"},
            )
        )

        assert told.moves[0].by == "kubectl-edit"

    def test_what_is_wanted_and_held_is_left_alone_even_if_the_gates_got_stricter(self) -> None:
        told = decide(registry(GATED, versions=(WEAK,), held={"production": 3}))

        assert told.moves == ()
        assert told.holdings[0].refusal is None

    def test_the_old_value_is_a_rollback_without_gates(self) -> None:
        told = decide(
            registry(
                GATED,
                versions=(WEAK, version(5, "0.99")),
                held={"production": 5},
                wanted={"production": 3},
                history=(move("production", None, 3), move("production", 3, 5)),
            )
        )

        assert told.aliases == {"production": 3}
        assert told.moves[0].reason == "HeldBefore"

    def test_having_held_another_stage_is_no_rollback(self) -> None:
        told = decide(
            registry(
                GATED,
                versions=(GOOD, WEAK),
                held={"production": 2},
                wanted={"production": 3},
                history=(move("staging", None, 3),),
            )
        )

        assert told.aliases == {"production": 2}

    def test_force_names_the_version_that_it_forces(self) -> None:
        told = decide(registry(GATED, versions=(WEAK,), wanted={"production": 3}, force=3))

        assert told.aliases == {"production": 3}
        assert told.moves[0].reason == "Forced"

    def test_force_of_another_version_forces_nothing(self) -> None:
        told = decide(registry(GATED, versions=(WEAK,), wanted={"production": 3}, force=2))

        assert told.aliases == {}

    def test_taking_an_alias_away_empties_an_approval_stage(self) -> None:
        told = decide(registry(GATED, versions=(GOOD,), held={"production": 2}, wanted={}))

        assert told.aliases == {}
        assert told.moves[0].reason == "Released"

    def test_taking_an_alias_away_does_not_empty_an_automatic_stage(self) -> None:
        told = decide(registry(automatic(), versions=(GOOD,), held={"staging": 2}, wanted={}))

        assert told.aliases == {"staging": 2}
        assert told.moves == ()

    def test_an_alias_that_becomes_a_stage_keeps_what_it_held(self) -> None:
        told = decide(
            registry(GATED, versions=(WEAK,), aliases={"production": 3}, wanted={"production": 3})
        )

        assert told.aliases == {"production": 3}
        assert told.holdings[0].version == 3

    def test_stages_are_compared_as_they_held_before_the_decision(self) -> None:
        stricter = approval(better_than("staging"), name="production")
        told = decide(
            registry(
                automatic(name="staging"),
                stricter,
                versions=(version(1, "0.9"), version(2, "0.95")),
                held={"staging": 1},
                wanted={"staging": 2, "production": 2},
            )
        )

        assert told.aliases == {"staging": 2, "production": 2}

    def test_a_stage_without_requirements_passes_all(self) -> None:
        told = decide(registry(approval(), versions=(NAN,), wanted={"production": 4}))

        assert told.moves[0].reason == "NoGates"


class TestRefusing:
    @pytest.mark.parametrize(
        ("wanted", "reason", "told"),
        [
            pytest.param(
                3, RefusalReason.BELOW_THRESHOLD, "0.81", id="a weak one, with its figure"
            ),
            pytest.param(4, RefusalReason.METRIC_NOT_A_NUMBER, "nan", id="one whose metric is NaN"),
            pytest.param(5, RefusalReason.METRIC_MISSING, "accuracy", id="one without the metric"),
            pytest.param(6, RefusalReason.VERSION_NOT_PUBLISHED, "Publishing", id="one on its way"),
            pytest.param(7, RefusalReason.VERSION_REJECTED, "pickle", id="one that was rejected"),
            pytest.param(8, RefusalReason.VERSION_MISSING, "deleted", id="one that is going"),
            pytest.param(
                9, RefusalReason.VERSION_MISSING, "no version 9", id="one that is not there"
            ),
        ],
    )
    def test_the_pointer_that_holds_stays_and_says_why(
        self, wanted: int, reason: str, told: str
    ) -> None:
        found = decide(
            registry(
                GATED,
                versions=(
                    GOOD,
                    WEAK,
                    NAN,
                    version(5),
                    version(6, "1", phase="Publishing"),
                    version(7, "1", phase="Rejected", problem="pickle is not allowed"),
                    version(8, "1", deleting=True),
                ),
                held={"production": 2},
                wanted={"production": wanted},
            )
        )

        assert found.aliases == {"production": 2}
        assert found.moves == ()
        holding = found.holdings[0]
        assert holding.candidate == wanted
        assert holding.refusal is not None
        assert (holding.refusal.version, holding.refusal.reason) == (wanted, reason)
        assert told in holding.refusal.message

    @pytest.mark.parametrize("number", [6, 9])
    def test_force_does_not_conjure_a_version(self, number: int) -> None:
        versions = (GOOD, version(6, "1", phase="Publishing"))
        told = decide(
            registry(GATED, versions=versions, wanted={"production": number}, force=number)
        )

        assert told.aliases == {}

    def test_a_held_version_that_is_gone_leaves_the_candidate_nothing_to_beat_but_says_so(
        self,
    ) -> None:
        stage = approval(better_than("production"))
        told = decide(
            registry(stage, versions=(GOOD,), held={"production": 1}, wanted={"production": 2})
        )

        refusal = told.holdings[0].refusal
        assert refusal is not None
        assert refusal.reason == RefusalReason.INCUMBENT_NOT_COMPARABLE

    def test_an_old_refusal_goes_once_the_pointer_is_right_again(self) -> None:
        first = decide(
            registry(GATED, versions=(GOOD, WEAK), held={"production": 2}, wanted={"production": 3})
        )
        holdings = {h.stage: h for h in first.holdings}

        second = decide(registry(GATED, versions=(GOOD, WEAK), held={"production": 2},
                                 holdings=holdings))  # fmt: skip

        assert second.holdings[0].refusal is None
        assert second.holdings[0].candidate is None


class TestPlainAliases:
    def test_they_move_freely(self) -> None:
        told = decide(registry(versions=(WEAK,), aliases={"champion": 2}, wanted={"champion": 3}))

        assert told.aliases == {"champion": 3}
        assert told.plain_refusals == ()

    @pytest.mark.parametrize("held", [{}, {"champion": 2}])
    def test_to_a_version_that_is_not_there_they_stay(self, held: dict[str, int]) -> None:
        told = decide(registry(versions=(GOOD,), aliases=held, wanted={"champion": 9}))

        assert told.aliases == held
        assert told.plain_refusals[0][1].reason == RefusalReason.VERSION_MISSING

    def test_taken_away_they_are_gone(self) -> None:
        told = decide(registry(versions=(GOOD,), aliases={"champion": 2}, wanted={}))

        assert told.aliases == {}


class TestHistory:
    def test_it_is_bounded_and_keeps_the_newest(self) -> None:
        moves = [move("production", n % 2 + 1, (n + 1) % 2 + 1) for n in range(30)]

        kept = pointers.trimmed(moves)

        assert len(kept) == pointers.HISTORY_LIMIT
        assert kept[-1] is moves[-1]

    def test_the_move_to_a_stages_highest_version_is_never_forgotten(self) -> None:
        highest = move("staging", 1, 9, time=NOW - timedelta(days=90))
        moves = [highest, *(move("production", 1, 2) for _ in range(40))]

        kept = pointers.trimmed(moves)

        assert len(kept) == pointers.HISTORY_LIMIT
        assert kept[0] is highest
