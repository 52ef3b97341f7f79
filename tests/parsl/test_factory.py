"""Does the factory get the sizes of the configuration?"""

from __future__ import annotations

from typing import Any

import pytest

from vine import errors
from vine.parsl.config import FactoryConfig
from vine.parsl.factory import start_factory


class Started:
    """A pool that notes how its factory was to be started."""

    def __init__(self) -> None:
        self.options: list[str] = []

    def start_factory(self, options: list[str]) -> None:
        self.options = options


def options_for(config: FactoryConfig) -> list[str]:
    pool: Any = Started()
    start_factory(pool, config)
    found: list[str] = pool.options
    return found


def test_what_is_not_said_is_left_to_the_factory() -> None:
    assert options_for(FactoryConfig(worker_timeout=60)) == [
        "--batch-type", "local", "--min-workers", "1", "--max-workers", "1", "--idle-timeout", "60",
    ]  # fmt: skip


def test_sizes_features_and_workspace_are_passed_on() -> None:
    config = FactoryConfig(2, 5, cores=4, memory=1000, disk=2000, gpus=1, features=("a100", "b"), workspace="/scratch")
    words = " ".join(options_for(config))
    assert "--min-workers 2 --max-workers 5 --cores 4 --memory 1000 --disk 2000 --gpus 1" in words
    assert "--workspace /scratch --feature a100 --feature b" in words


def test_a_fleet_that_cannot_be_is_refused() -> None:
    with pytest.raises(errors.UsageError, match="swap them"):
        options_for(FactoryConfig(min_workers=3, max_workers=2))
