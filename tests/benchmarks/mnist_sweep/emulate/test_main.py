"""The emulated sweep from its command line to its files, with hosts that are not there; tests/hosts has them."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from benchmarks.mnist_sweep import main, packing, shared
from benchmarks.mnist_sweep.emulate import filesystem
from benchmarks.mnist_sweep.emulate import main as emulated
from benchmarks.mnist_sweep.grid import combination
from benchmarks.mnist_sweep.options import Options, parse
from benchmarks.mnist_sweep.report import Row, Run

FIGURES = {"run_s": 10.0, "pack_s": 0.0, "mb_from_manager": 1.0, "mb_from_peers": 2.0, "mb_from_shared_fs": 3.0}


@pytest.fixture(autouse=True)
def _possible(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(filesystem, "missing", list)
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    monkeypatch.setattr(packing, "prepare", lambda *_: SimpleNamespace(pack_missing=lambda: None))
    monkeypatch.setattr(emulated, "disks", lambda hosts, packages: None)
    monkeypatch.setattr(shared, "prepare", lambda *_: None)


def runs(*distributions: str, failing: str = "", interrupted: bool = False) -> Callable[..., None]:
    def emulate(options: Options, packages: Any, shared: Any, disks: Any, ended: Callable[[Run], None]) -> None:
        for name in distributions:
            failed = Row(1, combination(1), "killed", message="it was too much")
            row = failed if name == failing else Row(0, combination(0), "success", accuracy=0.9, test_accuracy=0.9)
            ended(Run(name, options.workers, [row], {**FIGURES, "run_s": 20.0 if name == "shared-fs" else 10.0}))
        if interrupted:
            raise KeyboardInterrupt

    return emulate


def test_what_is_missing_is_said_in_one_line_with_the_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(filesystem, "missing", lambda: ["root's rights", "the command `sshfs` (of sshfs)"])
    assert main.main(["--mode", "emulate", "--out", str(tmp_path / "out")]) == 1
    said = capsys.readouterr().err
    assert said.startswith("mnist_sweep: --mode emulate needs root's rights and the command `sshfs` (of sshfs): ")
    assert "apt-get install iproute2 sshfs openssh-server" in said
    assert said.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_each_distribution_leaves_its_files_and_all_of_them_a_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(emulated, "emulate", runs("shared-fs", "vine"))
    assert main.main(["--mode", "emulate", "--tasks", "1", "--out", str(tmp_path)]) == 0
    assert (tmp_path / "shared-fs" / "tasks.csv").is_file() and (tmp_path / "vine" / "histogram.png").is_file()
    assert (table := (tmp_path / "table1.md").read_text()) in capsys.readouterr().out
    assert "| 8 | " in table
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert summary["speedup_over_shared_fs"]["vine"]["run_time"] == 2.0
    assert summary["vine"]["mb_from_shared_fs"] == 3.0


def test_a_task_that_failed_is_named_with_its_distribution(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(emulated, "emulate", runs("shared-fs", "vine", failing="vine"))
    assert main.main(["--mode", "emulate", "--tasks", "1", "--out", str(tmp_path)]) == 1
    assert "vine: task 1 ended as 'killed': it was too much" in capsys.readouterr().out


def test_an_interrupt_keeps_what_has_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(emulated, "emulate", runs("shared-fs", interrupted=True))
    assert main.main(["--mode", "emulate", "--tasks", "1", "--out", str(tmp_path)]) == 130
    assert "shared-fs" in (tmp_path / "table1.md").read_text()
    assert capsys.readouterr().err == "mnist_sweep: interrupted\n"


def test_what_is_scaled_down_and_cached_is_told_before_it_begins() -> None:
    options = parse(["--mode", "emulate", "--hosts", "4", "--rate", "50mbit", "--tasks", "16"])
    told = emulated.introduction(options, in_memory=True)
    assert "4 hosts" in told and "50 Mbit/s" in told
    assert "scaled down from the paper: 16 combinations, 5,000 images and 1 epochs each" in told
    assert "auto_cache" in told
    assert "hosts' disks: memory" in told
