"""Workers are started on the interpreter and in the places that were meant, and waited for."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from benchmarks.broadcast.processes import Where
from benchmarks.mnist_sweep import fleet
from benchmarks.mnist_sweep.fleet import Fleet
from vine.errors import VineError
from vine.wire.parts import Resources

SIZE = Resources(cores=2, memory_mb=1000.4, disk_mb=5000)
CONNECTION = Path("/run/connection.json")


class Programs:
    """Starts nothing, and notes what it should have."""

    def __init__(self, ended: bool = False) -> None:
        self.ended = ended
        self.started: dict[str, Mapping[str, str] | None] = {}

    def start(self, name: str, words: Sequence[str], variables: Mapping[str, str] | None, watching: bool) -> int:
        assert watching, "workers end with the benchmark"
        self.started[name] = variables
        return 1

    def check(self) -> None:
        if self.ended:
            raise VineError("w00 has ended")


def manager(connected: bool) -> Any:
    def wait(count: int, timeout: float) -> None:
        if not connected:
            raise TimeoutError

    return SimpleNamespace(
        connection_file=CONNECTION, wait_for_workers=wait, stats=SimpleNamespace(workers=int(connected))
    )


def made(python: str, apart: bool = False) -> Fleet:
    places = [Where(("nsenter", "--net=1"), "10.93.0.2"), Where(("nsenter", "--net=2"), "10.93.0.3")]
    return Fleet(Path(python), places, Path("/workspace"), SIZE, apart)


def test_a_worker_of_this_machine() -> None:
    assert made("/shared/bin/python").command(0, CONNECTION) == [
        *("nsenter", "--net=1", "/shared/bin/python", "-m", "vine_worker.main", "--worker-id", "w00"),
        *("--connection", "/run/connection.json", "--workspace", "/workspace"),
        *("--cores", "2", "--memory", "1000", "--disk", "5000"),
    ]


def test_workers_that_stand_for_hosts_have_a_name_and_an_address_each() -> None:
    command = made("/shared/bin/python", apart=True).command(1, CONNECTION)
    assert command[-4:] == ["--host-name", "host-w01", "--address", "10.93.0.3"]


def test_modules_of_our_own_python_do_not_show_through_on_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", "/ours")
    other, own = Programs(), Programs()
    made("/shared/bin/python").start(other, manager(connected=True))  # type: ignore[arg-type]
    made(sys.executable).start(own, manager(connected=True))  # type: ignore[arg-type]
    assert list(other.started) == ["w00", "w01"]
    assert all(variables is not None and "PYTHONPATH" not in variables for variables in other.started.values())
    assert list(own.started.values()) == [None, None]


def test_a_worker_that_ends_before_it_connects_is_told_at_once() -> None:
    with pytest.raises(VineError, match="w00 has ended"):
        made("/shared/bin/python").start(Programs(ended=True), manager(connected=False))  # type: ignore[arg-type]


def test_workers_that_do_not_come_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    times = iter((0.0, 1.0, 1000.0))
    monkeypatch.setattr(fleet, "time", SimpleNamespace(monotonic=lambda: next(times)))
    with pytest.raises(VineError, match="0 of 2 workers came within"):
        made("/shared/bin/python").start(Programs(), manager(connected=False))  # type: ignore[arg-type]


def test_a_share_is_the_factorys(tmp_path: Path) -> None:
    whole, half = fleet.share(1, 1, tmp_path), fleet.share(2, 1, tmp_path)
    assert whole.cores == half.cores == 1
    assert half.memory_mb == whole.memory_mb // 2
