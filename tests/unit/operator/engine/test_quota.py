"""What a quota says is told as what can be done about it."""

import pytest
from trainyard_operator.engine import quota


def refusal(said: str) -> tuple[str, str] | None:
    return quota.refusal(said, ours={"main", "source"})


@pytest.mark.parametrize(
    "said",
    [
        "failed quota: team: must specify limits.cpu for: main; requests.memory for: main,source",
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


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (
            "limits.cpu for: istio-proxy",
            "their limits.cpu: container istio-proxy, which is not",
        ),
        (
            "limits.cpu for: main,proxy; limits.memory for: other",
            "set spec.resources.limits.cpu; container proxy, other, which is not",
        ),
        ("cpu for: main; memory for: main", "set spec.resources.requests.cpu, spec.resources.req"),
        ("memory", "set spec.resources.requests.memory, or have a LimitRange"),
    ],
)
def test_what_a_container_of_others_leaves_out_is_no_field_of_ours(said: str, words: str) -> None:
    reason, told = refusal(f"failed quota: team: must specify {said}") or ("", "")

    assert reason == "ResourcesMissing"
    assert words in told


@pytest.mark.parametrize(
    "said",
    [
        "admission webhook denied the request: pods must specify label team",
        'violates: container "main" must specify runAsNonRoot=true',
        "spec.volumes[3].nfs: Required value: must specify a volume type",
    ],
)
def test_what_policies_want_specified_is_no_quotas(said: str) -> None:
    assert refusal(said) is None
