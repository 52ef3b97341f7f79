"""When may a task start, and by when must it have ended?"""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING

from vine.names import TaskId
from vine.scheduler import dispatch, submission
from vine.scheduler.tasks import NOT_BEFORE, TaskRecord, added, removed
from vine.wire.parts import Outcome

if TYPE_CHECKING:
    from vine.scheduler.state import State


def make(state: State, record: TaskRecord) -> None:
    """Note the times that a task was submitted with, if it was with any."""
    policy = record.spec.policy
    if policy is None or (policy.starts_at_s is None and policy.ends_at_s is None):
        return
    starts_in_s, ends_in_s = starts_in(state, record), ends_in(state, record)
    if starts_in_s > 0:
        record.unmet = added(record.unmet, NOT_BEFORE)
        heapq.heappush(state.appointments, (state.now + starts_in_s, record.task_id))
    if ends_in_s is not None:
        heapq.heappush(state.appointments, (state.now + ends_in_s, record.task_id))
        _end_if_due(state, record)


def keep(state: State) -> None:
    """Let those go whose time has come."""
    open_tasks = sum(count for standing, count in state.tasks.counts.items() if not standing.ended)
    if len(state.appointments) > _FEW + 2 * open_tasks:  # A task has two at most: the others' have ended.
        state.appointments[:] = [entry for entry in state.appointments if _is_open(state, entry[1])]
        heapq.heapify(state.appointments)
    while state.appointments and state.appointments[0][0] <= state.now:
        record = state.tasks.by_id.get(heapq.heappop(state.appointments)[1])
        if record is None or record.state.ended or record.recovering:
            continue
        _end_if_due(state, record)
        if NOT_BEFORE in record.unmet and not record.cancel_requested and starts_in(state, record) <= _ROUNDING_S:
            record.unmet = removed(record.unmet, NOT_BEFORE)
            if not record.unmet:
                dispatch.reconsider(state, record)


def _is_open(state: State, task_id: TaskId) -> bool:
    record = state.tasks.by_id.get(task_id)
    return record is not None and not record.state.ended


_FEW = 64  # So many of tasks that have ended do not matter.
_ROUNDING_S = 1e-3  # The two clocks are told to a finite number of digits.


def starts_in(state: State, record: TaskRecord) -> float:
    """In how many seconds the task may start."""
    policy = record.spec.policy
    if policy is None or policy.starts_at_s is None:
        return 0.0
    return policy.starts_at_s - state.settings.wall_clock_ahead_s - state.now


def ends_in(state: State, record: TaskRecord) -> float | None:
    """In how many seconds the task must have ended, if it must."""
    policy = record.spec.policy
    if policy is None or policy.ends_at_s is None:
        return None
    return policy.ends_at_s - state.settings.wall_clock_ahead_s - state.now


def _end_if_due(state: State, record: TaskRecord) -> None:
    ends_in_s = ends_in(state, record)
    if ends_in_s is None or ends_in_s > _ROUNDING_S or record.cancel_requested:
        return
    begun = "it had not begun" if record.attempt is None else "it still ran"
    message = f"{record.spec.label or 'the task'}: {begun} at its end time; give it a later one, or more workers"
    record.cancelled_as = (Outcome.END_TIME, message)
    submission.stop(state, record)
