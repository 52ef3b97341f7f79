from __future__ import annotations

from tests.scheduler.restarting import RestartingWorld
from vine.scheduler import actions
from vine.wire import messages as m
from vine.wire import worker_messages as w


def asked(world: RestartingWorld) -> int:
    return sum(isinstance(action, actions.AskJournal) for action in world.done)


def test_nothing_is_acknowledged_before_it_is_written() -> None:
    world = RestartingWorld(workers=1)
    world.submit()
    world.pass_time(1)
    assert asked(world) == 1 and not world.sent(m.Journaled)
    world.commit()
    (told,) = world.sent(m.Journaled)
    assert told == actions.Send(world.client, m.Journaled(1))


def test_the_journal_is_asked_one_question_at_a_time_and_none_when_nothing_was_said() -> None:
    world = RestartingWorld(workers=1)
    world.submit()
    for _ in range(3):
        world.pass_time(1)
    world.commit()
    for _ in range(3):
        world.pass_time(1)
    assert asked(world) == 1


def test_ends_are_acknowledged_to_the_worker_that_told_them() -> None:
    world = RestartingWorld(workers=2)
    world.submit()
    world.settle()
    world.pass_time(1)
    world.commit()
    (told,) = world.sent(w.EndsJournaled)
    (worker,) = [worker for worker in world.workers.values() if worker.received[-1] == w.EndsJournaled(1)]
    assert told == actions.Send(worker.peer, w.EndsJournaled(1))


def test_who_has_left_meanwhile_is_told_nothing() -> None:
    world = RestartingWorld(workers=1)
    world.submit()
    world.pass_time(1)
    world.say(m.ClientBye())
    world.commit()
    assert not world.sent(m.Journaled)
