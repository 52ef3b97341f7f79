"""What is dropped and when, told to the true scheduler."""

from __future__ import annotations

from tests.scheduler.world import World
from vine.wire import messages as m
from vine.wire.parts import CacheLevel, Outcome


def test_files_of_cache_level_task_leave_the_workers_after_use() -> None:
    world = World(workers=1)
    world.submit((world.local_file(cache=CacheLevel.TASK),))
    world.settle()
    assert not next(iter(world.workers.values())).holds


def test_an_undeclared_file_stays_until_its_last_task_has_ended() -> None:
    world = World(workers=1)
    big = world.local_file()
    task = world.submit((big,))
    world.say(m.ForgetFiles((big,)))
    world.settle()
    assert world.results[task].outcome is Outcome.SUCCESS
    assert not next(iter(world.workers.values())).holds
    assert big not in world.core.state.files.by_id
