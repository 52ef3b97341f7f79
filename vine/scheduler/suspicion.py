"""Which workers say nothing of late, and which of their tasks could others begin now?

A worker that misses a few heartbeats may have died, or its node stands still and goes on in a moment. Until that is
known it gets nothing new. What it has is given elsewhere only where that costs nobody anything: others are idle, and
have or can have all that the task takes. So the end of a run does not wait for one node (the backup tasks of MapReduce,
OSDI 2004, section 3.6; here an attempt is replaced and not doubled, for a task has one attempt that counts). The rest
stays until the worker speaks again, or is lost.

Silence tells something of a worker only while the manager hears others: one that has stood still itself, or is cut off
from all, suspects nobody.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from vine import config
from vine.scheduler import closing, dispatch, recovery, results, staging, suspects
from vine.scheduler.files import ObjectRecord
from vine.scheduler.shapes import Shape
from vine.scheduler.tasks import TaskRecord, TaskState
from vine.scheduler.workers import WorkerRecord

if TYPE_CHECKING:
    from vine.scheduler.state import State


class Hearing:
    """Since when the manager hears: it looks regularly, and then somebody has just spoken."""

    __slots__ = ("_looked_at", "since")

    def __init__(self) -> None:
        self.since = 0.0
        self._looked_at = -math.inf

    def look(self, heard_at: float, now: float) -> None:
        """`heard_at` is when a worker was heard last, whichever it was."""
        if now - min(heard_at, self._looked_at) > config.hearing_gap_s:
            self.since = now
        self._looked_at = now


def silence_s(state: State, worker: WorkerRecord) -> float:
    """For how long the worker has said nothing, of the time in which it would have been heard."""
    return state.now - max(worker.heard_at, state.hearing.since)


def keep(state: State) -> None:
    """Once a while: suspect who is silent, trust who speaks again, and see what others could begin."""
    workers = list(state.workers.values())
    state.hearing.look(max((worker.heard_at for worker in workers), default=-math.inf), state.now)
    for worker in workers:
        is_silent = silence_s(state, worker) > config.worker_suspected_after_s
        if worker.silent != is_silent:
            _suspect(state, worker, is_silent)
    silent = [worker for worker in workers if worker.silent]
    if silent and not state.stopping:
        for worker in silent:
            _give_elsewhere(state, worker)
        staging.look_past(state, silent)


def _suspect(state: State, worker: WorkerRecord, is_silent: bool) -> None:
    worker.silent = is_silent
    worker.withdrawn.clear()
    closing.look_at(state, worker)
    staging.look_past(state, [worker])


def _give_elsewhere(state: State, worker: WorkerRecord) -> None:
    """Take back what others can begin now, one by one: each takes room from the next."""
    room = dispatch.Dispatch(state)
    idle_for: dict[Shape, bool] = {}
    for record in list(worker.attempts.values()):
        shape = state.placement.shape_of(record)
        if shape not in idle_for:
            idle_for[shape] = _anybody_is_idle(state, shape, record, room)
        if not idle_for[shape] or not _may_go(state, worker, record):
            continue
        if _emptiest(state, shape, record, room) is None:
            idle_for[shape] = bool(record.avoid)  # Those that avoid nobody may find one.
            continue
        if suspects.may_have_begun(state, worker, record):
            worker.withdrawn[record.task_id] = suspects.was_alone(worker, record)
        reason = f"taken back from {worker.worker_id}, which was silent for {silence_s(state, worker):.1f} s"
        recovery.withdraw(state, record, reason)
        dispatch.reconsider(state, record)
        room.go_on()
        idle_for[shape] = record.state is not TaskState.READY  # Otherwise another one has come first.


def _anybody_is_idle(state: State, shape: Shape, record: TaskRecord, room: dispatch.Dispatch) -> bool:
    """Whether a task of the shape could run at once somewhere, and none waits for that."""
    emptiest = _emptiest(state, shape, record, room)
    return emptiest is not None and shape.runs_at_once(emptiest) and shape.queue.head is None


def _emptiest(state: State, shape: Shape, record: TaskRecord, room: dispatch.Dispatch) -> WorkerRecord | None:
    """Who would be given the task, to run or, if it is short, to queue; nobody who is silent is open to it."""
    return state.placement.loads.emptiest(shape, record.avoid, room.places(shape) if shape.strict else None)


def _may_go(state: State, worker: WorkerRecord, record: TaskRecord) -> bool:
    """Whether the task loses less by another attempt than by waiting for the worker, and harms no others."""
    assert record.attempt is not None
    if record.cancel_requested:
        return False
    if suspects.may_have_begun(state, worker, record):
        # What it has done there is in vain if the worker goes on: no more than what waiting for that may cost.
        if state.now - record.attempt.assigned_at > state.settings.worker_lost_after_s:
            return False
        if any(record.task_id in other.withdrawn for other in state.workers.values()):
            return False  # It may be the one that has silenced both.
    return _can_be_had(state, record)


def _can_be_had(state: State, record: TaskRecord) -> bool:
    """Whether all that the task takes is somewhere else than on workers that are silent."""
    needed = [state.files.object_of(file_id) for file_id in record.inputs]
    for task_id in record.spec.depends:
        dependency = state.tasks.by_id[task_id]
        if not results.is_there(state, dependency):
            return False
        if dependency.value_object is not None:
            needed.append(state.files.objects.get(dependency.value_object))
    return all(known is not None and _is_heard_of(state, known) for known in needed)


def _is_heard_of(state: State, known: ObjectRecord) -> bool:
    """Whether the object, or the archive that it is unpacked from, is with somebody who speaks."""
    source = known if known.archive is None else state.files.objects.get(known.archive)
    return source is not None and (
        source.data is not None or not source.holders <= staging.silent_holders(state, source)
    )
