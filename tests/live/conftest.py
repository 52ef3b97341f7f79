"""All tests here start real processes, from this source tree wherever they run."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

import vine
from tests.live import helpers


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.live)


@pytest.fixture(scope="session", autouse=True)
def _sources_on_path() -> None:
    # What the client starts must find the packages also from another folder.
    os.environ["PYTHONPATH"] = helpers.SOURCES


@pytest.fixture(scope="module")
def manager(site: helpers.Site) -> Iterator[vine.Manager]:
    """Of the site that a file of tests has for all of them."""
    with site.client() as manager:
        yield manager


@pytest.fixture(scope="module")
def executor(manager: vine.Manager) -> Iterator[vine.Executor]:
    with vine.Executor(manager) as executor:
        yield executor
