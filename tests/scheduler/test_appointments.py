"""Do tasks wait for their start time, and end at their end time, wherever they are then?"""

from __future__ import annotations

from tests.scheduler.world import World
from vine.scheduler import reasons
from vine.wire.parts import Outcome, Policy
from vine.wire.worker_messages import CancelAttempts


def test_a_task_starts_at_its_time_and_says_until_then_what_it_waits_for() -> None:
    world = World(workers=1)
    task = world.submit(policy=Policy(starts_at_s=29.5))
    record = world.core.state.tasks.by_id[task]
    assert reasons.why(world.core.state, record) == "waits for its start time, which is in 29.5 s"
    world.pass_time(29)
    assert world.state_of(task) == "waiting"
    assert world.core.next_deadline() == 29.5
    world.pass_time(0.5)
    assert world.state_of(task) == "staged"


def test_a_start_time_that_is_over_holds_up_nothing() -> None:
    world = World(workers=1)
    world.pass_time(10)
    assert world.state_of(world.submit(policy=Policy(starts_at_s=5.0))) == "staged"


def test_a_start_time_does_not_let_a_task_start_without_its_inputs() -> None:
    world = World(workers=1)
    task = world.submit((world.local_file(bind=False),), policy=Policy(starts_at_s=5.0))
    world.pass_time(6)
    assert world.state_of(task) == "waiting"


def test_a_task_that_waits_for_a_worker_ends_at_its_end_time() -> None:
    world = World()
    task = world.submit(policy=Policy(ends_at_s=10.0), label="sum")
    world.pass_time(9)
    assert task not in world.results
    world.pass_time(1)
    assert world.results[task].outcome is Outcome.END_TIME
    assert world.results[task].message.startswith("sum: it had not begun at its end time")


def test_a_task_that_runs_at_its_end_time_is_stopped_and_not_tried_again() -> None:
    world = World(workers=1)
    task = world.submit(policy=Policy(ends_at_s=10.0), retries=3)
    world.happen(world.possible_events()[0])
    assert world.state_of(task) == "running"
    world.pass_time(10)
    assert world.sent(CancelAttempts)
    world.settle()
    assert world.results[task].outcome is Outcome.END_TIME
    assert "it still ran" in world.results[task].message


def test_a_task_whose_worker_is_lost_while_it_is_stopped_ends_as_stopped() -> None:
    world = World(workers=1)
    task = world.submit(policy=Policy(ends_at_s=10.0))
    world.pass_time(10)
    world.lose(next(iter(world.workers)))
    assert world.results[task].outcome is Outcome.END_TIME


def test_a_task_that_is_submitted_after_its_end_time_ends_at_once() -> None:
    world = World(workers=1)
    world.pass_time(10)
    task = world.submit(policy=Policy(ends_at_s=5.0))
    assert world.results[task].outcome is Outcome.END_TIME


def test_times_are_told_by_the_clock_on_the_wall() -> None:
    world = World(workers=1)
    object.__setattr__(world.settings, "wall_clock_ahead_s", 1000.0)
    task = world.submit(policy=Policy(starts_at_s=1005.0))
    world.pass_time(4)
    assert world.state_of(task) == "waiting"
    world.pass_time(1)
    assert world.state_of(task) == "staged"


def test_the_appointments_of_tasks_that_have_ended_do_not_pile_up() -> None:
    world = World(workers=1)
    for _ in range(300):
        world.submit(policy=Policy(ends_at_s=world.settings.wall_clock_ahead_s + 86_400.0))
        world.settle()
        world.pass_time(0.01)
    assert len(world.core.state.appointments) < 100
