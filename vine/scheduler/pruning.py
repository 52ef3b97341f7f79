"""Which copies go when a client wants a file on workers no more, though it stays declared?

Copies stay where a task has been given the file, wherever they are while they come to the manager, and one, if
workers alone have it, while any task that has not ended takes it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from vine.names import FileId
from vine.scheduler import broadcasting, dispatch, keeping, recovery, replicating, staging, submission
from vine.scheduler.files import ObjectRecord
from vine.scheduler.peers import ClientRecord
from vine.scheduler.workers import WorkerRecord

if TYPE_CHECKING:
    from vine.scheduler.state import State


def prune(state: State, client: ClientRecord, file_id: FileId) -> None:
    """Its copies go, and nobody is brought another before a task asks."""
    file = submission.own_file(state, client, file_id)
    if file is None:
        return
    broadcasting.stop(state, file)
    replicating.want(state, file, 1)
    known = state.files.object_of(file_id)
    if known is None or known.files != {file_id} or known.results:
        return  # Its bytes are those of something else, too.
    if file.bring or known.object_id in state.collecting:
        return
    for worker_id in staging.places(state, known):
        if _may_go(state, state.workers[worker_id], known):
            _drop(state, state.workers[worker_id], known)


def _may_go(state: State, worker: WorkerRecord, known: ObjectRecord) -> bool:
    if worker.worker_id in known.keepers and state.files.is_used(known):
        return False
    return not any(dispatch.takes(state, record, known) for record in worker.attempts.values())


def _drop(state: State, worker: WorkerRecord, known: ObjectRecord) -> None:
    held = known.object_id in worker.holds
    coming = staging.comes(state, worker, known.object_id)
    if held:
        keeping.lost_copy(state, worker, known)
    if held or coming:
        staging.stop_bringing(state, worker.worker_id, known.object_id)
        for product in staging.products_in_making(state, worker, known):  # Else mates would wait for it in vain.
            staging.stop_bringing(state, worker.worker_id, product.object_id)
    if held:
        recovery.copy_gone(state, worker, known, "it was pruned")
