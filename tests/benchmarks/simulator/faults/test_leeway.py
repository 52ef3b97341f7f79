"""What a restart may change, and that it is nothing else."""

from __future__ import annotations

import pytest

from benchmarks.simulator.faults.leeway import GONE, Leeway
from benchmarks.simulator.faults.mirror import compare_tables
from tests.scheduler.restarting import RestartingWorld
from vine.names import MANAGER, FileId, TaskId
from vine.scheduler.state import State
from vine.wire import messages as m
from vine.wire.parts import FetchFault, Outcome, Request


def compared(world: RestartingWorld) -> tuple[State, Leeway]:
    """What there would be after a restart, which is as it may be."""
    live, restored = world.core.state, world.would_be()
    compare_tables(live, restored)
    return restored, Leeway(live, restored)


def one_that_is_cancelled(world: RestartingWorld) -> tuple[TaskId, TaskId, FileId]:
    """A task that runs and is to end, one that takes what it makes, and that."""
    temp = world.temp()
    runs = world.submit((), (temp,))
    world.happen(next(event for event in world.possible_events() if event[0] == "start"))
    takes = world.submit((temp,))
    world.say(m.CancelTasks((runs,)))
    return runs, takes, temp


def fails(world: RestartingWorld, file: FileId) -> None:
    """A worker finds that the file is not what it was declared to be."""
    worker = world.join(cores=8)
    world.submit((file,), priority=1.0, request=Request(cores=8))
    world.fetch_ends(worker, next(iter(worker.fetching)), FetchFault.SOURCE_CHANGED, blamed=MANAGER)
    assert world.core.state.files.by_id[file].failure is not None


def that_is_lost(world: RestartingWorld) -> tuple[TaskId, FileId]:
    """A task that has ended, and its file, of which no copy is left."""
    temp = world.temp()
    maker = world.submit((), (temp,))
    world.settle()
    lose(world)
    return maker, temp


def lose(world: RestartingWorld) -> None:
    for worker_id in list(world.workers):
        world.lose(worker_id)


def test_what_is_being_cancelled_ends_at_once_and_who_waits_for_it() -> None:
    world = RestartingWorld(workers=1)
    runs, takes, temp = one_that_is_cancelled(world)
    others = world.submit(), world.local_file()
    restored, leeway = compared(world)
    assert (leeway.tasks, leeway.files) == ({runs, takes}, {temp})
    assert restored.tasks.by_id[takes].state.ended and not restored.tasks.by_id[others[0]].state.ended


def test_all_else_is_compared_though_something_is_being_cancelled() -> None:
    world = RestartingWorld(workers=1)
    one_that_is_cancelled(world)
    other = world.submit(priority=1.0)
    restored = world.would_be()
    restored.tasks.by_id[other].failures += 1
    with pytest.raises(AssertionError, match=f"of {other} a restart would change"):
        compare_tables(world.core.state, restored)


def test_one_whose_input_has_failed_since_it_was_ready_ends_at_once() -> None:
    # given a task that waits for a large worker, whose input is lost; that it cannot be made again another has found
    world = RestartingWorld(workers=1)
    local, temp = world.local_file(), world.temp()
    world.submit((local,), (temp,))
    world.settle()
    world.say(m.ForgetFiles((local,)))
    task, other = (world.submit(inputs, request=Request(cores=64)) for inputs in ((temp,), ()))
    world.lose(*world.workers)
    world.submit((temp,))
    world.join()
    assert world.state_of(task) == "ready" and world.core.state.files.by_id[temp].failure is not None
    # then a restart ends it, and nothing else
    restored, leeway = compared(world)
    assert leeway.tasks == {task}
    assert restored.tasks.by_id[task].state.ended and not restored.tasks.by_id[other].state.ended


def test_of_a_task_that_runs_again_only_what_was_forgotten_may_be_gone() -> None:
    # given a task that runs again for its lost file, and whose own input was forgotten meanwhile
    world = RestartingWorld(workers=1)
    mine, kept, temp = world.local_file("mine"), world.local_file("kept"), world.temp()
    maker = world.submit((mine, kept), (temp,))
    world.settle()
    world.lose(*world.workers)
    world.submit((temp,), request=Request(cores=64))
    world.submit((temp,))
    world.join()
    world.say(m.ForgetFiles((mine,)))
    assert world.core.state.tasks.by_id[maker].recovering
    # then that is all that a restart may lack
    _, leeway = compared(world)
    assert GONE in leeway.of("files", mine) and not leeway.of("files", kept)
    assert not leeway.tasks and not leeway.files


def test_of_one_that_runs_again_the_value_may_be_gone_if_it_was_forgotten() -> None:
    # given a task with a file and a value, that runs again for the file; and its value is forgotten
    world = RestartingWorld(workers=1)
    maker, temp = that_is_lost(world)
    world.submit((temp,))
    world.join()
    world.say(m.ForgetResults((maker,)))
    # then it is still there while that is so, and for no restart
    restored, _ = compared(world)
    assert world.core.state.tasks.by_id[maker].value is not None and restored.tasks.by_id[maker].value is None


def test_what_was_lost_while_nobody_looked_is_made_again_at_once() -> None:
    world = RestartingWorld(workers=1)
    temp = world.temp()
    maker = world.submit((), (temp,))
    world.settle()
    taker = world.submit((temp,), request=Request(cores=64))
    world.lose(*world.workers)
    assert world.state_of(taker) == "ready" and world.state_of(maker) == "done"
    restored, leeway = compared(world)
    assert restored.tasks.by_id[maker].recovering and leeway.is_lost(world.core.state.files.by_id[temp])


def test_a_result_that_is_gone_for_good_takes_with_it_who_waits_for_it() -> None:
    # given a lost result, which cannot be made again, and a task that is ready with it
    world = RestartingWorld(workers=1)
    world.large_values = True
    local = world.local_file()
    first = world.submit((local,))
    world.say(m.KeepResults((first,)))
    world.settle()
    second = world.submit(depends=(first,), request=Request(cores=64))
    other = world.submit((world.temp(),))
    lose(world)
    fails(world, local)
    lose(world)
    # then a restart sees that at once
    restored, leeway = compared(world)
    assert leeway.tasks == {first, second} and restored.tasks.by_id[second].state.ended
    assert not restored.tasks.by_id[other].state.ended


def test_of_several_that_have_failed_any_may_be_named_as_the_maker() -> None:
    # given two tasks that were to make a file, of which the second is refused, and then the first fails
    world = RestartingWorld(workers=1)
    world.outcome = lambda assignment: Outcome.EXCEPTION
    temp = world.temp()
    first = world.submit((), (temp,))
    world.submit((FileId(999_999),), (temp,))
    world.settle()
    # then a restart may name either, and forget the first with its result
    compared(world)
    world.say(m.ForgetResults((first,)))
    compared(world)


def test_one_that_has_failed_only_when_it_ran_again_is_still_the_maker() -> None:
    world = RestartingWorld(workers=1)
    maker, temp = that_is_lost(world)
    world.outcome = lambda assignment: Outcome.EXCEPTION
    world.submit((temp,))
    world.join()
    world.settle()
    assert world.state_of(maker) == "failed" and world.results[maker].outcome is Outcome.SUCCESS
    compared(world)
