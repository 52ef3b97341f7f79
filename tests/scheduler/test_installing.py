"""Do calls of libraries get slots, do workers that have loaded one get its calls first, and does a failing one end?"""

from __future__ import annotations

from typing import Any

import pytest

from tests.scheduler.fake_worker import FakeWorker
from tests.scheduler.world import World
from vine import config
from vine.names import FileId, TaskId
from vine.wire import messages as m
from vine.wire.parts import Assignment, LibraryOrder, LibrarySpec, Limits, Outcome, Policy, Request, Resources, TaskKind
from vine.wire.worker_messages import LibraryEnded, LibraryLoaded


def install(world: World, content: bytes = b"functions", **fields: Any) -> FileId:
    number = world.buffer(content)
    fields.setdefault("request", Request(cores=2))
    world.say(m.InstallLibrary(LibrarySpec(number, "lib", ("f", "g"), **fields)))
    return number


def call(world: World, library: FileId, name: str = "f", **fields: Any) -> TaskId:
    fields.setdefault("request", Request())
    return world.submit(kind=TaskKind.LIBRARY, function=library, command=name, label=f"lib.{name}", **fields)


def calls(world: World, library: FileId, count: int) -> list[TaskId]:
    return [call(world, library) for _ in range(count)]


def states(world: World, tasks: list[TaskId]) -> list[str]:
    return [world.state_of(task) for task in tasks]


def given(world: World, task: TaskId) -> Assignment:
    assigned = [a for worker in world.workers.values() for a in (*worker.assigned.values(), *worker.running.values())]
    return next(assignment for assignment in assigned if assignment is not None and assignment.task_id == task)


def begin(world: World, worker: FakeWorker) -> None:
    """Its inputs come, and all that it was given runs."""
    while events := [e for e in world.possible_events() if e[1] is worker and e[0] in ("stored", "start")]:
        world.happen(events[0])


def load(world: World, worker: FakeWorker, library: FileId) -> None:
    begin_storing(world, worker)
    world.say(LibraryLoaded(library, 3.0), worker.peer)


def begin_storing(world: World, worker: FakeWorker) -> None:
    while events := [e for e in world.possible_events() if e[1] is worker and e[0] == "stored"]:
        world.happen(events[0])


def fail(world: World, worker: FakeWorker, library: FileId, value: bytes | None = None) -> None:
    """The library fails there, and so do all of its calls."""
    begin(world, worker)
    world.say(LibraryEnded(library, True, "ImportError: no module", value), worker.peer)
    world.outcome = lambda assignment: Outcome.LIBRARY_FAILED
    while ends := [e for e in world.possible_events() if e[1] is worker and e[0] == "end"]:
        world.happen(ends[0])
    world.outcome = lambda assignment: Outcome.SUCCESS


def test_a_library_is_not_held_to_its_memory_where_its_user_has_switched_that_off() -> None:
    world = World()
    world.join(cores=4, memory_mb=4000)
    library = install(world, request=Request(cores=2, memory_mb=1000, disk_mb=10), slots=3)
    order = given(world, call(world, library, policy=Policy(enforce=False))).library
    assert order is not None and order.memory_mb is None


def test_the_first_call_takes_what_the_library_has_and_the_others_take_slots() -> None:
    world = World()
    worker = world.join(cores=4, memory_mb=4000)
    library = install(world, request=Request(cores=2, memory_mb=1000, disk_mb=10), slots=3)
    tasks = calls(world, library, 4)
    assert states(world, tasks) == ["staged"] * 3 + ["ready"]
    assert given(world, tasks[0]).allotment == given(world, tasks[2]).allotment == Resources(2, 1000, 10, 0)
    assert given(world, tasks[0]).library == LibraryOrder(library, "lib", 3, True, memory_mb=1000)
    assert given(world, tasks[0]).command == "f"
    record = world.core.state.workers[worker.worker_id]
    assert record.used == Resources(2, 1000, 10, 0)
    assert world.core.why(tasks[3], 0.0) == "waits for a slot of the library 'lib': its 3 slots on 1 workers are taken"
    world.settle()
    assert all(world.results[task].outcome is Outcome.SUCCESS for task in tasks)
    assert record.used == Resources()


def test_without_a_number_there_are_as_many_slots_as_cores() -> None:
    world = World()
    world.join(cores=3)
    tasks = calls(world, install(world, request=Request()), 4)
    assert states(world, tasks) == ["staged"] * 3 + ["ready"]


def test_other_tasks_find_the_rest_of_the_worker_and_all_of_it_when_its_calls_have_ended() -> None:
    world = World()
    world.join(cores=3)
    tasks = calls(world, install(world), 2)
    one, two = world.submit(), world.submit()
    assert states(world, [one, two]) == ["staged", "ready"]
    world.settle()
    assert set(tasks) <= set(world.results)
    assert two in world.results


def test_calls_go_where_the_library_is_loaded_while_there_are_slots() -> None:
    world = World()
    first, second = world.join(cores=2), world.join(cores=2)
    library = install(world)
    task = call(world, library)
    assert world.worker_of(task) == first.worker_id
    load(world, first, library)
    assert [world.worker_of(each) for each in calls(world, library, 2)] == [first.worker_id, second.worker_id]


def test_an_idle_worker_that_has_it_goes_before_an_emptier_one() -> None:
    world = World()
    second = world.join("b", cores=2)
    library = install(world)
    call(world, library)
    load(world, second, library)
    world.settle()
    world.join("a", cores=64)
    assert world.worker_of(call(world, library)) == second.worker_id


def test_others_go_where_nothing_must_make_room_for_them() -> None:
    world = World()
    first, second = world.join(cores=2), world.join(cores=2)
    library = install(world)
    call(world, library)
    load(world, first, library)
    world.settle()
    task = world.submit()
    assert world.worker_of(task) == second.worker_id
    assert world.worker_of(call(world, library)) == first.worker_id, "its own calls do go there"
    world.settle()
    world.say(LibraryEnded(library, False), first.peer)
    assert world.worker_of(world.submit()) == first.worker_id, "which is empty again"


def test_one_that_has_ended_to_make_room_counts_as_loaded_no_more() -> None:
    world = World()
    worker = world.join(cores=2)
    library = install(world)
    call(world, library)
    load(world, worker, library)
    world.settle()
    world.say(LibraryEnded(library, False), worker.peer)
    (row,) = world.core.snapshot(0.0)["libraries"]
    assert (row["loaded_on"], row["failures"]) == (0, 0)


def test_a_call_that_crosses_its_end_has_it_loaded_again() -> None:
    world = World()
    worker = world.join(cores=2)
    library = install(world)
    first = call(world, library)
    load(world, worker, library)
    second = call(world, library)
    world.say(LibraryEnded(library, False), worker.peer)
    assert world.core.why(second, 2.0) == f"{worker.worker_id} loads the library 'lib' since 2.0 s"
    world.settle()
    assert {first, second} <= set(world.results)
    assert not world.core.state.libraries[library].loading


def test_while_it_is_loaded_its_calls_say_that_they_wait_for_that() -> None:
    world = World()
    worker = world.join(cores=2)
    library = install(world)
    task = call(world, library)
    begin_storing(world, worker)
    assert world.core.why(task, 4.0) == f"{worker.worker_id} loads the library 'lib' since 4.0 s"
    load(world, worker, library)
    assert "queued" in world.core.why(task, 4.0)


def test_a_library_that_fails_is_tried_elsewhere_and_then_its_calls_end_with_what_was_raised() -> None:
    world = World()
    workers = [world.join(cores=2) for _ in range(config.library_tries_max)]
    library = install(world, slots=4)
    tasks = calls(world, library, 3)
    tried = []
    while world.worker_of(tasks[0]) is not None:
        worker = world.workers[world.worker_of(tasks[0])]
        tried.append(worker.worker_id)
        fail(world, worker, library, b"Pvalue")
        if tasks[0] in world.results:
            break
    assert sorted(tried) == sorted(worker.worker_id for worker in workers)
    for task in tasks:
        result = world.results[task]
        assert (result.outcome, result.value) == (Outcome.LIBRARY_FAILED, b"Pvalue")
        assert "ImportError: no module" in result.message
    late = call(world, library)
    assert world.results[late].outcome is Outcome.LIBRARY_FAILED, "those that come later fail at once"


def test_with_one_worker_it_is_tried_there_as_often() -> None:
    world = World()
    worker = world.join(cores=2)
    library = install(world)
    task = call(world, library)
    for _ in range(config.library_tries_max):
        assert task not in world.results
        fail(world, worker, library)
    assert world.results[task].outcome is Outcome.LIBRARY_FAILED


def test_a_bad_worker_gets_no_more_calls_while_others_load_it() -> None:
    world = World()
    bad = world.join("a", cores=2)
    library = install(world)
    first = call(world, library)
    good = world.join("b", cores=2)
    fail(world, bad, library)
    assert world.worker_of(first) == good.worker_id
    load(world, good, library)
    tasks = calls(world, library, 8)
    world.settle()
    assert {world.results[task].worker_id for task in (first, *tasks)} == {good.worker_id}
    assert world.core.state.libraries[library].failures == 0


def test_a_bad_worker_may_try_again_after_a_while() -> None:
    world = World()
    bad = world.join("a", cores=2)
    library = install(world)
    call(world, library)
    world.join("b", cores=2)
    fail(world, bad, library)
    waiting = calls(world, library, 2)
    assert world.state_of(waiting[1]) == "ready"
    assert "it has failed on a: ImportError" in world.core.why(waiting[1], 0.0)
    world.pass_time(config.library_retry_s)
    assert world.worker_of(waiting[1]) == bad.worker_id


def test_one_that_dies_after_it_was_loaded_is_loaded_again_on_the_same_worker() -> None:
    world = World()
    worker = world.join("a", cores=2)
    library = install(world)
    task = call(world, library)
    load(world, worker, library)
    world.join("b", cores=2)
    fail(world, worker, library)
    assert world.worker_of(task) == worker.worker_id
    assert not world.core.state.libraries[library].failed_on


def test_a_call_whose_library_dies_each_time_ends_though_others_run_in_between() -> None:
    world = World()
    worker = world.join(cores=2)
    library = install(world, slots=1)
    killer = call(world, library)
    for _ in range(config.worker_losses_max):
        assert killer not in world.results
        fail(world, worker, library)
        world.core.state.libraries[library].failures = 0
    assert world.results[killer].outcome is Outcome.LIBRARY_FAILED


def test_a_lost_worker_has_the_library_loaded_elsewhere() -> None:
    world = World()
    worker = world.join(cores=2)
    library = install(world)
    task = call(world, library)
    load(world, worker, library)
    other = world.join(cores=2)
    world.lose(worker.worker_id)
    assert world.worker_of(task) == other.worker_id
    world.settle()
    assert world.results[task].outcome is Outcome.SUCCESS
    assert worker.worker_id not in world.core.state.libraries[library].loaded


def test_removing_it_fails_the_calls_that_have_not_begun_and_lets_the_others_end() -> None:
    world = World()
    worker = world.join(cores=2)
    library = install(world, slots=1)
    running, waiting = calls(world, library, 2)
    begin(world, worker)
    world.say(m.RemoveLibrary(library))
    world.say(m.ForgetFiles((library,)))
    assert world.results[waiting].outcome is Outcome.LIBRARY_MISSING
    assert running not in world.results
    world.settle()
    assert world.results[running].outcome is Outcome.SUCCESS
    assert not worker.holds, "its content is dropped with its last call"
    assert world.results[call(world, library)].outcome is Outcome.LIBRARY_MISSING


def test_a_call_that_is_staged_when_its_library_is_removed_is_taken_back() -> None:
    world = World()
    worker = world.join(cores=2)
    library = install(world)
    task = call(world, library)
    world.say(m.RemoveLibrary(library))
    assert world.results[task].outcome is Outcome.LIBRARY_MISSING
    assert not world.core.state.workers[worker.worker_id].attempts


def test_a_running_call_of_a_removed_library_whose_worker_is_lost_does_not_run_again() -> None:
    world = World()
    worker = world.join(cores=2)
    library = install(world)
    task = call(world, library)
    begin(world, worker)
    world.say(m.RemoveLibrary(library))
    world.join(cores=2)
    world.lose(worker.worker_id)
    assert world.results[task].outcome is Outcome.LIBRARY_MISSING


@pytest.mark.parametrize(("name", "words"), [("h", "has no function 'h'"), ("f", "is not installed")])
def test_a_call_of_what_is_not_there_fails_at_once(name: str, words: str) -> None:
    world = World(workers=1)
    library = install(world) if name == "h" else world.buffer(b"no library")
    result = world.results[call(world, library, name)]
    assert result.outcome is Outcome.LIBRARY_MISSING
    assert words in result.message


def test_a_library_is_its_clients_own() -> None:
    world = World()
    library = install(world)
    world.say(m.InstallLibrary(LibrarySpec(library, "other", ("f",))))
    world.say(m.InstallLibrary(LibrarySpec(FileId(99), "other", ("f",))))
    world.say(m.RemoveLibrary(FileId(99)))
    assert world.core.state.strange == 3
    world.say(m.ClientBye())
    world.settle()
    assert not world.core.state.libraries


def test_a_calls_limits_are_its_own_or_its_librarys_memory() -> None:
    world = World()
    world.join(cores=2, memory_mb=1000)
    library = install(world, request=Request(cores=2, memory_mb=800))
    plain, own = call(world, library), call(world, library, request=Request(memory_mb=50, disk_mb=5))
    assert given(world, plain).limits == Limits(800)
    assert given(world, own).limits == Limits(50, 5)


def test_the_fleet_is_asked_for_as_much_as_the_calls_need() -> None:
    world = World()
    library = install(world, request=Request(cores=2, memory_mb=800), slots=4)
    calls(world, library, 8)
    demand = world.core.state.libraries[library].request_of_one
    assert demand == Request(0.5, 200.0, None, None)


def test_one_that_fits_no_worker_is_an_error_soon() -> None:
    world = World(workers=1)
    task = call(world, install(world, request=Request(cores=64)))
    world.pass_time(1)
    world.pass_time(world.settings.no_fit_grace_s)
    assert world.results[task].outcome is Outcome.NO_WORKER_FITS


def test_a_call_that_is_queued_ahead_lets_others_of_its_library_have_the_slots_that_it_opens() -> None:
    # given calls of a library, some of which are known to be short, and a more urgent task
    world = World()
    library = install(world, request=Request(cores=1), slots=3)
    short = {"policy": Policy(category="short")}
    record = world.core.state.tasks.by_id[call(world, library, **short)]
    for _ in range(50):
        world.core.state.placement.durations.observe(record.body, 0.001)
    world.say(m.CancelTasks((record.task_id,)))
    urgent = world.submit(priority=1)
    calls_of_all = [call(world, library), call(world, library, **short)]
    # when a worker comes that has room for the urgent task alone, behind which the short call is queued
    world.join(cores=1)
    world.pass_time(1)
    # then the other call goes there, too: the library is loaded then, and has slots
    assert states(world, [urgent, *calls_of_all]) == ["staged"] * 3
