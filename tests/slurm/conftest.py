"""One Slurm for all tests here; each leaves it without jobs."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.live import helpers
from tests.slurm.cluster import SlurmCluster


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.live)


@pytest.fixture(scope="package")
def _cluster() -> Iterator[SlurmCluster]:
    os.environ["PYTHONPATH"] = helpers.SOURCES  # Jobs must find the packages too.
    cluster = SlurmCluster()
    yield cluster
    cluster.close()


@pytest.fixture
def slurm(_cluster: SlurmCluster, monkeypatch: pytest.MonkeyPatch) -> Iterator[SlurmCluster]:
    for name, value in _cluster.variables.items():
        monkeypatch.setenv(name, value)
    yield _cluster
    _cluster.clear()
