"""Does the factory get the sizes of the configuration?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from vine import errors
from vine.client.factory import options_named
from vine.factory_options import FactoryOptions
from vine.parsl.config import FactoryConfig
from vine.parsl.factory import start_factory


class Started:
    """A pool that notes how its factory was to be started."""

    def __init__(self) -> None:
        self.options: dict[str, Any] = {}

    def start_factory(self, options: Mapping[str, Any]) -> None:
        self.options = dict(options)


def options_for(config: FactoryConfig) -> FactoryOptions:
    """As the factory reads them."""
    pool: Any = Started()
    start_factory(pool, config)
    return options_named(pool.options)


def test_what_is_not_said_is_left_to_the_factory() -> None:
    given = {"min_workers": 1, "max_workers": 1, "idle_timeout": 60, "batch_type": "local"}
    assert options_for(FactoryConfig(worker_timeout=60)) == options_named(given)


def test_sizes_features_places_and_options_of_the_batch_system_are_passed_on() -> None:
    sizes = {"cores": 4, "memory": 1000, "disk": 2000, "gpus": 1, "workspace": "/scratch", "scratch_dir": "/jobs"}
    config = FactoryConfig(
        2,
        5,
        workers_per_cycle=3,
        batch_type="slurm",
        batch_options=("--partition=main",),
        worker_timeout=60,
        features=("a100", "b"),
        factory_options={"wall_time": 3600},
        **sizes,
    )
    given = {"min_workers": 2, "max_workers": 5, "workers_per_cycle": 3, "idle_timeout": 60, "wall_time": 3600}
    of_slurm = {"batch_type": "slurm", "batch_option": ("--partition=main",)}
    assert options_for(config) == options_named({**given, **of_slurm, **sizes, "feature": ("a100", "b")})


def test_options_of_the_batch_system_may_be_one_text_as_in_parsls_configurations() -> None:
    config = FactoryConfig(batch_type="slurm", batch_options="--partition=main --comment='two words'")
    assert options_for(config).batch_option == ("--partition=main", "--comment=two words")


def test_for_htcondor_they_are_lines_of_the_submit_file() -> None:
    lines = '+Project = "vine"\nrank = Memory'
    config = FactoryConfig(batch_type="htcondor", batch_options=lines, condor_requirements="OpSys", python_env="e.tar")
    options = options_for(config)
    assert options.batch_option == ('+Project = "vine"', "rank = Memory")
    assert (options.requirements, options.worker_environment) == ("OpSys", "e.tar")


def test_a_fleet_that_cannot_be_is_refused() -> None:
    with pytest.raises(errors.UsageError, match="swap them"):
        options_for(FactoryConfig(min_workers=3, max_workers=2))
