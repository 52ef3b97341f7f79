"""Copies on workers go when their client says so, but for those that tasks need."""

from __future__ import annotations

from tests.scheduler.test_broadcasting import content_of, failed
from tests.scheduler.test_replicating import holders, replicated_temp
from tests.scheduler.world import World
from vine.wire import messages as m
from vine.wire.parts import Outcome


def test_all_copies_go_and_a_later_task_gets_the_file_again() -> None:
    world = World(workers=2)
    file = world.local_file()
    world.broadcast(file)
    world.settle()
    world.say(m.PruneFiles((file,)))
    assert not holders(world, content_of(world, file))
    task = world.submit((file,))
    world.settle()
    assert world.results[task].outcome is Outcome.SUCCESS


def test_a_pruned_temp_is_made_again_for_a_later_task() -> None:
    world = World(workers=2)
    temp = replicated_temp(world, 2)
    made = content_of(world, temp)
    world.say(m.PruneFiles((temp,)))
    assert not holders(world, made)
    task = world.submit((temp,))
    world.settle()
    assert world.results[task].outcome is Outcome.SUCCESS
    assert max(world.runs.values()) == 2
    assert len(holders(world, content_of(world, temp))) == 1, "several copies are not asked for any more"


def test_one_copy_stays_for_a_task_that_waits() -> None:
    world = World(workers=2)
    temp = replicated_temp(world, 2)
    world.submit(), world.submit()
    world.submit((temp,))
    world.say(m.PruneFiles((temp,)))
    assert len(holders(world, content_of(world, temp))) == 1


def test_the_copies_that_attempts_use_stay() -> None:
    world = World(workers=3)
    temp = replicated_temp(world, 3)
    made = content_of(world, temp)
    tasks = [world.submit((temp,)) for _ in range(4)]
    used = {name for name, worker in world.workers.items() if worker.assigned}
    world.say(m.PruneFiles((temp,)))
    assert holders(world, made) == used
    world.settle()
    assert {world.results[task].outcome for task in tasks} == {Outcome.SUCCESS}
    assert max(world.runs.values()) == 1


def test_a_broadcast_under_way_fails_and_what_is_on_its_way_is_stopped() -> None:
    world = World(workers=2)
    file = world.local_file()
    request = world.broadcast(file)
    world.say(m.PruneFiles((file,)))
    outcome, message = failed(world, request)
    assert outcome is Outcome.CANCELLED and "was pruned before all had it" in message
    assert not world.core.state.transfers.active
    world.join()
    assert not world.core.state.transfers.active


def test_content_that_another_file_has_too_stays() -> None:
    world = World(workers=1)
    first, second = world.local_file(), world.local_file()
    world.broadcast(first), world.broadcast(second)
    world.settle()
    world.say(m.PruneFiles((first,)))
    assert holders(world, content_of(world, second))


def test_what_comes_to_the_manager_stays_until_it_is_there() -> None:
    world = World(workers=1)
    temp = replicated_temp(world, 1)
    world.say(m.BringFile(temp))
    world.say(m.PruneFiles((temp,)))
    world.settle()
    (brought,) = [answer for answer in world.inbox if isinstance(answer, m.FileBrought)]
    assert brought.path is not None
