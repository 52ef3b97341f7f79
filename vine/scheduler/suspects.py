"""Which tasks may have killed the worker that was lost under them, and which one is it that does?

Of a worker that dies each task is suspected that may have run there. One that is suspected more than once is given a
worker to itself from then on: so that no neighbour is blamed for what another one does, nor lost with it again. It
is blamed when workers are lost while it runs alone. Who leaves in order was told to by its batch system, and no task
is suspected of that; one that takes longer than workers stay must end all the same, after far more of these.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from vine import config
from vine.names import TaskId
from vine.scheduler import dispatch
from vine.scheduler.records import AttemptEnded
from vine.scheduler.tasks import TaskRecord, TaskState
from vine.scheduler.workers import WorkerRecord
from vine.wire.parts import Outcome, TaskKind

if TYPE_CHECKING:
    from vine.scheduler.state import State


def note_loss(state: State, worker: WorkerRecord, in_order: bool, reason: str) -> set[TaskId]:
    """The worker is gone: each task counts that which may have run there, also before it was given elsewhere.

    Returns those that it had to the last and that are suspected.
    """
    there = list(worker.attempts.values())
    if in_order:
        for record in there:
            record.leaves += record.state is TaskState.RUNNING
        return set()
    suspected = [each for each in there if may_have_begun(state, worker, each)]
    for record in suspected:
        _count(record, was_alone(worker, record))
    for task_id, withdrawn in worker.withdrawn.items():
        known = state.tasks.by_id.get(task_id)
        if known is not None:
            _count(known, withdrawn.alone)
            state.record(AttemptEnded(withdrawn.attempt_id, Outcome.WORKER_LOST, reason))  # It was not blamed so far.
    return {record.task_id for record in suspected}


def _count(record: TaskRecord, alone: bool) -> None:
    record.losses += 1
    record.losses_alone += alone


def may_have_begun(state: State, worker: WorkerRecord, record: TaskRecord) -> bool:
    """A body that kills its worker at once is not announced; one whose inputs are on their way has not begun."""
    if record.state is TaskState.RUNNING:
        return True
    return all(known.object_id in worker.holds for known in dispatch.needed_objects(state, record))


def was_alone(worker: WorkerRecord, record: TaskRecord) -> bool:
    """Whether nothing else can have run there with it."""
    others = len(worker.attempts) + len(worker.withdrawn) - 1
    return record.alone or (record.state is TaskState.RUNNING and not others)


def is_to_blame(record: TaskRecord) -> bool:
    """Calls of a library share what that has, so none of them can be alone."""
    if record.leaves >= config.worker_leaves_max:
        return True
    if record.spec.kind is TaskKind.LIBRARY:
        return record.losses >= config.worker_losses_max
    return record.losses_alone >= config.worker_losses_alone_max


def accusation(record: TaskRecord) -> str:
    """What happened to its workers."""
    if record.leaves >= config.worker_leaves_max:
        return f"its worker left in order {record.leaves} times while it ran: it may take longer than workers stay"
    alone = f", {record.losses_alone} of these while it ran alone" if record.losses_alone else ""
    return f"its worker was lost {record.losses} times{alone}"


def isolate(record: TaskRecord) -> None:
    """Its next attempt has a worker to itself, if it is suspected."""
    if record.losses >= config.worker_losses_alone_from and record.spec.kind is not TaskKind.LIBRARY:
        record.run_alone()
