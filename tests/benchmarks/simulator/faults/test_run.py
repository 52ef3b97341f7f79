"""Whole seeds: every promise is kept in each, and a seed that finds something says how to see it again."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.simulator.faults.__main__ import main
from benchmarks.simulator.faults.run import Run, Verdict
from vine.scheduler import recovery

ROOT = Path(__file__).parents[4]
SEEDS = 200
A_PART = 25


PARTS = [range(first, first + A_PART) for first in range(0, SEEDS, A_PART)]


@pytest.mark.parametrize("seeds", PARTS, ids=lambda seeds: f"{seeds[0]} to {seeds[-1]}")
def test_every_promise_is_kept_whatever_breaks(seeds: range) -> None:
    failed = [f"seed {verdict.seed}: {verdict.error}" for verdict in map(verdict_of, seeds) if verdict.error]
    assert not failed, "\n".join((*failed, "python -m benchmarks.simulator.faults --seed SEED --trace"))


def verdict_of(seed: int) -> Verdict:
    return Run(seed).verdict()


def test_a_seed_gives_the_same_run_in_every_process() -> None:
    here = Run(6).verdict()
    program = "from benchmarks.simulator.faults.run import Run; v = Run(6).verdict(); print(v.digest, v.events)"
    path = os.pathsep.join(str(ROOT / folder) for folder in ("", "workers", "factory"))
    for hash_seed in ("1", "77"):
        variables = {**os.environ, "PYTHONPATH": path, "PYTHONHASHSEED": hash_seed}
        there = subprocess.run([sys.executable, "-c", program], env=variables, capture_output=True, text=True)
        assert there.stdout.split() == [here.digest, str(here.events)], there.stderr


def test_things_do_break_in_these_seeds() -> None:
    runs = [Run(seed) for seed in range(20)]
    verdicts = [run.verdict() for run in runs]
    assert sum(verdict.faults for verdict in verdicts) > 30
    assert sum(run.cluster._clients > 1 for run in runs) > 0, "some clients have died"
    assert sum(run.cluster.managers_lost for run in runs) > 3


def test_a_seed_that_finds_something_prints_the_command_that_repeats_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(recovery, "object_evicted", lambda state, worker, object_id: None)
    assert main(["--seeds", "20", "--failures", "1"]) == 1
    found, command, _ = capsys.readouterr().out.splitlines()
    assert command.split()[:3] == ["python", "-m", "benchmarks.simulator.faults"]
    assert main(command.split()[3:]) == 1
    *trace, again, _, _ = capsys.readouterr().out.splitlines()
    assert again == found and any("manager hears" in line for line in trace)


def test_seeds_that_find_nothing_are_counted(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--first", "3", "--seeds", "2"]) == 0
    assert capsys.readouterr().out.startswith("2 seeds, 0 failed; ")
