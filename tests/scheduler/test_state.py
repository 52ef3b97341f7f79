"""The outbox of a step: batches come last, and nothing is said to who has left."""

from __future__ import annotations

from msgspec.structs import replace

from tests.scheduler.world import World
from vine import config
from vine.names import WorkerId
from vine.scheduler.actions import Send
from vine.wire import messages as m
from vine.wire.codec import encode_one
from vine.wire.parts import AttemptResult, Outcome
from vine.wire.worker_messages import AttemptsEnded, CancelAttempts, EndWorker, RunAttempts


def test_the_results_of_a_step_reach_a_client_in_one_message() -> None:
    world = World(workers=1, cores=2)
    first, second = world.submit(), world.submit()
    world.say(m.CancelTasks((first, second)))
    worker = next(iter(world.workers.values()))
    ended = tuple(AttemptResult(attempt, Outcome.CANCELLED) for attempt in list(worker.running))  # type: ignore[arg-type]
    before = len(world.sent(m.TasksEnded))
    world.say(AttemptsEnded(ended), worker.peer)
    assert len(world.sent(m.TasksEnded)) == before + 1


def test_nothing_is_sent_to_a_worker_that_has_left() -> None:
    world = World()
    world.core.state.tell_worker(WorkerId("gone"), EndWorker("x"))
    assert not [action for action in world.core.state.take_actions() if isinstance(action, Send)]


def test_attempts_and_transfers_are_never_numbered_alike() -> None:
    state = World().core.state
    numbers = [state.next_attempt(), state.next_transfer(), state.next_attempt()]
    assert len(set(numbers)) == 3


def test_assignments_and_results_of_many_tasks_come_in_messages_that_a_peer_takes() -> None:
    world = World()
    world.value = lambda assignment: b"v" * 100_000
    tasks = [world.submit(payload=b"x" * 100_000) for _ in range(200)]
    worker = world.join(cores=200)
    ended = [AttemptResult(attempt, Outcome.SUCCESS, value=b"v" * 100_000) for attempt in worker.assigned]  # type: ignore[arg-type]
    world.say(AttemptsEnded(tuple(ended)), worker.peer)
    assert sorted(world.results) == tasks
    for kind in (RunAttempts, m.TasksEnded):
        sizes = [len(encode_one(action.message)) for action in world.sent(kind) if isinstance(action, Send)]
        assert len(sizes) > 1 and max(sizes) < 1.1 * config.portion_bytes_max


def test_many_small_assignments_come_in_messages_of_which_the_first_is_begun_while_the_others_are_read() -> None:
    world, many = World(), config.message_items_max
    for _ in range(2 * many + 1):
        world.submit()
    worker = world.join(cores=3 * many)
    assert len(worker.assigned) == 2 * many + 1
    orders = [action.message for action in world.sent(RunAttempts) if isinstance(action, Send)]
    assert [len(order.assignments) for order in orders if isinstance(order, RunAttempts)] == [many, many, 1]


def test_a_heartbeat_leaves_nothing_to_be_seen_to_and_a_task_does() -> None:
    world = World(workers=1)
    world.report(next(iter(world.workers.values())))
    state = world.core.state
    assert state.is_settled()
    state.placement.push(state.tasks.by_id[world.submit()])
    assert not state.is_settled()


def test_what_is_given_and_taken_back_in_one_step_is_cancelled_after_it_was_assigned() -> None:
    # given a worker that is told of a task
    world = World(workers=1)
    task = world.submit()
    (worker,) = world.workers.values()
    (assignment,) = worker.assigned.values()
    state = world.core.state
    # when within one step another attempt is given, and not wanted any more
    later = replace(assignment, attempt=state.next_attempt(), task_id=task)
    state.give(worker.worker_id, later)
    state.cancel(worker.worker_id, later.attempt)
    said = [type(action.message) for action in state.take_actions() if isinstance(action, Send)]
    # then the worker hears of it before it is to stop it: else it would keep it, and its inputs, for ever
    assert said == [RunAttempts, CancelAttempts]
