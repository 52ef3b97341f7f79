"""Does a worker have what it was told to have, and else what its machine has?"""

from __future__ import annotations

from pathlib import Path

import pytest

from vine.names import WorkerId
from vine.wire.parts import Resources
from vine_worker import machine
from vine_worker.settings import Settings
from vine_worker.slot import Slot


def test_what_was_said_counts_and_nothing_is_something(tmp_path: Path) -> None:
    said = Settings(tmp_path, WorkerId("w1"), tmp_path, cores=0.0, memory_mb=10.0, disk_mb=20.0, gpus=2.0)
    assert said.capacity() == Resources(cores=0.0, memory_mb=10.0, disk_mb=20.0, gpus=2.0)


def test_what_was_not_said_is_the_machines_though_the_workspace_is_yet_to_be_made(tmp_path: Path) -> None:
    measured = Settings(tmp_path, WorkerId("w1"), tmp_path / "not" / "yet").capacity()
    assert (measured.cores, measured.memory_mb, measured.gpus) == (
        machine.cores(),
        machine.memory_mb(),
        machine.gpus(),
    )
    assert measured.disk_mb > 0


def test_a_worker_offers_what_was_said_and_the_model_of_its_gpus(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "gpu_model", lambda: "NVIDIA RTX A2000")
    said = Settings(tmp_path, WorkerId("w1"), tmp_path, features=("fast",))
    assert said.offers(gpus=2) == ("fast", "NVIDIA RTX A2000")
    assert said.offers(gpus=0) == ("fast",)
    named = Settings(tmp_path, WorkerId("w1"), tmp_path, features=("NVIDIA RTX A2000",))
    assert named.offers(gpus=2) == ("NVIDIA RTX A2000",)


def test_what_was_said_counts_before_what_the_batch_system_says(tmp_path: Path) -> None:
    slot = Slot(cores=4, memory_mb=500, disk_mb=600, gpus=1, ends_at_s=1100.0)
    settings = Settings(tmp_path, WorkerId("w"), tmp_path, cores=2, wall_time_s=7).within(slot, 1000.0)
    assert settings.capacity() == Resources(2, 500, 600, 1)
    assert settings.wall_time_s == 7
    assert Settings(tmp_path, WorkerId("w"), tmp_path).within(slot, 1000.0).wall_time_s == 90
    unknown = Settings(tmp_path, WorkerId("w"), tmp_path).within(Slot(), 1000.0)
    assert (unknown.cores, unknown.wall_time_s) == (None, None)
