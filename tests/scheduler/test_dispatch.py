"""What a task's attempt is given, told to the true scheduler."""

from __future__ import annotations

from tests.scheduler.world import World
from vine import config
from vine.wire.parts import DependencyValue, Outcome, Request, Resources
from vine.wire.worker_messages import RunAttempts


def test_a_task_waits_for_the_results_it_takes() -> None:
    world = World(workers=1)
    first = world.submit()
    second = world.submit(depends=(first,))
    assert world.state_of(second) == "waiting"
    assert f"task {first}" in world.core.why(second, 0.0)
    world.settle()
    given = [a.message for a in world.sent(RunAttempts)][-1]
    assert given.assignments[0].values == (DependencyValue(first, value=b"v"),)
    assert world.results[second].outcome is Outcome.SUCCESS


def test_many_small_results_travel_as_objects_so_that_no_assignment_is_too_long() -> None:
    world = World(workers=1)
    world.value = lambda assignment: str(assignment.task_id).encode() * 10_000
    parts = tuple(world.submit() for _ in range(40))
    total = world.submit(depends=parts)
    world.settle()
    assert world.results[total].outcome is Outcome.SUCCESS
    given = [a.message for a in world.sent(RunAttempts)][-1].assignments[0]
    inline = sum(len(value.value) for value in given.values if value.value is not None)
    assert inline <= config.dependency_bytes_inline_max
    assert all((value.value is None) != (value.object_id is None) for value in given.values)


def test_what_a_task_leaves_out_is_shared_out_in_proportion() -> None:
    world = World()
    world.join(cores=4, memory_mb=1000)
    world.submit(request=Request(cores=1))
    (run,) = world.sent(RunAttempts)
    assert run.message.assignments[0].allotment == Resources(1, 250, 250, 0)


def test_a_task_that_asks_for_nothing_gets_the_whole_worker() -> None:
    world = World(workers=1, cores=4)
    first, second = world.submit(request=Request()), world.submit(request=Request())
    assert world.state_of(first) == "staged"
    assert world.state_of(second) == "ready"
