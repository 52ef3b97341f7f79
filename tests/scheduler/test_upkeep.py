"""What is dropped and when, told to the true scheduler."""

from __future__ import annotations

from tests.scheduler.world import World
from vine.scheduler import actions
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


def unlinked(world: World) -> list[str]:
    return [action.path for action in world.done if isinstance(action, actions.Unlink)]


def test_what_is_to_go_goes_when_it_is_neither_declared_nor_needed() -> None:
    world = World(workers=1)
    spool, other = world.local_file("spool", unlink=True), world.local_file("other")
    world.submit((spool, other))
    for file in (spool, other):
        world.say(m.ForgetFiles((file,)))
    assert unlinked(world) == []
    world.settle()
    assert unlinked(world) == ["/data/spool"]


def test_what_is_to_go_goes_with_its_client_or_the_run() -> None:
    for end in (lambda world: world.say(m.ClientBye()), lambda world: world.step(world.core.stop("over", world.now))):
        world = World()
        world.local_file("spool", unlink=True)
        end(world)
        assert unlinked(world) == ["/data/spool"]
