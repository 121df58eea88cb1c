"""What each MLflow, unmodified, can do here as a person and as the code of a Run."""

import re

import httpx
import pytest
from builders.tracking import OPERATOR, bearer

from .conftest import Clients
from .environments import MINORS

# What is not for the code of a Run, and what it is told.
REFUSED = {
    "experiment tags": "experiments/set-experiment-tag",
    "tags and descriptions of models": "registered-models",
    "stages": "transition-stage",
    "search traces": "traces",
    "delete traces": "traces",
    "delete an alias": "alias",
    "rename a model": "rename",
    "delete a version and a model": "delete",
    "delete and restore an experiment": "experiments",
    "register prompts": "prompts",
}


@pytest.mark.parametrize("minor", MINORS)
def test_a_person_can_do_all_that_the_version_has(clients: Clients, minor: str) -> None:
    steps = clients.outcomes[minor, "person"]

    assert {n: s for n, s in steps.items() if s["outcome"] not in {"ok", "absent"}} == {}


@pytest.mark.parametrize("minor", MINORS)
def test_the_code_of_a_run_can_do_all_but_what_it_is_refused(clients: Clients, minor: str) -> None:
    steps = clients.outcomes[minor, "run"]
    can = {n: s for n, s in steps.items() if n not in REFUSED}

    assert {n: s for n, s in can.items() if s["outcome"] not in {"ok", "absent"}} == {}


@pytest.mark.parametrize("minor", MINORS)
def test_the_code_of_a_run_is_told_what_it_may_not(clients: Clients, minor: str) -> None:
    steps = clients.outcomes[minor, "run"]
    told = {n: steps[n] for n in REFUSED if steps[n]["outcome"] != "absent"}

    assert {s["outcome"] for s in told.values()} == {"PERMISSION_DENIED"}, told
    assert [n for n, s in told.items() if REFUSED[n] not in s["said"]] == []


def test_no_request_of_any_client_failed_or_was_unknown(clients: Clients) -> None:
    answer = httpx.get(f"{clients.service.url}/metrics", headers=bearer(OPERATOR))
    counted = re.findall(r"trainyard_tracking_requests_total\{.*\} \S+", answer.text)

    assert counted
    assert [line for line in counted if re.search(r'code="5|route="unknown"', line)] == []
