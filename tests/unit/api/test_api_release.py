"""Every part says the same release."""

import tomllib
from pathlib import Path

import pytest
import yaml
from trainyard_api.contract import RELEASE

ROOT = Path(__file__).parents[3]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
CHART = yaml.safe_load((ROOT / "charts/trainyard/Chart.yaml").read_text("utf-8"))


@pytest.mark.parametrize(
    "said",
    [
        pytest.param(PROJECT["version"], id="the package"),
        pytest.param(CHART["version"], id="the chart"),
        pytest.param(CHART["appVersion"], id="what the chart installs"),
    ],
)
def test_the_release_is_said_alike(said: str) -> None:
    assert said == RELEASE
