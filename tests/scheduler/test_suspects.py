"""Who is blamed for workers that die, told to the true scheduler."""

from __future__ import annotations

from tests.scheduler.fake_worker import FakeWorker
from tests.scheduler.world import World
from vine import config
from vine.names import TaskId
from vine.wire.parts import Outcome, Request


def start_all(world: World) -> None:
    while starts := [event for event in world.possible_events() if event[0] == "start"]:
        world.happen(starts[0])


def runs(worker: FakeWorker) -> set[TaskId]:
    return {assignment.task_id for assignment in worker.running.values()}


def test_one_that_kills_its_workers_is_found_and_its_neighbours_are_not_blamed() -> None:
    # given a task that kills each worker on which it runs, among others that do nothing to theirs
    world = World()
    poison, *others = [world.submit(request=Request(cores=1), priority=1.0 - i) for i in range(6)]
    killed, ran_alone = 0, 0
    # when workers come and die
    while poison not in world.results:
        worker = world.join(cores=3)
        start_all(world)
        while poison not in runs(worker):
            world.happen(next(event for event in world.possible_events() if event[0] == "end"))
            start_all(world)
        ran_alone += runs(worker) == {poison}
        killed += 1
        world.lose(worker.worker_id)
    world.join(cores=3)
    world.settle()
    # then it is blamed after so many alone, and every other task succeeds
    assert world.results[poison].outcome is Outcome.WORKER_LOST and "alone" in world.results[poison].message
    assert ran_alone == config.worker_losses_alone_max
    assert killed <= config.worker_losses_alone_from + config.worker_losses_alone_max
    assert all(world.results[task].outcome is Outcome.SUCCESS for task in others)


def test_one_whose_inputs_were_still_on_their_way_is_not_suspected() -> None:
    world = World()
    task = world.submit((world.local_file(),))
    for _ in range(6):
        worker = world.join()
        assert worker.assigned and worker.fetching
        world.lose(worker.worker_id)
    record = world.core.state.tasks.by_id[task]
    assert (record.losses, record.alone) == (0, False)


def test_one_that_is_suspected_has_a_worker_to_itself_and_no_more_gpus_than_it_asked_for() -> None:
    world = World()
    for _ in range(2):
        world.submit(request=Request(cores=1))
    for _ in range(config.worker_losses_alone_from):
        worker = world.join(cores=4)
        start_all(world)
        world.lose(worker.worker_id)
    worker = world.join(cores=4)
    (assignment,) = worker.assigned.values()
    assert (assignment.allotment.cores, assignment.allotment.gpus) == (4, 0)
    assert world.core.state.tasks.by_id[assignment.task_id].alone
