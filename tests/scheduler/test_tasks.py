"""The states of a task and the only ways between them."""

from __future__ import annotations

import msgspec
import pytest

from vine.names import FileId, TaskId
from vine.scheduler.actions import PeerKey
from vine.scheduler.tasks import LEGAL, TaskRecord, TaskState, TaskTable, added, removed, shape_key, share_what_is_alike
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


def test_specs_of_a_group_share_what_is_alike_and_stay_what_they_are() -> None:
    def decoded(number: int) -> TaskSpec:
        options = {"request": Request(cores=1.5), "label": "module.function", "function": FileId(70_000)}
        spec = TaskSpec(TaskId(number), TaskKind.CALL, priority=2.5, **options)  # type: ignore[arg-type]
        return msgspec.msgpack.decode(msgspec.msgpack.encode(spec), type=TaskSpec)

    first, second = decoded(1), decoded(2)
    assert first.request is not second.request
    for spec in (first, second):
        share_what_is_alike(spec)
    assert (first, second) == (decoded(1), decoded(2))
    for name in ("request", "label", "function", "priority", "variables"):
        assert getattr(first, name) is getattr(second, name), f"each has its own {name}"


def test_a_variable_is_its_tasks_own() -> None:
    spec = TaskSpec(TaskId(1), TaskKind.CALL, variables={"A": "1"})
    share_what_is_alike(spec)
    assert spec.variables == {"A": "1"}


def test_records_share_no_set_that_one_of_them_changes() -> None:
    first, second = record(), record()
    first.unmet = added(added(first.unmet, TaskId(2)), TaskId(3))
    assert (first.unmet, second.unmet) == ({2, 3}, set())
    first.unmet = removed(removed(removed(first.unmet, TaskId(2)), TaskId(3)), TaskId(4))
    assert first.unmet is second.unmet
