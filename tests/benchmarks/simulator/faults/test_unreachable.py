"""Of two workers that cannot reach each other each gets what the other one has, for the manager reaches both."""

from __future__ import annotations

import pytest

from benchmarks.simulator.faults.behaviours import Behaviour
from tests.benchmarks.simulator.faults.cluster_world import ClusterWorld
from vine.names import FileId, TaskId
from vine.wire.parts import FileKind, Mount, Outcome, Request, TaskKind

_WITHIN_S = 5.0


def submit(world: ClusterWorld, run_s: float, takes: FileId | None = None, makes: FileId | None = None) -> TaskId:
    client = world.cluster.client
    assert client is not None
    spec = client.task(
        kind=TaskKind.COMMAND,
        request=Request(cores=1.0),
        inputs=() if takes is None else (Mount(takes, "in"),),
        outputs=() if makes is None else (Mount(makes, "out"),),
    )
    world.cluster.behaviours.of_task[spec.task_id] = Behaviour(run_s, output_bytes=5 << 20)
    client.submit(spec)
    return spec.task_id


@pytest.mark.parametrize("workers", [2, 3])
def test_what_the_holder_cannot_send_comes_by_another_or_by_the_manager_soon(workers: int) -> None:
    # given a file that one worker has made and is busy with, and that this one and another cannot reach each other
    world = ClusterWorld(workers=workers, cores=1)
    client, manager = world.cluster.client, world.cluster.manager
    assert client is not None and manager is not None
    temp = client.declare(FileKind.TEMP)
    submit(world, 0.1, makes=temp)
    world.wait(2.0)
    known = manager.scheduler.state.files.object_of(temp)
    assert known is not None
    (holder,) = known.holders
    submit(world, 1000.0, takes=temp)
    world.wait(1.0)
    others = [name for name in world.known if name != holder]
    world.cluster.weather.close([way for other in others[:1] for way in ((holder, other), (other, holder))], 1000.0)
    for _ in others[1:]:
        submit(world, 1000.0)  # The third one is busy, too.
    world.wait(1.0)
    # when a task needs the file there
    task = submit(world, 0.1, takes=temp)
    world.wait(_WITHIN_S)
    # then it has had it
    assert task in client.results and client.results[task].outcome is Outcome.SUCCESS, manager.scheduler.why(
        task, manager.process.now()
    )
