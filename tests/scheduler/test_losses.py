"""What becomes of tasks whose workers leave in order or are lost, told to the true scheduler."""

from __future__ import annotations

import pytest

from tests.scheduler.fake_worker import FakeWorker
from tests.scheduler.restarting import RestartingWorld
from tests.scheduler.world import World
from vine import config
from vine.names import TaskId
from vine.wire import messages as m
from vine.wire.parts import Mount, Outcome, TaskKind, TaskSpec, When
from vine.wire.worker_messages import WorkerBye


def leave(world: World, worker: FakeWorker) -> None:
    """The worker says goodbye."""
    world.say(WorkerBye("idle"), worker.peer)
    del world.workers[worker.worker_id]


def evict_while_it_runs(world: World) -> None:
    worker = world.join()
    world.happen(next(event for event in world.possible_events() if event[0] == "start"))
    leave(world, worker)


def assert_runs_where_one_stays(world: World, task: TaskId) -> None:
    world.join()
    world.settle()
    assert world.results[task].outcome is Outcome.SUCCESS


def test_workers_that_leave_in_order_are_no_fault_of_tasks_that_had_not_begun_there() -> None:
    # given a task that is given to one worker after the other, each of which leaves at that moment
    world = World()
    task = world.submit()
    for _ in range(config.worker_losses_max + 1):
        leave(world, world.join())
    assert world.state_of(task) == "ready"
    assert_runs_where_one_stays(world, task)


def test_workers_that_a_batch_system_takes_back_are_no_fault_of_what_runs_there() -> None:
    # given a task that had some of its workers to itself when they were taken back
    world = World()
    task = world.submit()
    for _ in range(config.worker_losses_max + 1):
        evict_while_it_runs(world)
    record = world.core.state.tasks.by_id[task]
    assert (world.state_of(task), record.losses, record.alone) == ("ready", 0, False)
    assert_runs_where_one_stays(world, task)


def test_a_task_under_which_worker_after_worker_leaves_for_too_often_takes_too_long_for_them() -> None:
    world = World()
    task = world.submit()
    for _ in range(config.worker_leaves_max):
        evict_while_it_runs(world)
    assert world.results[task].outcome is Outcome.WORKER_LOST
    assert "left in order 20 times" in world.results[task].message


def that_is_collected(world: RestartingWorld) -> TaskId:
    """A task that has run, and whose result is on its way."""
    world.large_values = True
    task = world.submit()
    while not world.local:
        world.happen(world.possible_events()[0])
    return task


@pytest.mark.parametrize("in_order", [True, False])
def test_who_is_not_suspected_of_a_loss_is_not_after_a_restart_either(in_order: bool) -> None:
    # given a task whose workers are taken back, or lost before it has begun there, more often than it could stand
    world = RestartingWorld()
    task = world.submit(() if in_order else (world.local_file(),))
    for _ in range(config.worker_losses_alone_from):
        if in_order:
            evict_while_it_runs(world)
        else:
            world.lose(world.join().worker_id)
    # when the manager dies
    world.crash()
    # then the next one suspects it of nothing either
    record = world.core.state.tasks.by_id[task]
    assert (record.losses, record.alone, record.attempts) == (0, False, config.worker_losses_alone_from)


def test_a_task_whose_result_was_on_its_way_when_its_worker_was_lost_is_not_suspected_after_a_restart() -> None:
    world = RestartingWorld(workers=1)
    task = that_is_collected(world)
    world.lose(*world.workers)
    assert world.state_of(task) == "ready"
    world.crash()
    assert world.core.state.tasks.by_id[task].losses == 0
    assert world.written().tasks[task].ended_attempts == {Outcome.CANCELLED: 1}


def test_tasks_under_which_workers_die_are_suspected_after_a_restart_too() -> None:
    # given two tasks that run beside each other whenever a worker dies
    world = RestartingWorld()
    tasks = [world.submit(), world.submit()]
    for _ in range(config.worker_losses_alone_from):
        worker = world.join(cores=2)
        for _ in tasks:
            world.happen(next(event for event in world.possible_events() if event[0] == "start"))
        world.lose(worker.worker_id)
    # when the manager dies
    world.crash()
    # then each is to have a worker to itself
    records = [world.core.state.tasks.by_id[task] for task in tasks]
    assert [(each.losses, each.alone) for each in records] == [(config.worker_losses_alone_from, True)] * 2


def test_a_failure_of_which_the_output_is_lost_on_its_way_counts_no_more_now_and_after_a_restart() -> None:
    # given a task that has failed, and whose worker is lost before what it has left for that case has come
    world = RestartingWorld(workers=1)
    world.outcome = lambda assignment: Outcome.EXCEPTION
    log, task = world.local_file(bind=False), world.new_task_id()
    world.say(m.SubmitTasks((TaskSpec(task, TaskKind.CALL, outputs=(Mount(log, "log", When.FAILURE),)),)))
    while not world.local:
        world.happen(world.possible_events()[0])
    assert world.core.state.tasks.by_id[task].failures == 1
    world.lose(*world.workers)
    # then it is tried again as if it had not
    assert world.core.state.tasks.by_id[task].failures == 0
    assert world.would_be().tasks.by_id[task].failures == 0
