"""The command measures what it is asked for, each in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from benchmarks.figures import Figure
from benchmarks.scale import main


def of_this_process(pid: int) -> list[Figure]:
    return [Figure("elsewhere", float(os.getpid() != pid), "")]


def test_each_measurement_has_a_process_of_its_own() -> None:
    (figure,) = main.alone(of_this_process, os.getpid())
    assert figure.value == 1.0


def test_growth_compares_the_most_workers_with_the_fewest() -> None:
    found = [
        Figure("core_us_per_task", cost, "us", {"workers": n}) for n, cost in ((1000, 30), (100, 20), (10_000, 25))
    ]
    (growth,) = main.growth(found)
    assert (growth.value, growth.params) == (1.25, {"from": 100, "to": 10_000})
    assert main.growth(found[:1]) == []


def test_the_figures_come_as_json() -> None:
    command = [sys.executable, "-m", "benchmarks.scale", "--workers", "2,4", "--tasks", "50", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    figures = [json.loads(line) for line in done.stdout.splitlines()]
    assert [figure["figure"] for figure in figures] == [
        *("core_us_per_task", "core_standing_share") * 2, "core_us_per_task_growth",
    ]  # fmt: skip


@pytest.mark.parametrize("wrong", [["--workers", "0"], ["--tasks", "-1"], ["--graphs", "--real"]])
def test_nonsense_is_refused(wrong: list[str]) -> None:
    with pytest.raises(SystemExit):
        main.main(wrong)
