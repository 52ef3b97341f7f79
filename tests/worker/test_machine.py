"""Is the machine seen as it is?"""

from __future__ import annotations

from pathlib import Path

import pytest

from vine_worker import machine


def test_workers_with_one_store_are_one_host_and_a_name_overrides_that(tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    assert machine.host_of(tmp_path, None) == machine.host_of(tmp_path, None)
    assert machine.host_of(tmp_path, None) != machine.host_of(other, None)
    assert machine.host_of(tmp_path, "n1") == machine.host_of(other, "n1") == "n1"


def test_there_is_something_of_everything(tmp_path: Path) -> None:
    assert machine.cores() >= 1
    assert machine.memory_mb() > 1
    assert machine.disk_mb(tmp_path) >= 0
    assert machine.gpus() >= 0


def test_gpus_are_called_by_their_model_where_all_are_of_one(tmp_path: Path) -> None:
    for number in range(2):
        (tmp_path / f"0000:0{number}:00.0").mkdir()
        text = f"Model: \t\t NVIDIA RTX A2000\nIRQ:   \t\t {number}\nGPU UUID: \t GPU-{number}\n"
        (tmp_path / f"0000:0{number}:00.0" / "information").write_text(text)
    assert machine.gpu_model(tmp_path) == "NVIDIA RTX A2000"
    (tmp_path / "0000:01:00.0" / "information").write_text("Model: \t\t NVIDIA H100\n")
    assert machine.gpu_model(tmp_path) is None
    assert machine.gpu_model(tmp_path / "none") is None


def test_the_address_towards_a_manager_here_is_the_loopback() -> None:
    assert machine.address_towards("tcp://127.0.0.1:1") == "127.0.0.1"


@pytest.mark.parametrize(("visible", "count"), [("", 0), ("-1", 0), ("3", 1), ("2,5", 2), ("GPU-1a,-1,4", 1)])
def test_only_the_gpus_that_a_batch_system_lets_us_see_are_ours(
    monkeypatch: pytest.MonkeyPatch, visible: str, count: int
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert machine.gpus() == count
