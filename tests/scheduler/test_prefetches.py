"""Which tasks are planned where, and whom to ask next?"""

from __future__ import annotations

from typing import Any

from vine import config
from vine.names import AttemptId, FileId, HostId, PeerKey, TaskId, WorkerId
from vine.scheduler.prefetches import Prefetches
from vine.scheduler.tasks import TaskRecord
from vine.scheduler.workers import WorkerRecord
from vine.wire.parts import Mount, Request, Resources, TaskKind, TaskSpec
from vine.wire.worker_messages import WorkerHello


def worker(name: str, attempts: int = 1) -> WorkerRecord:
    hello = WorkerHello(
        WorkerId(name), HostId(name), "host", 1, Resources(cores=4), (), "3.11", "tcp://h:1", "tcp://h:2"
    )
    record = WorkerRecord(PeerKey(name), hello, 0.0, 0.0)
    for number in range(attempts):
        record.attempts[AttemptId(1, number)] = task(number)
    return record


def asked(prefetches: Prefetches) -> str:
    return " ".join(prefetches.next_open())


def task(number: int, **fields: Any) -> TaskRecord:
    options: dict[str, Any] = {"inputs": (Mount(FileId(1), "in"),), **fields}
    return TaskRecord(TaskSpec(TaskId(number), TaskKind.COMMAND, **options), PeerKey("client"), 0.0)


def test_tasks_with_inputs_wait_in_order_of_priority_and_age() -> None:
    prefetches = Prefetches()
    for record in (task(1), task(2), task(3, priority=1.0), task(4, inputs=())):
        prefetches.push(record)
    (queue,) = prefetches.queues.values()
    assert [entry[2] for entry in sorted(queue)] == [3, 1, 2]
    assert prefetches.due


def test_those_that_ask_for_different_things_wait_apart() -> None:
    prefetches = Prefetches()
    prefetches.push(task(1))
    prefetches.push(task(2, request=Request(cores=2)))
    assert len(prefetches.queues) == 2


def test_who_has_started_a_task_the_longest_ago_is_asked_first() -> None:
    prefetches = Prefetches()
    for name in "abcb":
        prefetches.open(worker(name))
    assert asked(prefetches) == "a b c"
    prefetches.close(WorkerId("a"))
    assert asked(prefetches) == "b c"
    prefetches.open(worker("a"))
    prefetches.passed_over(WorkerId("b"))
    assert asked(prefetches) == "c a b"


def test_who_has_nothing_to_do_is_not_asked() -> None:
    prefetches = Prefetches()
    prefetches.open(worker("b", attempts=0))
    assert asked(prefetches) == "" and not prefetches.any_open


def test_who_can_take_nothing_is_asked_again_when_something_has_changed() -> None:
    prefetches = Prefetches()
    prefetches.push(task(1))
    prefetches.open(worker("a"))
    prefetches.close(WorkerId("a"))
    prefetches.passed_over(WorkerId("a"))
    prefetches.due = False
    assert asked(prefetches) == "" and not prefetches.is_open(WorkerId("a"))
    prefetches.open(worker("a"))
    assert asked(prefetches) == "a" and prefetches.due


def test_only_a_few_are_asked() -> None:
    prefetches = Prefetches()
    for number in range(1000):
        prefetches.open(worker(str(number)))
    assert len(prefetches.next_open()) == config.prefetch_workers_probed_max


def test_a_task_that_is_given_away_leaves_nothing_behind() -> None:
    prefetches = Prefetches()
    one, two = (0.0, 1, TaskId(1)), (0.0, 2, TaskId(2))
    for entry in (one, two):
        prefetches.plan("shape", entry, WorkerId("a"))
    prefetches.passes[TaskId(1)] += 1
    assert prefetches.forget(TaskId(1)) == ("shape", one)
    assert prefetches.forget(TaskId(3)) is None
    assert prefetches.plans == {WorkerId("a"): {TaskId(2): ("shape", two)}} and not prefetches.passes


def test_the_tasks_that_were_planned_on_a_worker_that_has_left_are_planned_again() -> None:
    prefetches = Prefetches()
    entry = (0.0, 1, TaskId(1))
    prefetches.open(worker("a"))
    prefetches.plan("shape", entry, WorkerId("a"))
    prefetches.coming[WorkerId("a")] = set()
    prefetches.leave(WorkerId("a"))
    assert {shape: list(queue) for shape, queue in prefetches.queues.items()} == {"shape": [entry]} and prefetches.due
    assert not prefetches.plans and not prefetches.worker_of and not prefetches.coming and not prefetches.any_open


def test_who_has_as_many_plans_as_may_end_first_is_not_asked_for_more() -> None:
    prefetches = Prefetches()
    prefetches.plan("shape", (0.0, 1, TaskId(1)), WorkerId("a"))
    prefetches.open(worker("a", attempts=1))
    assert asked(prefetches) == ""
    prefetches.open(worker("a", attempts=2))
    assert asked(prefetches) == "a"
