"""Which worker gets which task, told to the true scheduler."""

from __future__ import annotations

from typing import Any

import pytest

from tests.scheduler.world import World
from vine import config
from vine.names import MANAGER, FileId, TaskId, WorkerId
from vine.scheduler import dispatch, prefetching
from vine.wire import messages as m
from vine.wire.parts import CategorySpec, Outcome, Policy, Request, Resources


def test_a_task_takes_the_worker_that_holds_its_input() -> None:
    world = World(workers=2)
    big = world.local_file()
    first = world.submit((big,))
    holder = world.worker_of(first)
    world.settle()
    second = world.submit((big,))
    assert world.worker_of(second) == holder


def test_without_data_the_emptiest_worker_is_taken() -> None:
    world = World(workers=2, cores=2)
    first, second = world.submit(), world.submit()
    assert world.worker_of(first) != world.worker_of(second)


def test_a_higher_priority_goes_first() -> None:
    world = World(workers=1)
    world.submit()
    low, high = world.submit(priority=1), world.submit(priority=2)
    order: list[object] = []
    world.outcome = lambda assignment: order.append(assignment.task_id) or Outcome.SUCCESS  # type: ignore[func-returns-value]
    world.settle()
    assert order[1:] == [high, low]


def test_short_tasks_are_queued_ahead_and_long_ones_are_not() -> None:
    world = World(workers=1)
    shape = {"function": world.buffer(b"f")}
    world.submit(**shape)
    world.settle()  # It took a second: nothing is queued ahead.
    tasks = [world.submit(**shape) for _ in range(5)]
    assert [world.state_of(task) for task in tasks].count("staged") == 1
    world.settle()
    for _ in range(50):
        world.core.state.placement.durations.observe(world.core.state.tasks.by_id[tasks[0]].body, 0.001)
    tasks = [world.submit(**shape) for _ in range(5)]
    assert [world.state_of(task) for task in tasks].count("staged") == 5


def test_the_papers_shape_fits_eight_tasks_on_a_worker() -> None:
    world = World()
    worker = world.join(cores=16, memory_mb=16_000)
    assert worker.cores == 16
    world.core.state.workers[worker.worker_id].capacity = Resources(16, 16_000, 16_000)
    shape = Request(cores=2, memory_mb=2000, disk_mb=2000)
    tasks = [world.submit(request=shape) for _ in range(9)]
    assert [world.state_of(task) for task in tasks] == ["staged"] * 8 + ["ready"]


def test_an_index_of_workers_does_not_grow_with_the_tasks_that_have_run() -> None:
    world = World(workers=1, cores=2)
    world.submit(request=Request(cores=2))  # a shape that is idle from then on
    for _ in range(500):
        world.submit()
        world.settle()
    assert max(len(shape.index) for shape in world.core.state.placement.shapes.values()) < 100


def test_tasks_that_ask_for_the_same_are_one_shape_whatever_they_run() -> None:
    world = World(workers=1)
    for number in range(200):
        world.submit(function=world.buffer(b"%d" % number))
    assert len(world.core.state.placement.shapes) == 1


def test_shapes_without_tasks_are_forgotten() -> None:
    world = World()
    tasks = [world.submit(request=Request(cores=0.5, memory_mb=number)) for number in range(200)]
    world.say(m.CancelTasks(tuple(tasks[1:])))
    world.join()
    world.settle()
    world.pass_time(2)
    assert len(world.core.state.placement.shapes) <= config.idle_shapes_max


def test_a_worker_that_comes_back_is_known_by_its_load_of_now() -> None:
    world = World()
    worker = world.join("w", cores=2)
    world.submit()
    world.lose(worker.worker_id)
    world.join("w", cores=1)
    first, second = world.submit(), world.submit()
    assert [world.state_of(task) for task in (first, second)].count("staged") == 0
    assert len(next(iter(world.workers.values())).assigned) == 1


def looks(world: World, monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Each look for a worker from now on."""
    placement, seen = world.core.state.placement, []
    choose = placement.choose

    def noted(*arguments: Any) -> Any:
        seen.append(arguments[1].task_id)
        return choose(*arguments)

    monkeypatch.setattr(placement, "choose", noted)
    return seen


def test_nobody_is_looked_for_again_before_somebody_may_have_room(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(workers=2)
    tasks = [world.submit() for _ in range(4)]
    seen = looks(world, monkeypatch)
    for worker in world.workers.values():
        world.report(worker)
    world.submit(request=Request(cores=1, memory_mb=10))
    assert len(seen) == 1, "the heads of other queues were looked at, too"
    world.settle()
    assert set(world.results) >= set(tasks)
    assert len(seen) == 1, "the only worker that had come to have room was searched for"


def test_a_task_that_is_learnt_to_be_short_is_queued_though_nobody_has_come_to_have_room() -> None:
    world = World(workers=1)
    function = world.buffer(b"f")
    long, short = world.submit(), world.submit(function=function)
    assert (world.state_of(long), world.state_of(short)) == ("staged", "ready")
    state = world.core.state
    for _ in range(50):
        state.placement.durations.observe(state.tasks.by_id[short].body, 0.001)
    world.submit()
    assert world.state_of(short) == "staged"


def strict(*files: FileId) -> Policy:
    return Policy(strict=files)


def test_a_strict_input_is_read_where_it_is_though_others_are_emptier() -> None:
    world = World(workers=3, cores=2)
    made = world.temp()
    maker = world.submit((), (made,))
    place = world.worker_of(maker)
    world.settle()
    tasks = [world.submit((made,), policy=strict(made)) for _ in range(4)]
    assert [world.worker_of(task) for task in tasks] == [place, place, None, None]
    assert "busy" in world.core.why(tasks[3], world.now)
    world.settle()
    assert all(world.results[task].worker_id == place for task in tasks)


def test_a_task_whose_strict_inputs_are_on_different_workers_fails_soon() -> None:
    world = World(workers=2)
    ones = [world.temp(), world.temp()]
    for made in ones:
        world.submit((), (made,))
    world.settle()
    task = world.submit(tuple(ones), policy=strict(*ones))
    assert world.core.why(task, world.now) == "waits for a worker that has all of its strict inputs: none does"
    other = world.submit((ones[0],), policy=strict(ones[0]))
    assert world.state_of(other) == "staged"  # Who cannot be placed holds up nobody.
    for _ in range(2):
        world.pass_time(config.no_fit_grace_s)
    assert world.results[task].outcome is Outcome.FIXED_LOCATION_MISSING


def test_of_many_workers_that_have_a_strict_input_the_emptiest_is_found() -> None:
    world = World(workers=80, cores=2)
    made = world.local_file()
    request = world.broadcast(made)
    world.settle()
    assert world.answer(request) is not None
    world.join(cores=64, memory_mb=64_000)  # emptier than all, and without the file
    holders = set(world.core.state.files.object_of(made).holders)  # type: ignore[union-attr]
    tasks = [world.submit((made,), policy=strict(made)) for _ in range(120)]
    assert {world.worker_of(task) for task in tasks} == holders - {MANAGER}


def test_a_strict_input_that_is_no_input_is_refused() -> None:
    world = World(workers=1)
    task = world.submit(policy=strict(world.temp()))
    assert world.results[task].outcome is Outcome.INPUT_MISSING


def test_a_task_runs_where_its_strict_input_has_come_to_be() -> None:
    world = World(workers=2)
    sent = world.local_file()
    tasks = [world.submit((sent,), policy=strict(sent)) for _ in range(2)]
    assert [world.state_of(task) for task in tasks] == ["ready", "ready"]
    world.broadcast(sent, workers=("w2",))
    world.settle()
    assert [world.results[task].worker_id for task in tasks] == ["w2", "w2"]


def test_a_strict_input_that_is_not_declared_any_more_is_looked_for_nowhere() -> None:
    world = World(workers=1)
    sent = world.local_file()
    task = world.submit((sent,), policy=strict(sent))
    world.say(m.CancelTasks((task,)))
    world.say(m.ForgetFiles((sent,)))
    world.pass_time(1)
    assert sent not in world.core.state.files.by_id


def avoid(world: World, task: TaskId, name: str) -> None:
    world.core.state.tasks.by_id[task].avoid = {WorkerId(name)}


def test_the_only_worker_with_room_is_not_given_a_task_that_avoids_it() -> None:
    # given two busy workers, and two tasks of which the first avoids one of them
    world = World(workers=2)
    running = [world.submit() for _ in range(2)]
    first, second = world.submit(), world.submit()
    avoid(world, first, "w1")
    (on_w1,) = [task for task in running if world.worker_of(task) == "w1"]
    # when that one comes to have room
    w1 = world.workers["w1"]
    (attempt,) = w1.assigned
    world.happen(("start", w1, attempt))
    world.happen(("end", w1, attempt))
    # then the second task is given to it, and the first waits for the other
    assert on_w1 in world.results
    assert (world.state_of(first), world.worker_of(second)) == ("ready", "w1")
    world.settle()
    assert world.results[first].worker_id == "w2"


def test_tasks_that_avoid_workers_are_not_looked_at_one_by_one_while_nobody_has_room(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = World(workers=2)
    world.submit()
    world.submit()
    waiting = [world.submit() for _ in range(20)]
    for task in waiting:
        avoid(world, task, "w1")
    seen = looks(world, monkeypatch)
    world.submit(request=Request(cores=1, memory_mb=10))
    assert len(seen) <= 2
    world.settle()
    assert all(world.results[task].worker_id == "w2" for task in waiting)


def test_a_queue_whose_tasks_turn_out_to_be_long_is_not_moved_at_once() -> None:
    # given tasks that were queued when their kind was known to be short
    world = World(workers=1)
    function = world.buffer(b"f")
    body = world.core.state.tasks.by_id[world.submit(function=function)].body
    placement = world.core.state.placement
    for _ in range(50):
        placement.durations.observe(body, 0.001)
    tasks = [world.submit(function=function) for _ in range(200)]
    (queue,) = [shape.queue for shape in placement.shapes.values() if shape.queue]
    length = len(queue)
    # when it is learnt to be long
    for _ in range(100):
        placement.durations.observe(body, 10.0)
    world.submit(request=Request(cores=1, memory_mb=10))
    # then the tasks stay where they are, and no more of them are given out than can run
    assert len(queue) == length
    world.settle()
    assert {world.results[task].outcome for task in tasks} == {Outcome.SUCCESS}


def end_one(world: World, name: str) -> None:
    """The first of what the worker was given runs, and ends."""
    worker = world.workers[name]
    attempt = next(iter(worker.assigned))
    world.happen(("start", worker, attempt))
    world.happen(("end", worker, attempt))


def test_who_has_come_to_have_room_while_nobody_waited_is_found_beside_the_one_that_has_now() -> None:
    # given a shape for which nobody had room when it was looked at, and whose tasks are gone
    world = World(workers=2)
    first, second = world.submit(), world.submit()
    gone = world.submit()
    followers = [world.submit(depends=(second,)) for _ in range(2)]
    world.say(m.CancelTasks((gone,)))
    # when one worker comes to have room, and later, in one step, another one and two tasks
    assert (world.worker_of(first), world.worker_of(second)) == ("w1", "w2")
    end_one(world, "w1")
    end_one(world, "w2")
    # then both workers are given one
    assert {world.worker_of(task) for task in followers} == {"w1", "w2"}


def room_for_three(low: float) -> tuple[World, list[TaskId]]:
    """A worker whose only task is about to end, and three that wait for its cores: two of a shape, one of another."""
    world = World(workers=1, cores=3)
    world.submit(request=Request(cores=3))
    tasks = [world.submit(), world.submit(request=Request(cores=1, memory_mb=1), priority=low), world.submit()]
    assert [world.state_of(task) for task in tasks] == ["ready"] * 3
    return world, tasks


def test_a_task_that_was_given_away_instead_of_another_is_not_given_again(monkeypatch: pytest.MonkeyPatch) -> None:
    world, tasks = room_for_three(low=0)
    other = world.core.state.tasks.by_id[tasks[1]]
    ready = other.state
    monkeypatch.setattr(prefetching, "instead", lambda _, record, worker: other if other.state is ready else record)
    end_one(world, "w1")
    assert [world.state_of(task) for task in tasks] == ["staged"] * 3


def test_a_task_that_becomes_ready_during_a_look_goes_first_if_it_must(monkeypatch: pytest.MonkeyPatch) -> None:
    # given a task that waits, more urgent than the last of those that will be looked at
    world, tasks = room_for_three(low=-2)
    state = world.core.state
    waits = world.submit(depends=(tasks[0],), request=Request(cores=1, memory_mb=1), priority=-1)
    urgent = state.tasks.by_id[waits]
    # when it becomes ready while the first of them is given out
    give = state.give

    def give_and_wake(_: Any, *arguments: Any) -> None:
        give(*arguments)
        if urgent.unmet:
            urgent.unmet = frozenset()
            dispatch.make_ready(state, urgent)

    monkeypatch.setattr(type(state), "give", give_and_wake)
    end_one(world, "w1")
    # then it is in a queue, or on the worker, and so is the one that it came before
    queued = {entry[2] for shape in state.placement.shapes.values() for entry in shape.queue}
    assert urgent.task_id in queued or urgent.attempt is not None
    assert tasks[1] in queued or world.worker_of(tasks[1]) == "w1"
    assert world.worker_of(tasks[0]) == world.worker_of(tasks[2]) == "w1"


def test_a_category_that_is_full_while_a_worker_has_room_finds_it_when_it_is_not_full_any_more() -> None:
    # given a category of which two may run: one runs on a small worker, and two wait
    world = World()
    world.say(m.SetCategory(CategorySpec("few", concurrent_max=2)))
    large = world.join(cores=4)
    world.submit(request=Request(cores=4))
    small = world.join(cores=1)
    tasks = [world.submit(policy=Policy(category="few")) for _ in range(3)]
    # and a large one that comes to have room for both, but may be given one of them only
    world.happen(("start", large, next(iter(large.assigned))))
    world.happen(("end", large, next(iter(large.running))))
    assert [world.worker_of(task) for task in tasks] == [small.worker_id, large.worker_id, None]
    # when the small worker is lost, and with it what made the category full
    world.lose(small.worker_id)
    # then the large one is given another
    assert [world.state_of(task) for task in tasks].count("ready") == 1
    world.settle()
    assert set(tasks) <= world.results.keys()
