"""The table of runs side by side says what each run says, and what that means."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks.mnist_sweep.comparison import comparison, speedup_figures
from benchmarks.mnist_sweep.grid import combination
from benchmarks.mnist_sweep.report import Row, Run


def run_of(distribution: str, run_s: float, *task_s: float | None, **figures: Any) -> Run:
    """None for a task that failed after 99 s."""
    rows = [
        Row(number, combination(number), "success", accuracy=0.9, task_s=seconds)
        if seconds is not None
        else Row(number, combination(number), "exception", task_s=99.0)
        for number, seconds in enumerate(task_s)
    ]
    moved = {"pack_s": 0.0, "mb_from_manager": 0.0, "mb_from_peers": 0.0, "mb_from_shared_fs": 0.0}
    return Run(distribution, 8, rows, {"run_s": run_s, **moved, **figures})


SHARED = run_of("shared-fs", 60.0, 1.0, 1.0, 10.0, None, mb_from_shared_fs=738.0)
VINE = run_of("vine", 24.0, 2.0, 2.0, 2.0, 2.0, pack_s=1.8, mb_from_manager=89.4, mb_from_peers=598.3)


def table_rows(text: str) -> list[list[str]]:
    lines = [line for line in text.splitlines() if line.startswith("|") and "---" not in line]
    return [[word.strip() for word in line.strip("|").split("|")] for line in lines]


def test_all_distributions_stand_side_by_side_as_in_the_papers_table() -> None:
    titles, figures, *_ = table_rows(comparison([SHARED, VINE]))
    assert titles == ["workers", "shared-fs: mean", "median", "std", "vine: mean", "median", "std"]
    assert figures == ["8", "4.00", "1.00", "4.24", "2.00", "2.00", "0.00"], "of tasks that succeeded"


def test_run_times_and_what_was_moved_have_a_line_each() -> None:
    rows = table_rows(comparison([SHARED, VINE]))
    assert ["shared-fs", "3 of 4", "60.00", "0.00", "0.00", "0.00", "738.00"] in rows
    assert ["vine", "4 of 4", "24.00", "1.80", "89.40", "598.30", "0.00"] in rows


def test_a_speed_up_is_the_shared_filesystems_time_over_that_of_the_other() -> None:
    assert speedup_figures([VINE, SHARED]) == {"vine": (2.5, 2.0)}
    assert table_rows(comparison([SHARED, VINE]))[-1] == ["vine", "2.50", "2.00"]


@pytest.mark.parametrize("runs", [[VINE], [SHARED]], ids=["no shared filesystem", "nothing beside it"])
def test_one_run_alone_is_no_comparison(runs: list[Run]) -> None:
    assert speedup_figures(runs) == {}
    assert "Speed-up" not in comparison(runs)


def test_a_run_in_which_nothing_succeeded_has_no_speed_up_of_tasks() -> None:
    failed = run_of("vine", 30.0, None)
    assert speedup_figures([SHARED, failed]) == {"vine": (2.0, None)}
    assert table_rows(comparison([SHARED, failed]))[-1] == ["vine", "2.00", "-"]
