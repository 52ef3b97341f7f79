"""Which tasks may have killed the worker that was lost under them, and which one is it that does?

Of a worker that dies each task is suspected that may have run there. One that is suspected more than once is given a
worker to itself from then on: so that no neighbour is blamed for what another one does, nor lost with it again. It
is blamed when workers are lost while it runs alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from vine import config
from vine.scheduler import dispatch
from vine.scheduler.tasks import TaskRecord, TaskState
from vine.scheduler.workers import WorkerRecord
from vine.wire.parts import TaskKind

if TYPE_CHECKING:
    from vine.scheduler.state import State


def note_loss(state: State, worker: WorkerRecord, in_order: bool) -> None:
    """The worker is gone. That it leaves in order is no fault of a task, unless that ran: it takes too long then."""
    running = [record for record in worker.attempts.values() if record.state is TaskState.RUNNING]
    waiting = [] if in_order else [r for r in worker.attempts.values() if r.state is TaskState.STAGED]
    for record in (*running, *(record for record in waiting if _may_have_begun(state, worker, record))):
        record.losses += 1
        alone = record.alone or (record.state is TaskState.RUNNING and len(worker.attempts) == 1)
        record.losses_alone += alone


def _may_have_begun(state: State, worker: WorkerRecord, record: TaskRecord) -> bool:
    """A body that kills its worker at once is not announced; one whose inputs are on their way has not begun."""
    return all(known.object_id in worker.holds for known in dispatch.needed_objects(state, record))


def is_to_blame(record: TaskRecord) -> bool:
    """Calls of a library share what that has, so none of them can be alone."""
    if record.spec.kind is TaskKind.LIBRARY:
        return record.losses >= config.worker_losses_max
    return record.losses_alone >= config.worker_losses_alone_max


def isolate(record: TaskRecord) -> None:
    """Its next attempt has a worker to itself, if it is suspected."""
    if record.losses >= config.worker_losses_alone_from and record.spec.kind is not TaskKind.LIBRARY:
        record.run_alone()
