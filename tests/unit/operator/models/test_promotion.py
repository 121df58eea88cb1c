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
from trainyard_operator.models import pointers, promotion
from trainyard_operator.models.promotion import Promotion

GATED = automatic(at_least("accuracy", "0.9"))


def only(promotions: tuple[Promotion, ...]) -> Promotion:
    (one,) = promotions
    return one


def test_the_newest_that_passes_is_written() -> None:
    told = promotion.decide(registry(GATED, versions=(version(1, "0.91"), version(2, "0.95"))))

    assert only(told).write == 2


def test_a_newest_that_fails_does_not_hide_an_older_one_that_passes() -> None:
    told = only(promotion.decide(registry(GATED, versions=(version(1, "0.95"), version(2, "0.5")))))

    assert told.write == 1
    assert told.refusal is not None
    assert told.refusal.version == 2


def test_a_refused_candidate_is_named_with_its_figure() -> None:
    told = only(
        promotion.decide(
            registry(GATED, versions=(version(1, "0.95"), version(2, "0.5")), held={"staging": 1},
                     owners=promoter_owns("staging"))
        )
    )  # fmt: skip

    assert told.write is None
    assert told.candidate == 2
    assert told.refusal is not None
    assert "0.5" in told.refusal.message


def test_only_versions_newer_than_any_that_held_the_stage_are_candidates() -> None:
    told = only(
        promotion.decide(
            registry(
                GATED,
                versions=(version(1, "0.91"), version(2, "0.99")),
                held={"staging": 1},
                owners=promoter_owns("staging"),
                history=(move("staging", None, 2), move("staging", 2, 1)),
            )
        )
    )

    assert told.write is None


def test_versions_that_are_not_published_or_going_are_no_candidates() -> None:
    versions = (
        version(1, "0.95", phase="Publishing"),
        version(2, "0.95", phase="Rejected"),
        version(3, "0.95", deleting=True),
    )

    assert only(promotion.decide(registry(GATED, versions=versions))).write is None


def test_better_than_itself_compares_with_what_the_stage_holds() -> None:
    stage = automatic(better_than("staging", margin="0.01"))
    versions = (version(1, "0.95"), version(2, "0.955"), version(3, "0.96"))

    told = promotion.decide(
        registry(stage, versions=versions, held={"staging": 1}, owners=promoter_owns("staging"))
    )

    assert only(told).write == 3


def test_a_pin_is_respected_and_its_owner_named() -> None:
    told = only(
        promotion.decide(
            registry(
                GATED,
                versions=(version(1, "0.95"), version(2, "0.99")),
                held={"staging": 1},
                owners={"staging": "argocd"},
            )
        )
    )

    assert told.write is None
    assert told.blocked_by == "argocd"
    assert told.candidate == 2


def test_a_pin_that_asks_for_what_would_be_promoted_anyway_blocks_nothing() -> None:
    told = only(
        promotion.decide(
            registry(
                GATED,
                versions=(version(1, "0.95"), version(2, "0.99")),
                held={"staging": 1},
                wanted={"staging": 2},
                owners={"staging": "kubectl"},
            )
        )
    )

    assert told.blocked_by == ""


def test_un_pinning_brings_back_what_held_until_something_newer_passes() -> None:
    told = only(
        promotion.decide(
            registry(GATED, versions=(version(1, "0.95"),), held={"staging": 1}, wanted={})
        )
    )

    assert told.write == 1


def test_un_pinning_goes_to_a_newer_one_that_passes() -> None:
    told = only(
        promotion.decide(
            registry(
                GATED,
                versions=(version(1, "0.95"), version(2, "0.96")),
                held={"staging": 1},
                wanted={},
            )
        )
    )

    assert told.write == 2


def test_approval_stages_are_nobodys_but_peoples() -> None:
    assert promotion.decide(registry(approval(), versions=(version(1, "1"),))) == ()


def test_what_was_written_passes_when_the_pointer_is_decided() -> None:
    versions = (version(1, "0.91"), version(2, "0.95"))
    write = only(promotion.decide(registry(GATED, versions=versions))).write
    assert write is not None

    told = pointers.decide(
        registry(
            GATED, versions=versions, wanted={"staging": write}, owners=promoter_owns("staging")
        ),
        now=NOW,
    )

    assert told.aliases == {"staging": 2}
    assert told.moves[0].by == "trainyard"
