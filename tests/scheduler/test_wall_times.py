"""Does a task that needs some time get a worker that has as much left, and no other?"""

from __future__ import annotations

from tests.scheduler.world import World
from vine import config
from vine.wire.parts import Outcome, Policy, Request


def needs(seconds: float) -> Policy:
    return Policy(time_min_s=seconds)


def test_a_worker_that_ends_sooner_is_not_given_a_task_however_empty_it_is() -> None:
    world = World()
    world.join("short", cores=8, wall_time_s=100)
    assert world.worker_of(world.submit(policy=needs(100))) == "short"
    task = world.submit(policy=needs(101))
    assert world.state_of(task) == "ready"
    world.join("long", wall_time_s=101)
    assert world.worker_of(task) == "long"


def test_workers_without_an_end_last_as_long_as_is_asked() -> None:
    world = World(workers=1)
    assert world.state_of(world.submit(policy=needs(1e6))) == "staged"


def test_what_is_left_grows_less_and_the_task_waits_for_another_worker_and_says_so() -> None:
    world = World()
    world.join("old", cores=1, wall_time_s=100)
    other = world.submit()
    task = world.submit(policy=needs(60))
    assert "busy" in world.core.why(task, world.now)
    world.pass_time(50)
    world.settle()
    assert world.results[other].outcome is Outcome.SUCCESS
    assert world.state_of(task) == "ready"
    words = "waits for a worker that lives for 60 s more: those that fit it end sooner"
    assert world.core.why(task, world.now) == words
    world.pass_time(10 * config.no_fit_grace_s)
    assert world.state_of(task) == "ready", "a new worker with as much time would last"
    world.join("new", wall_time_s=100)
    assert world.worker_of(task) == "new"


def test_a_task_that_needs_some_time_does_not_queue_where_others_use_it_up() -> None:
    world = World()
    world.join(cores=4, memory_mb=8000, wall_time_s=100)
    first = world.submit(request=Request(cores=3, memory_mb=1, disk_mb=1))
    task = world.submit(request=Request(cores=2, memory_mb=1, disk_mb=1), policy=needs(90))
    assert (world.state_of(first), world.state_of(task)) == ("staged", "ready")
    world.settle()
    assert world.results[task].outcome is Outcome.SUCCESS


def test_a_worker_that_has_had_a_part_of_its_time_before_it_came_has_the_rest() -> None:
    world = World()
    world.join("old", wall_time_s=100, time_left_s=30)
    assert world.state_of(world.submit(policy=needs(31))) == "ready"
    assert world.state_of(world.submit(policy=needs(30))) == "staged"


def test_a_task_that_no_worker_of_this_kind_could_ever_last_for_fails_soon() -> None:
    world = World()
    world.join(wall_time_s=100)
    task = world.submit(policy=needs(101))
    for _ in range(2):
        world.pass_time(config.no_fit_grace_s)
    assert world.results[task].outcome is Outcome.NO_WORKER_FITS
    assert "101 s to live" in world.results[task].message
