"""The states of a task and the only ways between them."""

from __future__ import annotations

import pytest

from vine.names import TaskId
from vine.scheduler.actions import PeerKey
from vine.scheduler.tasks import LEGAL, TaskRecord, TaskState, TaskTable, shape_key
from vine.wire.parts import Request, TaskKind, TaskSpec


def record(state: TaskState = TaskState.WAITING) -> TaskRecord:
    return TaskRecord(TaskSpec(TaskId(1), TaskKind.CALL), PeerKey("c"), 0.0, state=state)


def test_every_state_has_its_ways_and_only_lost_producers_come_back_from_an_end() -> None:
    assert set(LEGAL) == set(TaskState)
    assert LEGAL[TaskState.FAILED] == LEGAL[TaskState.CANCELLED] == frozenset()


def test_an_illegal_change_of_state_is_our_own_mistake() -> None:
    table = TaskTable()
    task = record()
    table.add(task)
    with pytest.raises(AssertionError, match="not legal"):
        table.move(task, TaskState.RUNNING)


def test_counts_follow_the_states() -> None:
    table = TaskTable()
    task = record()
    table.add(task)
    table.move(task, TaskState.READY)
    assert table.counts[TaskState.READY] == 1
    assert table.counts[TaskState.WAITING] == 0


def test_equal_needs_are_one_shape_and_other_needs_another() -> None:
    small = TaskSpec(TaskId(1), TaskKind.CALL, request=Request(cores=1))
    same = TaskSpec(TaskId(2), TaskKind.CALL, request=Request(cores=1), label="other", payload=b"x")
    large = TaskSpec(TaskId(3), TaskKind.CALL, request=Request(cores=2))
    assert shape_key(small) == shape_key(same) != shape_key(large)
