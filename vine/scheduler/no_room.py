"""Which kinds of tasks does a worker get no more of for a while, because their inputs had no room on its disk?

Else each task of a queue would find that out by itself, one after the other: a worker that gives them all back is
always the emptiest. Not all tasks of a kind need the same inputs, so it takes several in a row.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from vine import config
from vine.scheduler.tasks import TaskRecord
from vine.scheduler.workers import WorkerRecord
from vine.wire.parts import Outcome

if TYPE_CHECKING:
    from vine.scheduler.state import State


def misplaced(state: State, worker: WorkerRecord, outcome: Outcome) -> None:
    """An object could not be had there: nobody is to hang on a worker whose disk is full."""
    if outcome is Outcome.DISK_FULL:
        worker.full_until = state.now + config.no_room_retry_s


def task_misplaced(state: State, worker: WorkerRecord, record: TaskRecord, outcome: Outcome, crowded: bool) -> None:
    """What a task needs did not fit there, though it had the worker to itself. Others get such tasks, if any can."""
    if outcome is not Outcome.DISK_FULL or crowded:
        return
    shape = state.placement.shape_of(record)
    worker.misfits[shape.key] += 1
    if worker.misfits[shape.key] < config.misfits_max:
        return
    if any(other is not worker and shape.suits(other, state.now) for other in state.workers.values()):
        worker.no_room[shape.key] = state.now + config.no_room_retry_s
        state.placement.due = True


def keep(state: State) -> None:
    """Each kind of task is tried again after a while, and at once where nobody is left who may be better."""
    for worker in [worker for worker in state.workers.values() if worker.no_room]:
        for key in [key for key, until in worker.no_room.items() if until <= state.now or _is_left_alone(state, key)]:
            worker.had_no_room()  # One is enough to find out.
            _open(state, worker, key)


def _is_left_alone(state: State, key: str) -> bool:
    """Whether the next task of the kind has nobody whom it may be given to.

    Those that get such tasks may have had no room for this one: else one that fits nowhere would wait for each retry.
    """
    for head in state.placement.heads(state.tasks.by_id):
        if head.fit.key == key and not any(
            head.fit.suits(worker, state.now) and worker.worker_id not in head.record.avoid
            for worker in state.workers.values()
        ):
            return True
    return False


def _open(state: State, worker: WorkerRecord, key: str) -> None:
    """One of the kind is enough to close it again, unless it fits."""
    del worker.no_room[key]
    worker.misfits[key] = config.misfits_max - 1
    state.load_changed(worker)
