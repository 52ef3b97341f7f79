"""Why tasks wait, told to the true scheduler."""

from __future__ import annotations

import json

from tests.scheduler.world import World
from vine.scheduler import actions
from vine.wire import messages as m
from vine.wire.parts import Outcome, Resources


def test_without_any_worker_a_task_waits_and_says_why() -> None:
    world = World()
    task = world.submit()
    world.pass_time(1000)
    assert "none is connected" in world.core.why(task, world.now)


def test_the_snapshot_is_plain_data() -> None:

    world = World(workers=2)
    world.submit((world.local_file(),))
    world.submit(depends=(world.submit(),))
    world.outcome = lambda assignment: Outcome.KILLED
    json.dumps(world.core.snapshot(1.0))
    world.settle()
    assert world.core.snapshot(1.0)["failures"]


def test_without_any_worker_the_factorys_trouble_is_told() -> None:
    world = World()
    task = world.submit()
    factory = actions.PeerKey("factory")
    world.say(m.FactoryHello("f", "local", 0, 4, Resources(1, 1000, 1000, 0)), factory)
    world.say(m.FactoryStatus(2, 0, "sbatch said no"), factory)
    assert "starting 2" in world.core.why(task, world.now)
    assert "sbatch said no" in world.core.why(task, world.now)


def test_a_broadcast_of_what_is_not_there_yet_has_reached_nobody_and_tells_since_when_it_waits() -> None:
    # given a broadcast to a worker, of a URL that it still downloads
    world = World(workers=1)
    (worker,) = world.workers
    world.broadcast(world.url(), workers=(worker,))
    world.pass_time(5.0)
    (told,) = world.core.snapshot(world.now)["broadcasts"]
    assert (told["have"], told["wanted"], told["seconds"]) == (0, 1, 5.0)
    # when it is there
    world.settle()
    (told,) = world.core.snapshot(world.now)["broadcasts"]
    assert (told["have"], told["wanted"]) == (1, 1)
