"""Who makes a file that several tasks were to make, told to the true scheduler."""

from __future__ import annotations

import pytest

from tests.scheduler.world import World
from vine.names import FileId
from vine.wire import messages as m
from vine.wire.parts import Outcome


@pytest.mark.parametrize("how", ["it is rejected", "it fails", "the file is lost first, and then it fails"])
def test_a_task_that_does_not_make_a_file_anew_leaves_it_to_the_one_that_made_it(how: str) -> None:
    # given a temporary file that a task has made
    world = World(workers=1)
    made = world.temp()
    maker = world.submit((), (made,))
    world.settle()
    holder = next(iter(world.workers))
    # when another one that was to make it does not, and its last copy is lost
    user = None
    if how == "it is rejected":
        other = world.submit((FileId(999999),), (made,))
    else:
        other = world.submit((), (made,))
        world.outcome = lambda given: Outcome.EXCEPTION if given.task_id == other else Outcome.SUCCESS
        if how == "it fails":
            world.settle()
        else:
            user = world.submit((made,))
    world.lose(holder)
    user = user or world.submit((made,))
    world.join()
    world.settle()
    # then the first one makes it again for who needs it
    assert world.results[other].outcome in (Outcome.INPUT_MISSING, Outcome.EXCEPTION)
    assert world.results[user].outcome is Outcome.SUCCESS and world.runs[maker] == 2


def test_who_made_a_file_is_forgotten_when_another_has_made_it_anew() -> None:
    world = World(workers=1)
    made = world.temp()
    first = world.submit((), (made,))
    world.settle()
    world.say(m.ForgetResults((first,)))
    second = world.submit((), (made,))
    assert first in world.core.state.tasks.by_id
    world.settle()
    assert first not in world.core.state.tasks.by_id and world.core.state.files.by_id[made].producer == second


def test_one_that_is_lost_is_made_by_who_has_made_it_before_if_the_next_waits_for_what_is_made_of_it() -> None:
    # given a file, another one that is made of it, and both are lost
    world = World(workers=1)
    first, second = world.temp(), world.temp()
    maker = world.submit((), (first,))
    world.submit((first,), (second,))
    world.settle()
    world.lose(*world.workers)
    # when a task takes the second one, and is to make the first anew
    anew = world.submit((second,), (first,))
    world.join()
    world.settle()
    # then that is made once more as it was, and then anew
    assert world.results[anew].outcome is Outcome.SUCCESS and world.runs[maker] == 2
    assert world.core.state.files.by_id[first].producer == anew
