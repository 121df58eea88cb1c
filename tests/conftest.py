"""Which tests share a worker: a layer, because of what it sets up; the cluster's go first."""

from pathlib import Path

import pytest

TESTS = Path(__file__).parent


def layer(item: pytest.Item) -> str:
    """Return the folder of a test below tests/; unit tests are told apart by their part."""
    return "/".join(item.path.relative_to(TESTS).parent.parts)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        item.add_marker(pytest.mark.xdist_group(layer(item)))
    # They wait most, so that another worker has the machine for all the others meanwhile.
    items.sort(key=lambda item: layer(item) != "e2e")
