"""Which tests share a worker: a layer, because of what it sets up; the cluster's go first."""

from pathlib import PurePosixPath
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling


def layer(nodeid: str) -> str:
    """Return the folder of a test below tests/; unit tests are told apart by their part."""
    return str(PurePosixPath(nodeid.partition("::")[0]).parent)


class ByLayer(LoadScopeScheduling):
    """Gives a layer to one worker, whole."""

    def _split_scope(self, nodeid: str) -> str:
        return layer(nodeid)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByLayer:
    return ByLayer(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    # They wait most, so that another worker has the machine for all the others meanwhile.
    items.sort(key=lambda item: not layer(item.nodeid).endswith("e2e"))
