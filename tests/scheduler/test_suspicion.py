"""Is a worker that says nothing given nothing more, and what it has given to who is idle, while others are heard?"""

from __future__ import annotations

from collections.abc import Collection

import pytest

from benchmarks.simulator.faults.mirror import compare_tables
from tests.scheduler.fake_worker import FakeWorker
from tests.scheduler.restarting import RestartingWorld
from tests.scheduler.test_installing import begin, call, install
from tests.scheduler.world import World
from vine import config
from vine.names import TaskId, WorkerId
from vine.wire.messages import CancelTasks, RemoveLibrary, SetCategory
from vine.wire.parts import CategoryMode, CategorySpec, Outcome, Policy, Request
from vine.wire.worker_messages import CancelAttempts, LibraryLoaded


def seconds_pass(world: World, seconds: float, silent: Collection[FakeWorker]) -> None:
    """The manager looks once a second, as it does."""
    for _ in range(round(seconds)):
        world.pass_time(1.0, silent)


def until_suspected(world: World, *silent: FakeWorker) -> None:
    world.pass_time(1.0)
    seconds_pass(world, config.worker_suspected_after_s + 1, silent)


def start_all(world: World) -> None:
    while starts := [event for event in world.possible_events() if event[0] == "start"]:
        world.happen(starts[0])


def losses(world: World, task: TaskId) -> tuple[int, int]:
    record = world.core.state.tasks.by_id[task]
    return record.failures, record.losses


def two_workers() -> tuple[World, FakeWorker, FakeWorker, TaskId]:
    """One has a task, the other is idle."""
    world = World()
    first = world.join("w1")
    task = world.submit()
    second = world.join("w2")
    world.pass_time(1.0)
    return world, first, second, task


@pytest.mark.parametrize("has_begun", [False, True])
def test_what_a_silent_worker_has_goes_to_one_that_is_idle_and_counts_nothing_against_the_task(has_begun: bool) -> None:
    # given a task on a worker, begun or not, and another worker that is idle
    world, first, _, task = two_workers()
    (attempt,) = first.assigned
    if has_begun:
        start_all(world)
    # when the first falls silent for less than it takes to be suspected
    seconds_pass(world, config.worker_suspected_after_s - 1, [first])
    assert world.worker_of(task) == "w1"
    # and for more
    seconds_pass(world, 2, [first])
    # then the other has the task, and the first is told to stop it
    assert world.worker_of(task) == "w2" and losses(world, task) == (0, 0)
    assert any(attempt in each.message.attempts for each in world.sent(CancelAttempts))  # type: ignore[attr-defined]
    # and its late end counts as little as any of an attempt that is not the task's own
    world._end(first, attempt) if has_begun else None
    assert task not in world.results
    world.settle()
    assert world.results[task].worker_id == "w2" and world.results[task].outcome is Outcome.SUCCESS


def test_a_silent_worker_is_given_nothing_until_it_speaks_again() -> None:
    world, first, _, _ = two_workers()
    until_suspected(world, first)
    more = world.submit()
    assert world.state_of(more) == "ready"
    world.pass_time(1.0)
    assert world.worker_of(more) == "w1" and world.core.state.workers[first.worker_id].open


def test_what_nobody_is_idle_for_stays_until_the_worker_is_lost_and_says_why_it_waits() -> None:
    # given two workers, each with a task that lasts, and one more that waits
    world, first, second, task = two_workers()
    others = [world.submit() for _ in range(2)]
    start_all(world)
    # when one falls silent
    until_suspected(world, first)
    # then it keeps its task, and that which waited still does
    assert world.worker_of(task) == "w1" and [world.state_of(other) for other in others] == ["running", "ready"]
    assert "w1" in world.core.why(task, world.now) and "silent for 5.0 s" in world.core.why(task, world.now)
    rows = {row["id"]: row["silent_s"] for row in world.core.snapshot(world.now)["workers"]}
    assert rows == {"w1": pytest.approx(5.0), "w2": None}
    # and when the other becomes idle, the one that waited comes first
    world._end(second, next(iter(second.running)))
    world.pass_time(1.0, [first])
    assert world.worker_of(task) == "w1" and world.worker_of(others[1]) == "w2"


def test_as_many_are_taken_back_as_others_can_begin_and_the_first_that_were_given_go_first() -> None:
    world = World()
    first = world.join("w1", cores=4)
    tasks = [world.submit() for _ in range(4)]
    world.join("w2", cores=2)
    until_suspected(world, first)
    assert [world.worker_of(task) for task in tasks] == ["w2", "w2", "w1", "w1"]


def test_short_ones_are_queued_elsewhere_as_far_ahead_as_ever() -> None:
    # given calls that are known to be short, of which the first worker has many
    world = World()
    first = world.join("w1")
    function = world.buffer()
    short = world.submit(function=function)
    world.core.state.placement.durations.observe(world.core.state.tasks.by_id[short].body, 0.02)
    calls = [short, *(world.submit(function=function) for _ in range(5))]
    assert {world.worker_of(call) for call in calls} == {"w1"}
    # when another worker is there, and the first falls silent
    world.join("w2")
    until_suspected(world, first)
    # then all of them are there, though it has one core
    assert {world.worker_of(call) for call in calls} == {"w2"}


def test_what_needs_data_that_only_the_silent_have_stays() -> None:
    world = World()
    first = world.join("w1")
    temp = world.temp()
    world.submit(outputs=(temp,))
    world.settle()
    task = world.submit((temp,))
    world.join("w2")
    until_suspected(world, first)
    assert world.worker_of(task) == "w1"


def test_what_others_have_no_place_for_stays() -> None:
    world = World()
    first = world.join("w1", cores=2, features=("licence",))
    task = world.submit(request=Request(cores=1, memory_mb=50, disk_mb=50), features=("licence",))
    large = world.submit(request=Request(cores=1, memory_mb=900, disk_mb=50))
    world.join("w2", memory_mb=500)
    until_suspected(world, first)
    assert (world.worker_of(task), world.worker_of(large)) == ("w1", "w1")


def test_an_attempt_that_may_have_worked_for_longer_than_waiting_takes_is_left_alone() -> None:
    world, first, _, task = two_workers()
    start_all(world)
    seconds_pass(world, config.worker_lost_after_s, [])
    until_suspected(world, first)
    assert world.worker_of(task) == "w1"


def test_nobody_is_suspected_where_all_fall_silent_at_once() -> None:
    # given two workers, one of them idle, that were heard at different times
    world, first, second, task = two_workers()
    world.pass_time(0.5, [first])
    # when neither is heard for long, and then first one and a second later the other
    seconds_pass(world, config.worker_lost_after_s - 3, [first, second])
    world.pass_time(0.5, [first])
    world.pass_time(1.0, [first])
    assert world.worker_of(task) == "w1" and world.core.state.workers[first.worker_id].open
    # then silence counts from when the manager hears again
    seconds_pass(world, 1, [first])
    assert world.worker_of(task) == "w1"


def test_a_manager_that_has_stood_still_itself_suspects_nobody_for_it() -> None:
    world, first, _, task = two_workers()
    world.pass_time(config.worker_suspected_after_s + 2, [first])
    assert world.worker_of(task) == "w1"
    until_suspected(world, first)
    assert world.worker_of(task) == "w2"


def test_a_task_that_silences_its_workers_does_not_go_through_the_fleet() -> None:
    # given a task that silences whichever worker begins it
    world = World()
    workers = [world.join() for _ in range(4)]
    task = world.submit()
    # when each worker that has begun it says nothing any more
    seen: list[FakeWorker] = []
    for _ in range(int(config.worker_lost_after_s) - 1):
        start_all(world)
        seen = [worker for worker in workers if worker in seen or worker.running]
        world.pass_time(1.0, seen)
    # then it has been on two by the time that the first is given up, and that counts as ever
    assert len(seen) == 2 and losses(world, task) == (0, 0)
    seconds_pass(world, 2, seen)
    assert losses(world, task) == (0, 1)


def test_an_end_that_comes_before_the_silence_is_noticed_counts() -> None:
    world, first, _, task = two_workers()
    start_all(world)
    seconds_pass(world, 3, [first])
    world.settle()
    assert world.results[task].worker_id == "w1"
    assert not world.sent(CancelAttempts)


def test_objects_are_asked_of_the_silent_only_where_nobody_else_has_them() -> None:
    # given a small file that two workers have
    world = World()
    first, second = world.join("w1"), world.join("w2")
    small = world.local_file("small", chunks=1)
    for _ in range(2):
        world.submit((small,))
    world.settle()
    assert first.holds & second.holds
    # when one is silent, and others come that want it
    until_suspected(world, first)
    others = [world.join(cores=1) for _ in range(2)]
    for _ in range(3):
        world.submit((small,))
    # then it is not their source
    sources = {edge.source for other in others for order in other.fetching.values() for edge in order.sources}
    assert sources and first.worker_id not in sources


def test_who_alone_has_an_object_is_asked_for_it_though_it_is_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(config, "small_object_chunks", 9)  # It needs no forest.
    world = World()
    first = world.join("w1")
    temp = world.temp()
    world.submit(outputs=(temp,))
    world.settle()
    second = world.join("w2")
    until_suspected(world, first)
    world.submit((temp,))
    assert [edge.source for order in second.fetching.values() for edge in order.sources] == ["w1"]


def test_short_ones_are_not_queued_behind_what_others_run() -> None:
    # given a short call on one worker, and a long one on the other
    world = World()
    first, function = world.join("w1"), world.buffer()
    short = world.submit(function=function)
    world.core.state.placement.durations.observe(world.core.state.tasks.by_id[short].body, 0.02)
    world.join("w2")
    world.submit()
    until_suspected(world, first)
    assert world.worker_of(short) == "w1"


def test_what_others_of_its_category_wait_for_is_not_begun_again_behind_them() -> None:
    world = World()
    first = world.join("w1")
    world.say(SetCategory(CategorySpec("fit", CategoryMode.FIXED, concurrent_max=1)))
    task, _ = [world.submit(policy=Policy(category="fit")) for _ in range(2)]
    world.join("w2")
    until_suspected(world, first)
    assert world.worker_of(task) == "w1"


def test_the_loss_of_a_worker_that_spoke_meanwhile_does_not_count_for_what_it_had_before() -> None:
    world, first, _, task = two_workers()
    start_all(world)
    until_suspected(world, first)
    world.pass_time(1.0)
    world.lose("w1")
    assert world.worker_of(task) == "w2" and losses(world, task) == (0, 0)


def test_what_is_cancelled_waits_for_its_worker_to_have_stopped_it() -> None:
    world, first, _, task = two_workers()
    start_all(world)
    world.say(CancelTasks((task,)))
    until_suspected(world, first)
    assert world.worker_of(task) == "w1"


def four_run_together() -> tuple[World, FakeWorker, list[TaskId]]:
    world = World()
    worker = world.join("w1", cores=4)
    tasks = [world.submit() for _ in range(4)]
    start_all(world)
    return world, worker, tasks


def test_of_tasks_that_ran_together_none_was_alone_though_they_are_taken_back_one_by_one() -> None:
    # given four tasks that run together, and are taken back together from two workers that are lost
    world, worker, tasks = four_run_together()
    for name in ("w2", "w3"):
        following = world.join(name, cores=4)
        until_suspected(world, worker)
        start_all(world)
        world.lose(worker.worker_id)
        worker = following
    # when they are suspected of both
    records = [world.core.state.tasks.by_id[task] for task in tasks]
    assert [record.losses for record in records] == [2] * 4
    # then none is to blame
    assert [record.losses_alone for record in records] == [0] * 4


def test_who_was_suspected_twice_and_is_taken_back_has_a_worker_to_itself() -> None:
    # given tasks that were lost twice together
    world, worker, _ = four_run_together()
    for name in ("w2", "w3", "w4"):
        following = world.join(name, cores=4)
        until_suspected(world, worker)
        start_all(world)
        if name != "w4":
            world.lose(worker.worker_id)
        worker = following
    # when the third worker falls silent, too, and a fourth gets what that had
    there = [record.alone for record in world.core.state.workers[worker.worker_id].attempts.values()]
    # then one at a time
    assert there == [True]


def test_who_stood_still_itself_does_not_trust_again_whom_it_has_suspected() -> None:
    # given a suspected worker, whose task runs elsewhere
    world, first, _, task = two_workers()
    start_all(world)
    until_suspected(world, first)
    # when the manager has heard nobody for longer than it may
    world.pass_time(config.hearing_gap_s + 0.5, [first])
    # then the worker is as before, and its loss is the task's
    more = world.submit()
    assert world.worker_of(more) != first.worker_id
    world.lose(first.worker_id)
    assert (losses(world, task), losses(world, more)) == ((0, 1), (0, 0))
    world.settle()


def test_the_loss_of_a_task_that_was_taken_back_before_is_in_the_journal() -> None:
    world = RestartingWorld()
    world.join("w1")
    task = world.submit()
    world.join("w2")
    start_all(world)
    until_suspected(world, world.workers[WorkerId("w1")])
    world.lose(WorkerId("w1"))
    assert losses(world, task) == (0, 1)
    compare_tables(world.core.state, world.would_be())


def test_a_call_that_runs_though_its_library_was_removed_may_end_where_it_is() -> None:
    # given a call that runs, of a library that was removed meanwhile, and an idle worker
    world = World()
    first = world.join("w1", cores=2)
    library = install(world)
    task = call(world, library)
    begin(world, first)
    world.say(LibraryLoaded(library, 3.0), first.peer)
    start_all(world)
    world.join("w2", cores=2)
    world.pass_time(1.0)
    world.say(RemoveLibrary(library))
    # when its worker falls silent, and speaks again
    until_suspected(world, first)
    world.pass_time(1.0)
    # then it ends as any
    world.settle()
    assert world.results[task].outcome is Outcome.SUCCESS
