"""In what order the distributions are run; tests/hosts runs them."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from benchmarks.broadcast import namespaces
from benchmarks.broadcast.processes import Where
from benchmarks.mnist_sweep.emulate import run
from benchmarks.mnist_sweep.options import Options, parse
from benchmarks.mnist_sweep.report import Run

OPTIONS = parse(["--mode", "emulate", "--hosts", "3", "--rate", "8mbit"])


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What the hosts were to be, then which distribution ran on which of them, then their end."""
    notes: list[Any] = []

    @contextmanager
    def hosts(count: int, bytes_per_s: float) -> Iterator[list[Where]]:
        notes.append((count, bytes_per_s))
        yield [Where((), f"10.0.0.{number}") for number in range(count)]
        notes.append("gone")

    monkeypatch.setattr(namespaces, "hosts", hosts)
    return notes


def ran(notes: list[Any], interrupted_at: str = "") -> Any:
    def one(options: Options, packages: Any, shared: Any, hosts: run.Hosts) -> Run:
        notes.append((options.distribution, hosts.manager.address, [where.address for where in hosts.workers]))
        return Run(options.distribution, 3, [], {"interrupted": options.distribution == interrupted_at})

    return one


def test_each_distribution_runs_on_the_same_hosts_beside_the_managers_and_the_file_servers(
    asked: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "_run", ran(asked))
    told: list[Run] = []
    run.emulate(OPTIONS, None, None, None, told.append)  # type: ignore[arg-type]
    workers = ["10.0.0.2", "10.0.0.3", "10.0.0.4"]
    runs = [(name, "10.0.0.1", workers) for name in ("shared-fs", "vine", "vine-hot")]
    assert asked == [(5, 1e6), *runs, "gone"]
    assert [found.distribution for found in told] == ["shared-fs", "vine", "vine-hot"]


def test_an_interrupted_run_is_told_and_is_the_last(asked: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "_run", ran(asked, interrupted_at="vine"))
    told: list[Run] = []
    with pytest.raises(KeyboardInterrupt):
        run.emulate(OPTIONS, None, None, None, told.append)  # type: ignore[arg-type]
    assert [found.distribution for found in told] == ["shared-fs", "vine"]


def test_disks_are_in_memory_where_all_of_them_fit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = SimpleNamespace(sizes=lambda: {"packed_bytes": 10, "unpacked_bytes": 40})
    packages: Any = SimpleNamespace(environment=package, dataset=package)
    monkeypatch.setattr(run, "_MEMORY", tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(free=1000))
    assert run.disks(6, packages) == tmp_path
    assert run.disks(7, packages) is None
    monkeypatch.setattr(run, "_MEMORY", tmp_path / "no-such-folder")
    assert run.disks(1, packages) is None


def test_every_file_is_read_and_links_that_lead_nowhere_are_left(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "b").write_bytes(b"x")
    (tmp_path / "link").symlink_to("nowhere")
    run.read_all(tmp_path)
    (tmp_path / "a" / "b").unlink()
    (tmp_path / "a" / "b").symlink_to(tmp_path / "a")  # A folder by another name: nothing to read.
    run.read_all(tmp_path)
