"""What a task's attempt is given, told to the true scheduler."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.scheduler.fake_worker import FakeWorker
from tests.scheduler.world import World
from vine import config
from vine.names import TaskId, WorkerId
from vine.wire.messages import SetCategory
from vine.wire.parts import AttemptResult, CategorySpec, DependencyValue, Outcome, Policy, Request, Resources
from vine.wire.worker_messages import AttemptsEnded, RunAttempts


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


def test_each_file_of_a_task_is_named_in_its_place() -> None:
    # given a task that has some of each kind of input
    world = World(workers=1)
    function, arguments, software, first, second, one, other = (world.buffer(b"%d" % n) for n in range(7))
    # when it is given to a worker
    world.submit((one, other), function=function, payload_file=arguments, environment=software, shared=(first, second))
    # then all are where they belong
    files = world.core.state.files.by_id
    ids = [files[n].object_id for n in (function, arguments, software, first, second, one, other)]
    run = [a.message for a in world.sent(RunAttempts)][-1].assignments[0]
    assert [run.function, run.payload_object, run.environment, *run.shared] == ids[:5]
    assert [(mount.object_id, mount.name) for mount in run.inputs] == [(ids[5], "in0"), (ids[6], "in1")]


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


def running(world: World) -> list[tuple[FakeWorker, object]]:
    """Those that have been given a task run it; which is where?"""
    for event in [each for each in world.possible_events() if each[0] == "start"]:
        world.happen(event)
    return [(worker, attempt) for worker in world.workers.values() for attempt in worker.running]


def test_the_next_task_takes_over_what_one_has_left_and_no_load_changes() -> None:
    # given workers that are busy, and an older task for which none of them will have room soon
    world = World(workers=2, cores=2)
    for _ in range(4):
        world.submit()
    large, small = world.submit(request=Request(cores=2)), world.submit()
    (worker, attempt), *_ = running(world)
    loads = world.core.state.placement.loads
    changes = loads.changes
    # when a task ends
    world.happen(("end", worker, attempt))
    # then the next one that fits is given to its worker, whose load has not changed
    assert (world.worker_of(small), world.state_of(large)) == (worker.worker_id, "ready")
    assert loads.changes == changes
    world.settle()
    assert {large, small} <= world.results.keys()


def test_tasks_that_end_in_one_message_are_all_followed() -> None:
    world = World(workers=1, cores=2)
    tasks = [world.submit() for _ in range(4)]
    (worker, first), (_, second) = running(world)
    results = tuple(AttemptResult(attempt, Outcome.SUCCESS, value=b"v") for attempt in (first, second))  # type: ignore[arg-type]
    worker.running.clear()
    world.say(AttemptsEnded(results), worker.peer)
    assert [world.worker_of(task) for task in tasks[2:]] == [worker.worker_id] * 2


def test_what_a_task_has_left_is_given_back_while_nobody_may_be_given_any() -> None:
    world = World(workers=1)
    world.submit()
    waits = world.submit()
    ((worker, attempt),) = running(world)
    world.step(world.core.stop("enough", world.now))
    world.happen(("end", worker, attempt))
    assert world.core.state.workers[worker.worker_id].used == Resources()
    assert world.state_of(waits) == "ready"


submits = st.tuples(
    st.just("submit"),
    st.sampled_from([1, 1, 2, 3]),
    st.sampled_from([0, 0, 0, 1]),
    st.sampled_from([False, False, True]),
)
ends = st.tuples(st.just("end"), st.integers(0, 7), st.sampled_from([Outcome.SUCCESS] * 4 + [Outcome.EXIT_CODE]))
others = st.one_of(
    st.tuples(st.just("join"), st.integers(1, 3)),
    st.tuples(st.just("pass time"), st.sampled_from([1, 20])),
    st.tuples(st.just("learn"), st.integers(0, 7), st.sampled_from([0.02, 0.1, 60.0])),
)
deeds = st.tuples(
    st.lists(submits, min_size=8, max_size=16),
    st.lists(st.one_of(ends, ends, ends, submits, others), min_size=20, max_size=40),
).map(lambda parts: parts[0] + parts[1])


def do(world: World, deed: tuple[object, ...]) -> None:
    match deed:
        case ("submit", float() | int() as cores, float() | int() as priority, bool() as in_category):
            policy = Policy(category="few") if in_category else None
            world.submit(request=Request(cores=cores), priority=priority, policy=policy, retries=1)
        case ("end", int() as which, Outcome() as outcome):
            world.outcome = lambda assignment: outcome
            if busy := running(world):
                world.happen(("end", *busy[which % len(busy)]))
        case ("join", int() as cores):
            world.join(cores=cores)
        case ("pass time", int() as seconds):
            world.pass_time(seconds)
        case ("learn", int() as which, float() as seconds):  # Short ones are queued ahead of time.
            records = list(world.core.state.tasks.by_id.values())
            for _ in range(20):
                world.core.state.placement.durations.observe(records[which % len(records)].body, seconds)


def given_where(world: World) -> dict[TaskId, WorkerId | None]:
    return {task_id: world.worker_of(task_id) for task_id in world.core.state.tasks.by_id}


@given(deeds)
@settings(deadline=None)
def test_who_takes_over_is_who_would_have_been_chosen(todo: list[tuple[object, ...]]) -> None:
    # given two schedulers, one of which looks at all queues and workers whenever a task ends
    world, looking = World(workers=2, cores=2), World(workers=2, cores=2)
    for each in (world, looking):
        each.say(SetCategory(CategorySpec("few", concurrent_max=2)))
    looking.core.state.placement.hand_over = lambda tasks, room: False  # type: ignore[method-assign]
    for deed in todo:
        # when the same happens to both
        do(world, deed)
        do(looking, deed)
        # then both have given the same tasks to the same workers
        assert given_where(world) == given_where(looking)
