"""Which stories of tasks the oracle does not believe."""

from __future__ import annotations

import pytest

from benchmarks.simulator.faults.oracle import Ledger
from vine.names import AttemptId, TaskId, WorkerId
from vine.scheduler.records import (
    AttemptAssigned,
    AttemptEnded,
    AttemptStarted,
    Record,
    TaskAccepted,
    TaskEnded,
    TaskReady,
)
from vine.wire.parts import Outcome, TaskKind, TaskResult, TaskSpec

T = TaskId(1)
FIRST, SECOND = AttemptId(1, 1), AttemptId(1, 2)
ACCEPTED = TaskAccepted(TaskSpec(T, TaskKind.CALL, retries=0))


def assigned(attempt: AttemptId) -> AttemptAssigned:
    return AttemptAssigned(attempt, T, WorkerId("w"))


def ended(attempt: AttemptId, outcome: Outcome = Outcome.SUCCESS) -> AttemptEnded:
    return AttemptEnded(attempt, outcome)


def committed(value: bytes) -> TaskEnded:
    return TaskEnded(TaskResult(T, Outcome.SUCCESS, value=value))


STORIES: dict[str, list[Record]] = {
    "accepted twice": [ACCEPTED, ACCEPTED],
    "was never accepted": [TaskReady(T)],
    "two attempts": [ACCEPTED, assigned(FIRST), assigned(SECOND)],
    "no new attempt": [ACCEPTED, assigned(SECOND), ended(SECOND), assigned(FIRST)],
    "cannot start": [ACCEPTED, assigned(FIRST), ended(FIRST), AttemptStarted(FIRST)],
    "did not run": [ACCEPTED, ended(FIRST)],
    "has an attempt": [ACCEPTED, assigned(FIRST), TaskReady(T)],
    "its attempt has not": [ACCEPTED, assigned(FIRST), committed(b"1 1.1")],
    "committed twice": [ACCEPTED, assigned(FIRST), ended(FIRST), committed(b"1 1.1"), committed(b"1 1.1")],
    "was committed as": [
        ACCEPTED, assigned(FIRST), ended(FIRST, Outcome.WORKER_LOST), assigned(SECOND), ended(SECOND),
        committed(b"1 1.1"),
    ],
    "fail 1 times at most": [
        ACCEPTED, assigned(FIRST), ended(FIRST, Outcome.EXCEPTION), assigned(SECOND), ended(SECOND, Outcome.EXCEPTION),
    ],
}  # fmt: skip


@pytest.mark.parametrize("words", STORIES)
def test_a_story_that_cannot_be_is_not_believed(words: str) -> None:
    ledger, story = Ledger(epoch=1), STORIES[words]
    for record in story[:-1]:
        ledger.note(record)
    with pytest.raises(AssertionError, match=words):
        ledger.note(story[-1])


def test_a_task_that_is_tried_again_on_another_worker_and_ends_there_is_believed() -> None:
    ledger = Ledger(epoch=1)
    lost = ended(FIRST, Outcome.WORKER_LOST)
    for record in (ACCEPTED, assigned(FIRST), AttemptStarted(FIRST), lost, TaskReady(T), assigned(SECOND)):
        ledger.note(record)
    ledger.note(ended(SECOND))
    ledger.note(committed(b"1 1.2"))
    assert ledger.ended == {T: Outcome.SUCCESS} and ledger.attempts[T] == 2


def test_an_attempt_whose_worker_is_lost_before_its_results_came_may_end_a_second_time() -> None:
    ledger = Ledger(epoch=1)
    for record in (ACCEPTED, assigned(FIRST), ended(FIRST), ended(FIRST, Outcome.WORKER_LOST), TaskReady(T)):
        ledger.note(record)
    assert not ledger.ended


@pytest.mark.parametrize("how", ["its worker is lost", "the manager is killed"])
def test_a_task_that_has_failed_for_good_may_do_so_again_if_what_it_had_left_is_lost(how: str) -> None:
    # given a task that may fail once, and has; and what it has left is on its way
    ledger = Ledger(epoch=1)
    for record in (ACCEPTED, assigned(FIRST), ended(FIRST, Outcome.EXCEPTION)):
        ledger.note(record)
    # when it runs again for that
    if how == "its worker is lost":
        ledger.note(ended(FIRST, Outcome.CANCELLED))
        again = SECOND
    else:
        ledger.begin(2)
        again = AttemptId(2, 1)
    ledger.note(assigned(again))
    # then it may fail once more, and no more often
    ledger.note(ended(again, Outcome.EXCEPTION))
    third = AttemptId(again.epoch, 3)
    ledger.note(assigned(third))
    with pytest.raises(AssertionError, match="fail 1 times at most"):
        ledger.note(ended(third, Outcome.EXCEPTION))
