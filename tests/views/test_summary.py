from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.views.journaled import JournaledWorld
from vine.views import summary
from vine.views.reading import Run, open_run
from vine.wire.parts import Measured, Outcome, TaskKind


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    """Two calls and three commands, of which one failed, on a worker that had to get their input; another was lost."""
    world = JournaledWorld(tmp_path / "run")
    world.join("w1", cores=2, hostname="node1")
    file_id = world.local_file(label="/data/big")
    world.measured = lambda assignment: Measured(0.5, 120.0, 0.0)
    bad, *_ = (world.submit(kind=TaskKind.COMMAND, label=f"sim --seed {n}") for n in range(3))
    for _ in range(2):
        world.submit(inputs=(file_id,), label="fit")
    world.outcome = lambda a: Outcome.EXIT_CODE if a.task_id == bad else Outcome.SUCCESS
    world.now += 8
    world.settle()
    world.join("w2", hostname="node2")
    world.now += 2
    world.lose("w2")
    with open_run(world.save()) as opened:
        yield opened


def test_the_run_is_summed_up(run: Run) -> None:
    rows = dict(map(tuple, summary.totals(run).rows))  # type: ignore[arg-type]
    assert rows["tasks"] == "4 done, 1 failed"
    assert rows["attempts"].startswith("5; their bodies ran 5.0 s in all, 2.5 s of processor in 5.0 s")
    assert rows["workers"] == "2 on 2 hosts, 22.0 s of their cores"
    assert rows["transfers"] == "1, 0 broken; 2.1 MB from the manager, 0 B from workers, 0 B from URLs"


def test_time_is_told_by_what_was_run_and_commands_that_begin_alike_are_one(run: Run) -> None:
    table = summary.by_function(run)
    assert table is not None
    assert [row[:4] for row in table.rows] == [["sim ...", "3", "1", "3.0 s"], ["fit", "2", "0", "2.0 s"]]


def test_failures_are_told_by_kind_and_the_last_ones_one_by_one_with_their_log(run: Run) -> None:
    kinds, last = summary.failures_by_kind(run), summary.last_failures(run)
    assert kinds is not None and last is not None
    assert [row[:3] for row in kinds.rows] == [["exit-code", "1", "1"]]
    ((_, what, at, outcome, _, worker, log),) = last.rows
    assert (what, at, outcome, worker) == ("sim --seed 0", "+ 8.0 s", "exit-code", "w1")
    assert log == summary.log_of(run, "w1")


def test_workers_are_told_with_what_they_did_and_why_they_left(run: Run) -> None:
    table = summary.workers(run)
    assert table is not None
    assert [row[:7] for row in table.rows] == [
        ["w1", "node1", "2", "+ 0.0 s", "", "5", "5.0 s"],
        ["w2", "node2", "1", "+ 8.0 s", "+ 10.0 s: killed", "0", "0.0 s"],
    ]


def test_curves_tell_how_numbers_changed_over_the_run(run: Run) -> None:
    lasts = {
        name: summary.curve_of(run, name, 10).lasts for name in ("submitted", "done", "failed", "workers", "cores")
    }
    assert (lasts["submitted"][-1], lasts["done"][-1], lasts["failed"][-1]) == (5, 4, 1)
    assert lasts["workers"][0] == 1 and lasts["workers"][-2] == 2 and lasts["workers"][-1] == 1
    assert max(lasts["cores"]) == 3
    assert summary.curve_of(run, "from_manager", 10).lasts[-1] == 8 * 262144
    assert summary.curve_of(run, "running", 10).lasts[-1] == 0


def test_the_longest_bodies_and_the_spread_of_times_are_told(run: Run) -> None:
    table = summary.longest(run)
    assert table is not None and len(table.rows) == 5 and table.rows[0][2] == "1.0 s"
    assert sum(summary.body_times(run, 5).counts) == 5
    assert sum(summary.task_times(run, 5).counts) == 4


def test_of_a_run_without_tasks_there_are_no_tables_but_the_totals(tmp_path: Path) -> None:
    with open_run(JournaledWorld(tmp_path / "run").save()) as empty:
        assert dict(map(tuple, summary.totals(empty).rows))["tasks"] == "none"  # type: ignore[arg-type]
        for table in ("by_function", "failures_by_kind", "last_failures", "longest", "workers"):
            assert getattr(summary, table)(empty) is None
        for name in summary._CHANGES:
            assert set(summary.curve_of(empty, name, 3).lasts) == {0.0}
