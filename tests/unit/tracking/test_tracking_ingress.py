"""MLflow's UI behind an ingress and a proxy that adds the user's token, as oauth2-proxy does."""

from typing import Any

import httpx
import pytest
from builders.tracking import SCIENTIST

HOST = "mlflow.example.org"
SEARCH = "/ajax-api/2.0/mlflow/runs/search"


@pytest.fixture
def behind_proxy(world: Any) -> httpx.Client:
    """Ask as a browser whose requests came through such a proxy."""
    headers = {
        "Host": HOST,
        "Authorization": f"Bearer {SCIENTIST}",
        "X-MLFLOW-WORKSPACE": "team",
        "X-Forwarded-Proto": "https",
        "X-Forwarded-Host": HOST,
        "Cookie": "_oauth2_proxy=signed",
    }
    with httpx.Client(base_url=world.url, headers=headers) as client:
        yield client


def test_a_page_that_came_from_the_ingress_may_write(behind_proxy: httpx.Client) -> None:
    body = {"experiment_ids": ["0"]}
    answer = behind_proxy.post(SEARCH, json=body, headers={"Origin": f"https://{HOST}"})

    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize("origin", ["https://evil.example.org", f"https://{HOST}.evil", "null"])
def test_a_page_from_elsewhere_may_not(behind_proxy: httpx.Client, origin: str) -> None:
    answer = behind_proxy.post(SEARCH, json={}, headers={"Origin": origin})

    assert (answer.status_code, answer.text) == (403, "Cross-origin request blocked")
