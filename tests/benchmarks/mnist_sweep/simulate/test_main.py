"""The simulated sweep from its command line to its files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.mnist_sweep import main as sweep_main
from benchmarks.mnist_sweep.simulate import main
from benchmarks.mnist_sweep.simulate.options import parse
from benchmarks.mnist_sweep.simulate.parameters import CLUSTER
from benchmarks.mnist_sweep.simulate.run import Distribution
from tests.benchmarks.mnist_sweep.simulate.made import PARAMETERS, small_results

SMALL = ["--mode", "simulate", "--workers", "2", "--tasks", "16", "--distribution", "shared-fs", "--draws", "1"]


def test_one_command_leaves_the_table_and_both_figures(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert sweep_main.main([*SMALL, "--out", str(tmp_path / "out")]) == 0
    out = capsys.readouterr().out
    assert "[1/1] shared-fs with 2 workers" in out and "| 2 | shared-fs |" in out
    written = {path.name for path in (tmp_path / "out").iterdir()}
    assert written == {"table1.md", "summary.json", "figure2.png", "figure3.png"}
    assert json.loads((tmp_path / "out" / "summary.json").read_text())[0]["tasks"] == 16


def test_with_json_stdout_has_figures_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(main, "run_all", lambda wanted, processes: small_results().sweeps)
    assert main.main(["--workers", "4", "--tasks", "64", "--json", "--out", str(tmp_path)]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["figure"] for line in lines] == ["run_speedup_4", "task_speedup_4"] * 2


def test_each_run_is_asked_for_once_and_the_shared_filesystem_knows_no_policy() -> None:
    wanted = main.asked(parse(["--workers", "32,256", "--draws", "2", "--seed", "7"]), PARAMETERS)
    assert [run.workers for run in wanted] == [256] * 10 + [32] * 10
    assert sum(run.distribution is Distribution.SHARED_FS for run in wanted) == 4
    assert len({(run.workers, run.distribution, run.policy, run.seed) for run in wanted}) == 20
    assert {run.seed for run in wanted} == {7, 8}


def test_processes_beside_each_other_find_the_same(tmp_path: Path) -> None:
    wanted = main.asked(parse(["--workers", "2,3", "--tasks", "16", "--policy", "vine", "--draws", "1"]), PARAMETERS)[
        :2
    ]
    alone, beside = (sorted(run.digest for run in main.run_all(wanted, processes)) for processes in (1, 2))
    assert alone == beside


def test_a_file_that_is_no_cluster_is_a_users_mistake(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wrong = tmp_path / "cluster.toml"
    wrong.write_text(CLUSTER.read_text().replace("[compute_s]", "[computing_s]"))
    assert sweep_main.main([*SMALL, "--cluster", str(wrong), "--out", str(tmp_path)]) != 0
    assert "mnist_sweep: " in capsys.readouterr().err


def test_a_folder_that_cannot_be_made_is_told_before_anything_runs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("in the way")
    assert sweep_main.main([*SMALL, "--out", str(tmp_path / "file")]) != 0
    assert "mnist_sweep: " in capsys.readouterr().err


def test_an_interrupt_ends_it_as_shells_expect(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(wanted: object, processes: int) -> object:
        raise KeyboardInterrupt

    monkeypatch.setattr(main, "run_all", interrupted)
    assert sweep_main.main([*SMALL, "--out", str(tmp_path)]) == 130
    assert "interrupted" in capsys.readouterr().err
