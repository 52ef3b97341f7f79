"""A worker is gone, or has lost what a task had left there: what becomes of all that it had?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from vine.names import WorkerId
from vine.scheduler import (
    collecting,
    completion,
    dispatch,
    downloads,
    installing,
    mates,
    recovery,
    spreading,
    staging,
    suspects,
)
from vine.scheduler.actions import Forget
from vine.scheduler.records import AttemptEnded, WorkerLeft
from vine.scheduler.tasks import TaskRecord
from vine.scheduler.workers import WorkerRecord
from vine.wire.parts import Outcome

if TYPE_CHECKING:
    from vine.scheduler.state import State


def worker_lost(state: State, worker: WorkerRecord, reason: str, in_order: bool = False) -> None:
    """The worker is gone: its tasks run elsewhere, its copies do not count, its flows begin anew."""
    worker_id = worker.worker_id
    del state.workers[worker_id]
    del state.worker_of[worker.peer]
    del state.hosts[worker.host_id][worker_id]
    if not state.hosts[worker.host_id]:
        del state.hosts[worker.host_id]
    mates.worker_lost(state, worker)
    state.placement.remove_worker(worker_id)
    state.copies.leave(worker_id)
    state.prefetches.leave(worker_id)
    installing.worker_lost(state, worker_id)
    state.record(WorkerLeft(worker_id, reason))
    state.do(Forget(worker.peer))
    spreading.worker_lost(state, worker_id)
    for transfer in [t for t in state.transfers.active.values() if t.destination == worker_id]:
        state.transfers.remove(transfer)
    for object_id in [o for o, nodes in state.transfers.wanting.items() if worker_id in nodes]:
        staging.cancel_wanting(state, worker_id, object_id)
    for object_id in list(worker.making):
        state.transfers.make_no_more(worker, object_id)
    suspected = suspects.note_loss(state, worker, in_order, reason)
    held = sorted(worker.holds)  # What follows must not depend on how strings are hashed.
    lost = [state.files.objects[object_id] for object_id in held if object_id in state.files.objects]
    for object_id in held:
        recovery.strike_off(state, worker, object_id)
    theirs = list(worker.attempts.values())
    theirs += [state.tasks.by_id[task_id] for task_id in sorted(worker.collecting)]
    no_fault = f"its worker {'left in order' if in_order else 'was lost'}: {reason}"
    for record in theirs:
        if record.task_id in suspected:
            _drop_attempt(state, record, Outcome.WORKER_LOST, reason)
        else:  # For the journal, which counts what a task is suspected of: nobody was but those.
            _drop_attempt(state, record, Outcome.CANCELLED, no_fault)
    for record in theirs:  # What one of them has to be made anew for must not find the others still there.
        _go_on_elsewhere(state, record, worker_id, reason)
    for transfer in [t for t in state.transfers.active.values() if worker_id in t.sources]:
        recovery.source_lost(state, transfer)
    for known in lost:
        recovery.replica_gone(state, known)
    downloads.worker_lost(state, worker_id, reason)
    state.transfers.forgive(node=worker_id)
    state.ranks.forget(node=worker_id)
    staging.plan_all(state)


def result_lost(state: State, record: TaskRecord, worker_id: WorkerId, message: str) -> None:
    """A worker that is still there has lost what came from it to the manager."""
    record.losses += 1
    record.losses_alone += record.alone
    reason = f"lost its result: {message}"
    _drop_attempt(state, record, Outcome.WORKER_LOST, reason)
    _go_on_elsewhere(state, record, worker_id, reason)


def _drop_attempt(state: State, record: TaskRecord, outcome: Outcome, reason: str) -> None:
    assert record.attempt is not None
    collecting.stop_collecting(state, record)
    attempt = state.drop_attempt(record)
    if attempt.result is not None and attempt.result.outcome is not Outcome.SUCCESS:
        record.failures -= 1  # Its client has not heard of it, and what it had left is gone.
    state.record(AttemptEnded(attempt.attempt_id, outcome, reason))


def _go_on_elsewhere(state: State, record: TaskRecord, worker_id: WorkerId, reason: str) -> None:
    if record.cancel_requested:
        completion.end(state, record, *record.cancelled_as)
    elif suspects.is_to_blame(record) and not record.recovering:
        message = f"{suspects.accusation(record)}; the last was {worker_id} ({reason}), see its log"
        completion.end(state, record, Outcome.WORKER_LOST, message)
    else:
        suspects.isolate(record)
        dispatch.reconsider(state, record)
