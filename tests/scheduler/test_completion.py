"""How tasks end, told to the true scheduler."""

from __future__ import annotations

import pytest

from tests.scheduler.world import World, manifest
from vine import config
from vine.content.manifest import object_id
from vine.names import AttemptId
from vine.scheduler import actions
from vine.scheduler.records import AttemptEnded, TaskEnded
from vine.wire import messages as m
from vine.wire.parts import AttemptResult, MadeOutput, Mount, Outcome, Resources, TaskKind, TaskSpec, When
from vine.wire.worker_messages import AttemptsEnded, WorkerHello


def test_a_call_runs_and_its_value_reaches_the_client() -> None:
    world = World(workers=1)
    task = world.submit(function=world.buffer(b"code"))
    world.settle()
    assert world.results[task].outcome is Outcome.SUCCESS
    assert world.results[task].value == b"v"


def ends_recorded(world: World) -> list[AttemptEnded | TaskEnded]:
    records = (record for action in world.done if isinstance(action, actions.Journal) for record in action.records)
    return [record for record in records if isinstance(record, AttemptEnded | TaskEnded)]


def test_an_attempt_that_leaves_only_a_small_value_is_recorded_with_its_tasks_end() -> None:
    world = World(workers=1)
    task = world.submit()
    world.settle()
    assert ends_recorded(world) == [TaskEnded(world.results[task], attempt=AttemptId(1, 1))]


def test_an_attempt_that_leaves_outputs_or_fails_is_recorded_by_itself() -> None:
    world = World(workers=1)
    made = world.submit(outputs=(world.temp(),))
    world.settle()
    world.outcome = lambda assignment: Outcome.EXCEPTION
    failed = world.submit()
    world.settle()
    kinds = [(type(end), getattr(end, "attempt", None)) for end in ends_recorded(world)]
    assert kinds == [
        (AttemptEnded, AttemptId(1, 1)), (TaskEnded, None), (AttemptEnded, AttemptId(1, 2)), (TaskEnded, None)
    ]  # fmt: skip
    assert [world.results[task].outcome for task in (made, failed)] == [Outcome.SUCCESS, Outcome.EXCEPTION]


def test_a_failed_dependency_fails_everything_behind_it_with_its_name() -> None:
    world = World(workers=1)
    world.outcome = lambda assignment: Outcome.EXCEPTION
    first = world.submit(label="first")
    second = world.submit(depends=(first,))
    third = world.submit(depends=(second,))
    world.settle()
    assert world.results[second].outcome is Outcome.DEPENDENCY_FAILED
    assert "first" in world.results[second].message
    assert world.results[third].outcome is Outcome.DEPENDENCY_FAILED


def test_a_task_that_comes_after_the_failure_of_what_it_takes_hears_why_too() -> None:
    world = World(workers=1)
    missing = world.local_file("missing", bind=False, exists=False)
    failed = world.submit((missing,), label="reads")
    late = world.submit(depends=(failed,))
    assert world.results[late].message.endswith(f"ended with input-missing: {world.results[failed].message}")


def test_a_long_chain_of_failures_does_not_recurse() -> None:
    world = World(workers=1)
    world.outcome = lambda assignment: Outcome.EXCEPTION
    last = world.submit()
    for _ in range(2000):
        # `check` is linear in the tasks: tell the core alone.
        task = world._number()
        spec = TaskSpec(task, TaskKind.CALL, depends=(last,))  # type: ignore[arg-type]
        world.core.handle(world.client, m.SubmitTasks((spec,)), 0.0)
        last = task  # type: ignore[assignment]
    world.settle()
    assert world.results[last].outcome is Outcome.DEPENDENCY_FAILED


def test_where_a_failed_task_has_printed_more_than_comes_back_is_told_with_its_end_and_among_the_failures() -> None:
    world = World(workers=1)
    task = world.submit()
    (worker,) = world.workers.values()
    (attempt,) = worker.assigned
    printed = AttemptResult(attempt, Outcome.EXIT_CODE, spilled="/logs/w1.task-1")
    world.say(AttemptsEnded((printed,)), worker.peer)
    assert world.results[task].spilled == "/logs/w1.task-1"
    assert world.core.snapshot(world.now)["failures"][-1]["log_path"] == "/logs/w1.task-1"


def test_a_late_result_of_a_lost_attempt_is_ignored() -> None:
    world = World(workers=1)
    task = world.submit()
    stale = next(iter(world.workers.values()))
    (attempt,) = stale.assigned
    world.step(world.core.peer_lost(stale.peer, "partition", 0.0))
    world.join("w9")
    again = WorkerHello(stale.worker_id, "h", "h", 1, Resources(1, 1, 1), (), "3", "tcp://a:1", "tcp://a:2")  # type: ignore[arg-type]
    world.say(again, stale.peer)
    late = AttemptResult(attempt, Outcome.SUCCESS, value=b"stale")  # type: ignore[arg-type]
    world.say(AttemptsEnded((late,)), stale.peer)
    assert task not in world.results
    world.settle()
    assert world.results[task].value == b"v"


@pytest.mark.parametrize("outcome", [Outcome.DISK_FULL, Outcome.EXCEPTION])
def test_what_an_end_that_does_not_count_has_left_goes_and_a_copy_of_something_known_counts(outcome: Outcome) -> None:
    # given a task that has left some of its outputs, and is to run again
    world = World(workers=1)
    (worker,) = world.workers.values()
    known, temps = world.local_file("known"), (world.temp(), world.temp())
    world.submit(outputs=temps, retries=1)
    (attempt,) = worker.assigned
    left, copy = manifest("left"), manifest("known", 8)
    made = tuple(MadeOutput(temp, object_id(it), it) for temp, it in zip(temps, (left, copy), strict=True))
    for output in made:
        worker.made(output.object_id)
    worker.assigned.clear()
    # when that is told
    world.say(AttemptsEnded((AttemptResult(attempt, outcome, outputs=made),)), worker.peer)
    # then what nobody knows goes, and what is known is known to be there
    assert object_id(left) not in worker.holds
    held = world.core.state.files.object_of(known)
    assert held is not None and worker.worker_id in held.holders


def test_a_task_fails_as_often_as_it_may() -> None:
    world = World(workers=1)
    world.outcome = lambda assignment: Outcome.EXIT_CODE
    task = world.submit(retries=2)
    world.settle()
    assert world.runs[task] == 3
    assert world.results[task].outcome is Outcome.EXIT_CODE


@pytest.mark.parametrize("started", [False, True])
def test_a_cancelled_task_ends_as_cancelled(started: bool) -> None:
    world = World(workers=1)
    running, queued = world.submit(), world.submit()
    if started:
        world.happen(world.possible_events()[0])
    world.say(m.CancelTasks((running, queued)))
    assert world.results[queued].outcome is Outcome.CANCELLED
    world.settle()
    assert world.results[running].outcome is Outcome.CANCELLED


def test_those_that_run_may_be_left_alone_by_a_cancellation() -> None:
    world = World(workers=1)
    running, queued, dependent = world.submit(), world.submit(), world.submit()
    world.happen(world.possible_events()[0])
    assert world.state_of(running) == "running"
    world.say(m.CancelTasks((running, queued, dependent), unless_running=True))
    world.settle()
    outcomes = [world.results[task].outcome for task in (running, queued, dependent)]
    assert outcomes == [Outcome.SUCCESS, Outcome.CANCELLED, Outcome.CANCELLED]


def test_a_failure_that_is_quoted_along_a_chain_of_tasks_stays_a_message() -> None:
    world = World(workers=1)
    world.outcome = lambda assignment: Outcome.EXCEPTION
    task = world.submit()
    for _ in range(200):
        task = world.submit(depends=(task,))
    world.settle()
    assert len(world.results) == 201
    assert len(world.results[task].message) == config.text_chars_max


@pytest.mark.parametrize(
    ("outcome", "kept"), [(Outcome.SUCCESS, {"success", "always"}), (Outcome.EXIT_CODE, {"failure", "always"})]
)
def test_outputs_are_there_after_the_ends_that_they_are_for(outcome: Outcome, kept: set[str]) -> None:
    # given a task with a temp for each kind of end
    world = World(workers=1)
    world.outcome = lambda assignment: outcome
    temps = {when.value: world.temp() for when in When}
    mounts = tuple(Mount(temps[when.value], when.value, when) for when in When)
    world.say(m.SubmitTasks((TaskSpec(world.new_task_id(), TaskKind.COMMAND, outputs=mounts),)))
    # when it has ended
    world.settle()
    # then
    available = {name for name, file in temps.items() if world.core.state.files.is_available(file)}
    assert available == kept
    holds = next(iter(world.workers.values())).holds
    assert holds == {world.core.state.files.by_id[temps[name]].object_id for name in kept}
    # and who needs one of the others hears that it was not made
    missing = world.submit((temps["failure" if "success" in kept else "success"],))
    assert world.results[missing].outcome is Outcome.DEPENDENCY_FAILED


def test_a_failure_that_is_tried_again_leaves_nothing() -> None:
    world = World(workers=1)
    ends = iter((Outcome.EXIT_CODE, Outcome.SUCCESS))
    world.outcome = lambda assignment: next(ends)
    log = world.temp()
    spec = TaskSpec(world.new_task_id(), TaskKind.COMMAND, outputs=(Mount(log, "log", When.FAILURE),), retries=1)
    world.say(m.SubmitTasks((spec,)))
    world.settle()
    assert world.results[spec.task_id].outcome is Outcome.SUCCESS
    assert not next(iter(world.workers.values())).holds
