"""Is a factory given the launcher, and its workers the size, that its options say?"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.factory.made import plan_in
from vine import config
from vine.factory_options import options_of
from vine.wire.parts import Resources
from vine_factory.launchers.choice import launcher_for, size_of_workers
from vine_factory.launchers.htcondor import HTCondorLauncher
from vine_factory.launchers.local import LocalLauncher
from vine_factory.launchers.slurm import SlurmLauncher


@pytest.mark.parametrize(
    ("batch_type", "kind"), [("local", LocalLauncher), ("slurm", SlurmLauncher), ("htcondor", HTCondorLauncher)]
)
def test_each_batch_type_has_its_launcher(tmp_path: Path, batch_type: str, kind: type) -> None:
    launcher = launcher_for(plan_in(tmp_path, batch_type=batch_type), tmp_path, None)
    assert type(launcher) is kind
    launcher.close()


def size(**given: Any) -> Resources:
    return size_of_workers(options_of(given))


def test_on_a_cluster_a_worker_has_what_was_asked_for_or_what_goes_with_its_cores() -> None:
    cluster = {"batch-type": "slurm"}
    assert size(**cluster) == Resources(1, config.batch_memory_mb, config.batch_disk_mb, 0)
    assert size(**cluster, cores=8) == Resources(8, 8 * config.batch_memory_mb, 8 * config.batch_disk_mb, 0)
    assert size(**cluster, cores=8, memory=3, disk=4, gpus=2) == Resources(8, 3, 4, 2)


def test_here_workers_share_the_machine() -> None:
    whole, half = size(), size(**{"max-workers": 2})
    assert half.memory_mb == whole.memory_mb // 2
    assert size(cores=0.5, gpus=1) == Resources(0.5, whole.memory_mb, pytest.approx(whole.disk_mb, rel=0.1), 1)
