"""Is the next command handed on while one runs, only where that is right, and never lost?"""

from __future__ import annotations

from tests.worker.world import DATA, FINE, TWO, World, assignment, starts
from vine import config
from vine.names import AttemptId
from vine.wire.parts import Assignment, ObjectMount, Outcome, Resources, TaskKind
from vine.wire.worker_messages import CancelAttempts
from vine_worker import actions as act

HALF = Resources(cores=0.5)


def command(number: int, **fields: object) -> Assignment:
    return assignment(number, TaskKind.COMMAND, **fields)


def crowded(run_s: float = 0.001, protected: bool = True) -> World:
    """Two commands run, after a short one."""
    world = World((DATA,), protected)
    world.run(command(1))
    world.wait(run_s)
    world.hear(act.BodyEnded(AttemptId(1, 1), FINE))
    world.run(command(2), command(3))
    return world


def behind(actions: list[act.Action]) -> list[tuple[int, int | None]]:
    """What is to start, and behind which."""
    started = (action for action in actions if isinstance(action, act.StartBody))
    return [(each.assignment.attempt.counter, each.behind and each.behind.counter) for each in started]


def taken_back(actions: list[act.Action]) -> list[int]:
    return [action.attempt.counter for action in actions if isinstance(action, act.TakeBackBody)]


def test_one_waits_behind_each_that_runs_and_has_its_resources_when_that_ends() -> None:
    world = crowded()
    assert behind(world.run(command(4), command(5), command(6))) == [(4, 2), (5, 3)]
    assert behind(world.hear(act.BodyEnded(AttemptId(1, 2), FINE))) == [(6, 4)], (
        "the next one is behind the one that runs"
    )
    world.hear(act.BodyEnded(AttemptId(1, 4), FINE), act.BodyEnded(AttemptId(1, 6), FINE))
    assert behind(world.run(command(7))) == [(7, None)]


def test_nobody_waits_behind_one_of_other_resources_or_where_bodies_are_long() -> None:
    assert not behind(crowded().run(command(4, allotment=HALF)))
    assert not behind(crowded(run_s=config.calls_ahead_s * 2).run(command(4)))


def test_nobody_waits_whose_inputs_must_be_looked_at_when_it_starts() -> None:
    given = command(4, inputs=(ObjectMount(DATA, "data"),))
    assert behind(crowded(protected=True).run(given)) == [(4, 2)]
    assert not behind(crowded(protected=False).run(given))


def test_one_behind_a_body_that_turns_out_long_is_asked_back_once_and_takes_the_next_place() -> None:
    world = crowded()
    world.run(command(4))
    assert not taken_back(world.wait(config.calls_ahead_s / 2))
    assert taken_back(world.wait(config.calls_ahead_s)) == [4]
    assert not taken_back(world.wait(config.calls_ahead_s))
    assert not starts(world.hear(act.BodyReturned(AttemptId(1, 4)))), "it would wait behind a long one again"
    assert behind(world.hear(act.BodyEnded(AttemptId(1, 3), FINE))) == [(4, None)]


def test_one_that_is_cancelled_never_starts() -> None:
    world = crowded()
    world.run(command(4))
    assert taken_back(world.hear(CancelAttempts((AttemptId(1, 4),)))) == [4]
    world.outcomes()
    world.hear(act.BodyReturned(AttemptId(1, 4)))
    assert world.outcomes() == [(4, Outcome.CANCELLED)]


def test_one_that_has_started_before_it_could_be_had_back_is_killed() -> None:
    world = crowded()
    world.run(command(4))
    world.hear(CancelAttempts((AttemptId(1, 4),)))
    actions = world.hear(act.BodyEnded(AttemptId(1, 2), FINE))
    assert act.KillBody(AttemptId(1, 4), force=False) in actions


def test_one_that_cannot_be_started_leaves_the_resources_to_others() -> None:
    world = crowded()
    world.run(command(4))
    world.hear(act.BodyEnded(AttemptId(1, 4), act.Ending(Outcome.START_FAILED)))
    world.hear(act.BodyEnded(AttemptId(1, 2), FINE), act.BodyEnded(AttemptId(1, 3), FINE))
    assert starts(world.run(command(5, allotment=TWO))) == [5]


def test_one_whose_input_was_lost_while_it_waited_stages_again() -> None:
    world = crowded()
    world.run(command(4, inputs=(ObjectMount(DATA, "data"),)))
    world.hear(act.Lost((DATA,)))
    world.wait(config.calls_ahead_s * 2)
    world.hear(act.BodyReturned(AttemptId(1, 4)), act.BodyEnded(AttemptId(1, 2), FINE))
    assert starts(world.hear(act.Kept(DATA))) == [4]


def test_nobody_is_handed_on_at_the_moment_at_which_he_would_be_asked_back() -> None:
    # given two bodies that began at a time at which sums and differences are rounded to different sides
    world = World()
    world.run(command(1))
    world.wait(0.001)
    world.hear(act.BodyEnded(AttemptId(1, 1), FINE))
    world.now = started_s = 0.1
    world.run(command(2), command(3))
    world.now += config.calls_ahead_s
    assert world.now - started_s < config.calls_ahead_s
    # then who comes at the moment at which they turn out to be long waits for his turn
    assert not behind(world.run(command(4)))
