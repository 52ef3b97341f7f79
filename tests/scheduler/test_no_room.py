"""A worker whose disk has no room for what tasks need is not tried by each of them anew."""

from __future__ import annotations

from tests.scheduler.test_spreading import an_interior_worker, children_of
from tests.scheduler.world import FakeWorker, World
from vine import config
from vine.names import TaskId
from vine.scheduler.reasons import why
from vine.wire.parts import FetchFault, Outcome, Request


def a_worker_without_room(misfits: int = config.misfits_max) -> tuple[World, FakeWorker, FakeWorker, list[TaskId]]:
    """One of two workers has found so often that it has no room for the input of tasks; the other one has."""
    world = World(workers=2)
    file = world.local_file()
    tasks = [world.submit((file,)) for _ in range(20)]
    full = world.workers[world.worker_of(tasks[0])]  # type: ignore[index]
    (other,) = [worker for worker in world.workers.values() if worker is not full]
    for _ in range(misfits):
        misfit(world, full)
    return world, full, other, tasks


def misfit(world: World, worker: FakeWorker) -> None:
    """What the worker was told to get has no room on its disk."""
    world.fetch_ends(worker, next(iter(worker.fetching)), FetchFault.DISK_FULL)


def on(world: World, worker: FakeWorker) -> list[TaskId]:
    """The tasks that the worker has been given."""
    there = world.core.state.workers[worker.worker_id].attempts.values()
    return [record.task_id for record in there]


def test_the_others_get_its_tasks_and_few_of_them_are_tried_there() -> None:
    world, full, other, tasks = a_worker_without_room()
    assert not on(world, full) and on(world, other)
    assert "had no room" in why(world.core.state, world.core.state.tasks.by_id[tasks[-1]])
    world.settle()
    assert [world.results[task].outcome for task in tasks] == [Outcome.SUCCESS] * 20
    assert sum(world.results[task].attempts for task in tasks) == 20 + config.misfits_max


def test_tasks_of_other_kinds_go_there_meanwhile() -> None:
    world, full, _, _ = a_worker_without_room()
    task = world.submit(request=Request(cores=0.5))
    assert world.worker_of(task) == full.worker_id


def test_as_long_as_some_of_the_kind_fit_it_gets_them_all() -> None:
    # given a worker that is next to getting no more of them
    world, full, _, _ = a_worker_without_room(config.misfits_max - 2)
    small = world.submit(priority=1)
    misfit(world, full)
    # when one fits
    assert on(world, full) == [small]
    for kind in ("start", "end"):
        world.happen([event for event in world.possible_events() if event[:2] == (kind, full)][-1])
    # then it begins to count anew
    misfit(world, full)
    assert on(world, full)


def test_after_a_while_it_is_tried_again() -> None:
    world, full, _, _ = a_worker_without_room()
    world.pass_time(config.no_room_retry_s - 1)
    assert not on(world, full)
    world.pass_time(1)
    assert on(world, full)
    assert world.core.state.workers[full.worker_id].attempts_max == 1, "one is enough to find out"


def test_when_nobody_else_is_left_it_is_tried_at_once() -> None:
    world, full, other, _ = a_worker_without_room()
    world.lose(other.worker_id)
    world.pass_time(0.1)
    assert on(world, full)


def test_nobody_hangs_on_one_that_had_no_room_when_it_tries_again() -> None:
    # given a worker that feeds others while it receives, and has more tasks to come
    world = World()
    file = world.local_file(chunks=30)
    for _ in range(5):
        world.join()
    for _ in range(10):
        world.submit((file,))
    full = an_interior_worker(world)
    # when it has no room, and is given the next task
    misfit(world, full)
    # then what it receives goes to nobody else
    assert on(world, full) and full.fetching
    assert not children_of(world, full.worker_id)


def test_the_next_task_does_not_wait_for_a_retry_if_it_had_no_room_with_the_others_either() -> None:
    # given a worker that gets no more of a kind, and the next one of that with the other worker
    world, full, other, tasks = a_worker_without_room()
    first = world.submit(world.core.state.tasks.by_id[tasks[0]].inputs, priority=1)
    misfit(world, other)
    assert on(world, other) == [first] and not on(world, full)
    # when that has no room for it
    misfit(world, other)
    world.pass_time(0.1)
    # then it is tried where it was not yet: if it fits nowhere, it ends soon
    assert on(world, full) == [first]
