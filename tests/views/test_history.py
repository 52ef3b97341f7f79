from __future__ import annotations

from pathlib import Path

from tests.views.journaled import JournaledWorld
from vine.names import TaskId
from vine.views.history import history
from vine.views.reading import open_run
from vine.wire.parts import Measured, Outcome


def told(world: JournaledWorld, task: TaskId) -> list[str]:
    with open_run(world.save()) as run:
        return history(run.connection, task)


def test_a_task_s_way_is_told_with_its_attempts_workers_transfers_and_times(tmp_path: Path) -> None:
    # given a task that waited for its input, lost its first worker and ended on another
    world = JournaledWorld(tmp_path / "run")
    world.measured = lambda assignment: Measured(0.5, 120.0, 0.0)
    file_id = world.local_file(label="/data/big", bind=False)
    task = world.submit(inputs=(file_id,), label="fit")
    world.now += 2
    world.bind(file_id)
    world.join("w1")
    for _ in range(2):
        world.happen(world.possible_events()[0])
    world.now += 5
    world.lose("w1")
    world.join("w2")
    world.settle()
    # then
    first, *lines = told(world, task)
    assert first.startswith("+ 0 ms: submitted at 20")
    assert lines == [
        "+ 2.0 s: attempt 1.1 is given to w1 (host)",
        "+ 2.0 s: /data/big came from manager, 2.1 MB in 100 ms",
        "+ 2.0 s: attempt 1.1 runs",
        "+ 7.0 s: it is ready: all that it waits for is there",
        "+ 7.0 s: attempt 1.1 has ended: worker-lost: killed",
        "+ 7.0 s: attempt 1.3 is given to w2 (host)",
        "+ 7.0 s: /data/big came from manager, 2.1 MB in 100 ms",
        "+ 7.0 s: attempt 1.3 runs",
        "+ 7.0 s: attempt 1.3 has ended: success (ran 1.0 s, used 500 ms of processor and 120 MB)",
        "+ 7.0 s: its result is committed: success",
    ]


def test_a_task_that_waits_has_only_been_submitted(tmp_path: Path) -> None:
    world = JournaledWorld(tmp_path / "run")
    (line,) = told(world, world.submit())
    assert "submitted at" in line


def test_of_many_attempts_the_last_ones_are_told(tmp_path: Path) -> None:
    world = JournaledWorld(tmp_path / "run", workers=1)
    world.outcome = lambda assignment: Outcome.EXIT_CODE
    task = world.submit(retries=29)
    world.settle()
    lines = told(world, task)
    assert lines[0] == "its first 10 attempts are left out"
    assert sum("has ended: exit-code" in line for line in lines) == 20
