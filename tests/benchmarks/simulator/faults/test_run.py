"""Whole seeds: every promise is kept in each, and a seed that finds something says how to see it again."""

from __future__ import annotations

import os
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from benchmarks.simulator.faults import __main__ as command
from benchmarks.simulator.faults import run as endless
from benchmarks.simulator.faults.__main__ import main
from benchmarks.simulator.faults.run import Run, Verdict
from vine.scheduler import recovery

ROOT = Path(__file__).parents[4]
SEEDS = 200
A_PART = 25


def test_who_waits_goes_on_waiting_where_nothing_is_due_for_long() -> None:
    run, come = Run(0), list[bool]()
    run.cluster.clock.after(10.0, lambda: come.append(True))
    run._await(lambda: bool(come))
    assert run.cluster.clock.now() == 10.0


PARTS = [range(first, first + A_PART) for first in range(0, SEEDS, A_PART)]


@cache
def outcome_of(seed: int) -> tuple[Verdict, int, int]:
    """What came of it; and how many clients it had, and managers that were lost."""
    run = Run(seed)
    return run.verdict(), run.cluster._clients, run.cluster.managers_lost


@pytest.mark.parametrize("seeds", PARTS, ids=lambda seeds: f"{seeds[0]} to {seeds[-1]}")
def test_every_promise_is_kept_whatever_breaks(seeds: range) -> None:
    verdicts = [outcome_of(seed)[0] for seed in seeds]
    failed = [f"seed {verdict.seed}: {verdict.error}" for verdict in verdicts if verdict.error]
    assert not failed, "\n".join((*failed, "python -m benchmarks.simulator.faults --seed SEED --trace"))


def test_a_seed_gives_the_same_run_in_every_process() -> None:
    here = Run(6).verdict()
    program = "from benchmarks.simulator.faults.run import Run; v = Run(6).verdict(); print(v.digest, v.events)"
    path = os.pathsep.join(str(ROOT / folder) for folder in ("", "workers", "factory"))
    for hash_seed in ("1", "77"):
        variables = {**os.environ, "PYTHONPATH": path, "PYTHONHASHSEED": hash_seed}
        there = subprocess.run([sys.executable, "-c", program], env=variables, capture_output=True, text=True)
        assert there.stdout.split() == [here.digest, str(here.events)], there.stderr


def test_things_do_break_in_these_seeds() -> None:
    verdicts, clients, managers_lost = zip(*map(outcome_of, PARTS[0]), strict=True)
    assert sum(verdict.faults for verdict in verdicts) > 30
    assert max(clients) > 1, "some clients have died"
    assert sum(managers_lost) > 3


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


def test_seeds_that_fail_do_not_end_a_long_run_which_says_how_far_it_is_and_names_them_all_once_more_at_its_end(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fails = {3, 5}

    def verdict(run: Run) -> Verdict:
        return Verdict(run.seed, 10, 1, 0, 1, "", error="it broke" if run.seed in fails else "")

    monkeypatch.setattr(Run, "verdict", verdict)
    monkeypatch.setattr(command, "_TELL_EVERY_S", 0.0)
    assert main(["--seeds", "8", "--failures", "100"]) == 1
    *told, first, second, last = capsys.readouterr().out.splitlines()
    assert sum(" of 8 seeds, " in line for line in told) == 8
    assert [line.split()[4] for line in (first, second)] == ["3", "5"]
    assert last.startswith("8 seeds, 2 failed; 80 events")


def test_somebody_who_is_never_done_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endless, "_EVENTS_MAX", 1000)
    run = Run(3)

    def again() -> None:
        run.cluster.clock.after(0, again)

    run.cluster.clock.after(1.0, again)
    assert "somebody is never done" in run.verdict().error


def test_seeds_that_find_nothing_are_counted(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--first", "3", "--seeds", "2"]) == 0
    assert capsys.readouterr().out.startswith("2 seeds, 0 failed; ")
