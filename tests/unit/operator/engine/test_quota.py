"""What a quota says is told as what can be done about it."""

import pytest
from trainyard_operator.engine.quota import refusal


@pytest.mark.parametrize(
    "said",
    [
        "failed quota: team: must specify limits.cpu for: main; requests.memory for: main,proxy",
        "failed quota: team: must specify limits.cpu,requests.memory",
        "forbidden: failed quota: a: must specify limits.cpu for: main; requests.memory for: main",
    ],
)
def test_what_a_pod_leaves_out_is_named_with_where_to_set_it(said: str) -> None:
    reason, words = refusal(said) or ("", "")

    assert reason == "ResourcesMissing"
    assert "set spec.resources.limits.cpu, spec.resources.requests.memory, or have" in words
    assert said in words
    assert "room" not in words


def test_a_full_quota_is_told_with_its_figures() -> None:
    said = 'pods "a" is forbidden: exceeded quota: team, requested: cpu=1, used: cpu=1, limited: 1'

    assert refusal(said) == ("QuotaExceeded", f"The namespace's quota leaves no room: {said}")


@pytest.mark.parametrize("said", ["", "violates PodSecurity", "quota of the registry is used up"])
def test_what_others_say_is_no_word_of_a_quota(said: str) -> None:
    assert refusal(said) is None
