"""Are the tasks told that have not ended, each with where it is?"""

from __future__ import annotations

from pathlib import Path

from tests.views.journaled import JournaledWorld
from vine.views.reading import open_run
from vine.views.tasks import rows
from vine.wire.parts import Policy


def test_open_tasks_are_told_with_their_states_and_workers(tmp_path: Path) -> None:
    # given one that has ended, one that is on a worker, one for which there is no room, and one that takes its result
    world = JournaledWorld(tmp_path / "run", workers=1)
    world.submit(label="ended")
    world.settle()
    running = world.submit(label="fit", tag="t", policy=Policy(category="c"))
    ready = world.submit(label="next", priority=2.0)
    waiting = world.submit(depends=(ready,), label="last")
    # when
    with open_run(world.save()) as run:
        found = rows(run)
    # then
    assert [row["task_id"] for row in found] == [running, ready, waiting]
    assert found[0] == {
        "task_id": running,
        "state": "staged",
        "label": "fit",
        "tag": "t",
        "category": "c",
        "priority": 0.0,
        "worker": world.worker_of(running),
    }
    assert [(row["state"], row["worker"]) for row in found[1:]] == [("ready", None), ("waiting", None)]
    assert found[1]["priority"] == 2.0
