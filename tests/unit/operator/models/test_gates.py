import pytest
from builders.registry import at_least, at_most, better_than
from trainyard_api.conditions import RefusalReason
from trainyard_operator.models import gates
from trainyard_operator.models.gates import Figures, Requirement

CANDIDATE = "0.96"


def failure(
    requirement: Requirement, figure: str | None = CANDIDATE, incumbent: str | None = "0.95"
) -> gates.Failure | None:
    """Check a candidate (version 2) against an incumbent (version 1) of stage production."""
    return gates.check(
        requirement,
        candidate=Figures(2, {} if figure is None else {"accuracy": figure}),
        incumbents={"production": Figures(1, {} if incumbent is None else {"accuracy": incumbent})},
    )


@pytest.mark.parametrize(
    ("requirement", "figure", "incumbent"),
    [
        pytest.param(at_least("accuracy", "0.9"), "0.91", None, id="above a threshold"),
        pytest.param(at_least("accuracy", "0.9"), "0.9", None, id="at a threshold"),
        pytest.param(at_most("accuracy", "0.2"), "0.2", None, id="at an upper threshold"),
        pytest.param(at_most("accuracy", "0.2"), "-1e-3", None, id="below an upper threshold"),
        pytest.param(better_than("production"), "0.96", "0.95", id="better than the incumbent"),
        pytest.param(
            better_than("production", margin="0.01"), "0.96", "0.95", id="better by the margin"
        ),
        pytest.param(
            better_than("production", margin="0.01"),
            "0.9600000000000001",
            "0.95",
            id="better by a hair more than the margin",
        ),
        pytest.param(
            better_than("production", goal="minimize"), "0.1", "0.2", id="less where less is more"
        ),
        pytest.param(better_than("staging"), "0.1", "0.99", id="an empty stage beats nobody"),
    ],
)
def test_a_gate_lets_pass(requirement: Requirement, figure: str, incumbent: str | None) -> None:
    assert failure(requirement, figure, incumbent) is None


@pytest.mark.parametrize(
    ("requirement", "figure", "incumbent", "reason", "told"),
    [
        pytest.param(
            at_least("accuracy", "0.9"), "0.81", None,
            RefusalReason.BELOW_THRESHOLD, ["accuracy", "0.81", "0.9"], id="below a threshold",
        ),
        pytest.param(
            at_most("accuracy", "0.2"), "0.21", None,
            RefusalReason.ABOVE_THRESHOLD, ["accuracy", "0.21", "0.2"],
            id="above an upper threshold",
        ),
        pytest.param(
            at_least("accuracy", "0.9"), "inf", None,
            RefusalReason.METRIC_NOT_A_NUMBER, ["inf", "infinite"], id="infinitely good",
        ),
        pytest.param(
            at_most("accuracy", "0.9"), "-Infinity", None,
            RefusalReason.METRIC_NOT_A_NUMBER, ["-Infinity", "infinite"], id="infinitely low",
        ),
        pytest.param(
            at_least("accuracy", "0.9"), "nan", None,
            RefusalReason.METRIC_NOT_A_NUMBER, ["accuracy", "nan"], id="NaN against a threshold",
        ),
        pytest.param(
            better_than("production"), "NaN", "0.95",
            RefusalReason.METRIC_NOT_A_NUMBER, ["accuracy", "NaN"], id="NaN against an incumbent",
        ),
        pytest.param(
            better_than("staging"), "NaN", None,
            RefusalReason.METRIC_NOT_A_NUMBER, ["NaN"], id="NaN against an empty stage",
        ),
        pytest.param(
            at_least("accuracy", "0.9"), "good", None,
            RefusalReason.METRIC_NOT_A_NUMBER, ["good"], id="a word",
        ),
        pytest.param(
            at_least("accuracy", "0.9"), None, None,
            RefusalReason.METRIC_MISSING, ["accuracy", "version 2", "none"], id="not logged",
        ),
        pytest.param(
            better_than("production"), "0.95", "0.95",
            RefusalReason.NOT_BETTER, ["0.95", "version 1", "production"], id="equal is not better",
        ),
        pytest.param(
            better_than("production", margin="0.01"), "0.959", "0.95",
            RefusalReason.NOT_BETTER, ["0.959", "0.95", "0.01"],
            id="better by less than the margin",
        ),
        pytest.param(
            better_than("production", goal="minimize"), "0.3", "0.2",
            RefusalReason.NOT_BETTER, ["0.3", "0.2", "minimize"], id="more where less is more",
        ),
        pytest.param(
            better_than("production"), "inf", "inf",
            RefusalReason.METRIC_NOT_A_NUMBER, ["version 2", "infinite"], id="two infinities",
        ),
        pytest.param(
            better_than("production"), "0.96", "inf",
            RefusalReason.INCUMBENT_NOT_COMPARABLE, ["version 1", "infinite"],
            id="an infinite incumbent",
        ),
        pytest.param(
            better_than("production"), "0.96", None,
            RefusalReason.INCUMBENT_NOT_COMPARABLE, ["version 1", "production"],
            id="an incumbent that never logged the metric",
        ),
        pytest.param(
            better_than("production"), "0.96", "nan",
            RefusalReason.INCUMBENT_NOT_COMPARABLE, ["nan"], id="an incumbent with NaN",
        ),
    ],
)  # fmt: skip
def test_a_gate_refuses_and_names_the_figures(
    requirement: Requirement,
    figure: str | None,
    incumbent: str | None,
    reason: str,
    told: list[str],
) -> None:
    found = failure(requirement, figure, incumbent)

    assert found is not None
    assert found.reason == reason
    assert [word for word in told if word not in found.message] == []


def test_a_version_is_not_better_than_itself_and_the_message_says_so() -> None:
    same = Figures(2, {"accuracy": "0.9"})

    found = gates.check(better_than("staging"), candidate=same, incumbents={"staging": same})

    assert found is not None
    assert "the same version" in found.message


def test_every_requirement_that_fails_is_told() -> None:
    requirements = [at_least("accuracy", "0.9"), at_most("loss", "0.1"), at_least("f1", "0.5")]
    candidate = Figures(3, {"accuracy": "0.95", "loss": "0.2"})

    found = gates.check_all(requirements, candidate=candidate, incumbents={})

    assert [f.reason for f in found] == [
        RefusalReason.ABOVE_THRESHOLD,
        RefusalReason.METRIC_MISSING,
    ]
