"""Which tasks are planned where, and whom to ask next?"""

from __future__ import annotations

from vine import config
from vine.names import AttemptId, HostId, PeerKey, TaskId, WorkerId
from vine.scheduler.prefetches import Prefetches
from vine.scheduler.workers import WorkerRecord
from vine.wire import messages as m


def worker(name: str, attempts: int = 1) -> WorkerRecord:
    hello = m.WorkerHello(
        WorkerId(name), HostId(name), "host", 1, m.Resources(cores=4), (), "3.11", "tcp://h:1", "tcp://h:2"
    )
    record = WorkerRecord(PeerKey(name), hello, 0.0, 0.0)
    for number in range(attempts):
        record.attempts[AttemptId(1, number)] = m.Resources()
    return record


def asked(prefetches: Prefetches) -> str:
    return " ".join(prefetches.next_open())


def test_who_was_given_a_task_the_longest_ago_is_asked_first() -> None:
    prefetches = Prefetches()
    for name in "abca":
        prefetches.load_changed(worker(name))
    assert asked(prefetches) == "b c a"
    prefetches.passed_over(WorkerId("b"))
    assert asked(prefetches) == "c a b"


def test_who_has_nothing_to_do_is_not_asked() -> None:
    prefetches = Prefetches()
    prefetches.load_changed(worker("a"))
    prefetches.load_changed(worker("a", attempts=0))
    prefetches.reopen(worker("b", attempts=0))
    assert asked(prefetches) == "" and not prefetches.any_open


def test_who_can_take_nothing_is_asked_again_when_something_has_changed() -> None:
    prefetches = Prefetches()
    prefetches.load_changed(worker("a"))
    prefetches.close(WorkerId("a"))
    prefetches.passed_over(WorkerId("a"))
    prefetches.due = False
    assert asked(prefetches) == ""
    prefetches.reopen(worker("a"))
    assert asked(prefetches) == "a" and prefetches.due


def test_only_a_few_are_asked() -> None:
    prefetches = Prefetches()
    for number in range(1000):
        prefetches.load_changed(worker(str(number)))
    assert len(prefetches.next_open()) == config.prefetch_workers_probed_max


def test_a_task_that_is_given_away_leaves_nothing_behind() -> None:
    prefetches = Prefetches()
    one, two = TaskId(1), TaskId(2)
    prefetches.plan(one, WorkerId("a"))
    prefetches.plan(two, WorkerId("a"))
    prefetches.passes[one] += 1
    prefetches.forget(one)
    prefetches.forget(TaskId(3))
    assert prefetches.plans == {WorkerId("a"): {two: None}} and not prefetches.passes
    prefetches.coming[WorkerId("a")] = set()
    prefetches.leave(WorkerId("a"))
    assert not prefetches.plans and not prefetches.worker_of and not prefetches.coming
