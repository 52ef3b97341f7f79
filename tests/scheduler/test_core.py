"""Peers that are silent, strange or told to end."""

from __future__ import annotations

from tests.scheduler.world import World
from vine.scheduler import actions
from vine.wire import messages as m


def test_a_silent_worker_is_given_up() -> None:
    world = World(workers=1)
    task = world.submit()
    world.core.heard(world.client, 1000.0)
    world.step(world.core.tick(1000.0))
    assert world.state_of(task) == "ready"
    assert not world.core.state.workers


def test_a_strange_message_changes_nothing() -> None:
    world = World(workers=1)
    worker = next(iter(world.workers.values()))
    world.say(m.SubmitTasks(()), worker.peer)
    world.say(m.TasksStarted(()), world.client)
    world.say(m.WorkerBye("?"), actions.PeerKey("nobody"))
    assert world.core.state.strange == 3


def test_at_the_end_everybody_is_told() -> None:
    world = World(workers=2)
    world.step(world.core.stop("done", 1.0))
    assert all(worker.ended for worker in world.workers.values())
    assert isinstance(world.done[-1], actions.EndRun)
