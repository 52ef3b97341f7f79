"""Files that come to exist, or never will, told to the true scheduler."""

from __future__ import annotations

from tests.scheduler.world import World
from vine.wire import messages as m


def test_a_local_file_that_changed_fails_the_tasks_that_need_it() -> None:
    world = World(workers=1)
    big = world.local_file()
    task, later = world.submit((big,)), world.submit((big,))
    only = next(iter(world.workers.values()))
    world.fetch_ends(only, next(iter(only.fetching)), m.FetchFault.SOURCE_CHANGED)
    assert world.results[task].outcome is m.Outcome.INPUT_CHANGED
    assert world.results[later].outcome is m.Outcome.INPUT_CHANGED
    assert world.results[world.submit((big,))].outcome is m.Outcome.INPUT_CHANGED


def test_an_unreadable_input_fails_the_tasks_that_wait_for_it() -> None:
    world = World(workers=1)
    file = world.local_file(bind=False)
    task = world.submit((file,))
    assert "hashed" in world.core.why(task, 0.0)
    world.say(m.FileUnreadable(file, "permission denied"))
    assert world.results[task].message == "permission denied"
