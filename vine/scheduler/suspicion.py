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
from vine.scheduler import closing, dispatch, installing, recovery, results, staging, suspects
from vine.scheduler.files import ObjectRecord
from vine.scheduler.shapes import Shape
from vine.scheduler.tasks import TaskRecord, TaskState
from vine.scheduler.workers import Withdrawn, WorkerRecord
from vine.wire.parts import TaskKind

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
    return state.now - (worker.heard_at if worker.silent else max(worker.heard_at, state.hearing.since))


def keep(state: State) -> None:
    """Once a while: suspect who is silent, trust who speaks again, and see what others could begin."""
    workers = list(state.workers.values())
    state.hearing.look(max((worker.heard_at for worker in workers), default=-math.inf), state.now)
    for worker in workers:
        if worker.silent:
            has_changed = worker.heard_at >= worker.suspected_at  # No gap in our hearing speaks for it.
        else:
            has_changed = silence_s(state, worker) > state.settings.worker_suspected_after_s
        if has_changed:
            worker.silent, worker.suspected_at = not worker.silent, state.now
            worker.withdrawn.clear()
            closing.look_at(state, worker)
            staging.look_past(state, [worker])
    silent = [worker for worker in workers if worker.silent]
    if silent and not state.stopping:
        _Look(state, silent).give_elsewhere()
        staging.look_past(state, silent)


class _Look:
    """At what those who are silent have: each task that is taken back takes room from the next."""

    def __init__(self, state: State, silent: list[WorkerRecord]) -> None:
        self._state = state
        self._silent = silent
        self._names = {worker.worker_id for worker in silent}
        self._begun_elsewhere = {task_id for worker in silent for task_id in worker.withdrawn}
        self._room = dispatch.Dispatch(state)
        self._idle_for: dict[Shape, bool] = {}

    def give_elsewhere(self) -> None:
        """Take back what others can begin now."""
        for worker in self._silent:
            for attempt_id, record in list(worker.attempts.items()):
                if attempt_id not in worker.attempts:
                    continue  # It was withdrawn with an input that one before it was to take, too.
                shape = self._state.placement.shape_of(record)
                if self._anybody_is_idle(shape, record) and self._may_go(worker, record):
                    self._give(worker, record, shape)

    def _give(self, worker: WorkerRecord, record: TaskRecord, shape: Shape) -> None:
        state = self._state
        if self._emptiest(shape, record) is None:
            self._idle_for[shape] = bool(record.avoid)  # Those that avoid nobody may find one.
            return
        if suspects.may_have_begun(state, worker, record):
            assert record.attempt is not None
            withdrawn = Withdrawn(record.attempt.attempt_id, suspects.was_alone(worker, record))
            worker.withdrawn[record.task_id] = withdrawn
            self._begun_elsewhere.add(record.task_id)
        reason = f"taken back from {worker.worker_id}, which was silent for {silence_s(state, worker):.1f} s"
        recovery.withdraw(state, record, reason)
        suspects.isolate(record)
        dispatch.reconsider(state, record)
        self._room.go_on()
        self._idle_for[shape] = record.state is not TaskState.READY  # Otherwise another one has come first.

    def _anybody_is_idle(self, shape: Shape, record: TaskRecord) -> bool:
        """Whether, as the look began, a task of the shape could run at once somewhere, and none waited for that."""
        if shape not in self._idle_for:
            emptiest = self._emptiest(shape, record)
            runs = emptiest is not None and shape.runs_at_once(emptiest)
            self._idle_for[shape] = runs and shape.queue.head is None
        return self._idle_for[shape]

    def _emptiest(self, shape: Shape, record: TaskRecord) -> WorkerRecord | None:
        """Who would be given the task, to run or, if it is short, to queue; nobody who is silent is open to it."""
        places = self._room.places(shape) if shape.strict else None
        return self._state.placement.loads.emptiest(shape, record.avoid, places)

    def _may_go(self, worker: WorkerRecord, record: TaskRecord) -> bool:
        """Whether the task loses less by another attempt than by waiting for the worker, and harms no others."""
        state = self._state
        assert record.attempt is not None
        if record.cancel_requested:
            return False
        if record.spec.kind is TaskKind.LIBRARY and installing.trouble_of(state, record.spec) is not None:
            return False  # It may end where it runs; elsewhere it could not begin.
        if suspects.may_have_begun(state, worker, record):
            # What it has done there is in vain if the worker goes on: no more than what waiting for that may cost.
            if state.now - record.attempt.assigned_at > state.settings.worker_lost_after_s:
                return False
            if record.task_id in self._begun_elsewhere:
                return False  # It may be the one that has silenced both.
        return self._can_be_had(record)

    def _can_be_had(self, record: TaskRecord) -> bool:
        """Whether all that the task takes is somewhere else than on workers that are silent."""
        state = self._state
        needed = [state.files.object_of(file_id) for file_id in record.inputs]
        for task_id in record.spec.depends:
            dependency = state.tasks.by_id[task_id]
            if not results.is_there(state, dependency):
                return False
            if dependency.value_object is not None:
                needed.append(state.files.objects.get(dependency.value_object))
        return all(known is not None and self._is_heard_of(known) for known in needed)

    def _is_heard_of(self, known: ObjectRecord) -> bool:
        """Whether the object, or the archive that it is unpacked from, is with somebody who speaks."""
        source = known if known.archive is None else self._state.files.objects.get(known.archive)
        if source is None:
            return False
        return source.data is not None or any(holder not in self._names for holder in source.holders)
