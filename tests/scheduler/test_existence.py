"""Files that come to exist, or never will, told to the true scheduler."""

from __future__ import annotations

from tests.scheduler.world import World
from vine.wire import messages as m
from vine.wire.parts import FetchFault, Outcome


def test_a_local_file_that_changed_fails_the_tasks_that_need_it() -> None:
    world = World(workers=1)
    big = world.local_file()
    task, later = world.submit((big,)), world.submit((big,))
    only = next(iter(world.workers.values()))
    world.fetch_ends(only, next(iter(only.fetching)), FetchFault.SOURCE_CHANGED)
    assert world.results[task].outcome is Outcome.INPUT_CHANGED
    assert world.results[later].outcome is Outcome.INPUT_CHANGED
    assert world.results[world.submit((big,))].outcome is Outcome.INPUT_CHANGED


def test_an_unreadable_input_fails_the_tasks_that_wait_for_it() -> None:
    world = World(workers=1)
    file = world.local_file(bind=False)
    task = world.submit((file,))
    assert "hashed" in world.core.why(task, 0.0)
    world.say(m.FileUnreadable(file, "permission denied"))
    assert world.results[task].message == "permission denied"


def test_what_is_unpacked_from_a_temporary_file_is_there_when_that_is_and_again_when_it_was_lost() -> None:
    world = World(workers=1)
    temp = world.temp()
    unpacked = world.untar(temp)
    makes, takes = world.submit(outputs=(temp,)), world.submit((unpacked,))
    world.settle()
    assert world.results[takes].outcome is Outcome.SUCCESS
    world.lose("w1")
    again = world.submit((unpacked,))
    world.join()
    world.settle()
    assert world.results[again].outcome is Outcome.SUCCESS
    assert world.runs[makes] == 2
