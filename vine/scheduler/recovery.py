"""What is to be done when something is lost, or cannot be had where it is needed: copies of objects, their sources."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vine import config
from vine.names import MANAGER, ObjectId, WorkerId
from vine.scheduler import (
    collecting,
    completion,
    dispatch,
    downloads,
    existence,
    installing,
    keeping,
    losses,
    minitasks,
    no_room,
    producers,
    results,
    returning,
    spreading,
    staging,
    upkeep,
)
from vine.scheduler.actions import VerifyServed
from vine.scheduler.files import FileRecord, ObjectRecord
from vine.scheduler.flows import Transfer
from vine.scheduler.records import AttemptEnded
from vine.scheduler.tasks import TaskRecord, TaskState, added
from vine.scheduler.workers import WorkerRecord
from vine.wire.parts import FetchFault, Outcome, TaskKind
from vine.wire.worker_messages import DropObjects

if TYPE_CHECKING:
    from vine.scheduler.state import State

# The source is at fault: its copy does not count any more.
_COPY_BAD = frozenset({FetchFault.BAD_CHUNKS, FetchFault.SOURCE_REFUSED, FetchFault.SOURCE_CHANGED})


def source_lost(state: State, transfer: Transfer) -> None:
    """A flow's source is gone: want the object at its destination from somebody else."""
    if transfer.in_forest:
        return  # Its forest gives it another one at the end of the step.
    known = state.files.objects.get(transfer.object_id)
    staging.abandon(state, transfer)
    if known is not None and transfer.destination != MANAGER:
        staging.bring(state, state.workers[transfer.destination], known)
    elif known is not None:
        collecting.collect_again(state, known)
    staging.plan_object(state, transfer.object_id)


def reroute(state: State) -> None:
    """Flows into a node that has the object end; those that hang on one which neither has nor gets it begin anew.

    Those of a forest are told their sources by it.
    """
    transfers = state.transfers
    for object_id, nodes in list(transfers.dirty.items()):
        known = state.files.objects.get(object_id)
        if known is None or object_id not in transfers.receiving or staging.is_spread(state, known):
            continue
        for node in [node for node in nodes if node in known.holders and node != MANAGER]:
            if (node, object_id) in transfers.into:  # It has made it itself, and hangs on nobody.
                staging.abandon(state, transfers.active[transfers.into[node, object_id]])
        while (hanging := transfers.hanging(object_id, known.holders)) is not None:
            source_lost(state, hanging)


def replica_gone(state: State, known: ObjectRecord) -> None:
    """A holder was struck off: if none is left and the object is a lost temporary file, remake it."""
    if state.files.can_be_had(known):
        _pardon_if_all_failed(state, known)
        return  # Copies that are still arriving do not count: they all hang on holders that are gone.
    withdraw_users(state, known)
    results.copies_lost(state, known)
    for file_id in sorted(known.files):
        record = state.files.by_id[file_id]
        if downloads.is_waited_for(state, record):
            remake(state, record)


def withdraw_users(state: State, known: ObjectRecord) -> None:
    """Tasks that are staged for an object that no longer exists go back; they will take the new one."""
    for record in take_back_users(state, known):
        dispatch.reconsider(state, record)


def take_back_users(state: State, known: ObjectRecord) -> list[TaskRecord]:
    """Those that are staged for the object have no attempt any more."""
    if not (known.results or state.files.is_used(known)):
        return []  # As of most objects that go with their worker.
    users = [record for record in state.staged() if dispatch.takes(state, record, known)]
    for record in users:
        withdraw(state, record)
    return users


def withdraw(state: State, record: TaskRecord, reason: str = "taken back") -> WorkerId:
    """Take a task back from its worker; what the worker still says of that attempt is ignored."""
    assert record.attempt is not None
    worker = state.workers[record.attempt.worker]
    worker.release(record, state.now)
    attempt = state.drop_attempt(record)
    state.load_changed(worker)
    state.cancel(attempt.worker, attempt.attempt_id)
    state.record(AttemptEnded(attempt.attempt_id, Outcome.CANCELLED, reason))
    return attempt.worker


def misplaced(state: State, worker_id: WorkerId, known: ObjectRecord, outcome: Outcome, message: str) -> None:
    """The worker cannot have the object: tasks that wait for it there go elsewhere, or fail."""
    worker = state.workers[worker_id]
    no_room.misplaced(state, worker, outcome)
    products = staging.products_in_making(state, worker, known)
    state.copies.failed.append((worker_id, known.object_id, outcome, message))
    for object_id in [product.object_id for product in products]:
        state.transfers.make_no_more(worker, object_id)
        state.transfers.touch(worker_id, object_id)
        state.copies.failed.append((worker_id, object_id, outcome, message))
        state.tell_worker(worker_id, DropObjects((object_id,)))  # It must not wait for the archive for ever.
    for record in list(worker.attempts.values()):
        if record.state is TaskState.STAGED and dispatch.takes(state, record, known):
            assert record.attempt is not None
            crowded = record.attempt.crowded
            withdraw(state, record)
            _stop_bringing_inputs(state, record, worker)
            place_elsewhere(state, record, worker, outcome, message, crowded)
            no_room.task_misplaced(state, worker, record, outcome, crowded)


def _stop_bringing_inputs(state: State, record: TaskRecord, worker: WorkerRecord) -> None:
    """What was on its way to the worker for this task alone must not take up room there."""
    needed = list(dispatch.needed_objects(state, record))
    archives = [state.files.objects.get(known.archive) for known in needed if known.archive is not None]
    needed += [archive for archive in archives if archive is not None]
    others = list(worker.attempts.values())
    for known in needed:
        if known.object_id not in worker.holds and not any(dispatch.takes(state, other, known) for other in others):
            staging.stop_bringing(state, worker.worker_id, known.object_id)


def place_elsewhere(
    state: State, record: TaskRecord, worker: WorkerRecord, outcome: Outcome, message: str, crowded: bool
) -> None:
    """A task without an attempt, whose data could not be had on a worker.

    Where it only lacked the room that other tasks' data took up, the worker is given fewer at once and is as
    good as any other. (That a task is crowded out for ever is not possible to exclude, so it is counted.)
    """
    crowded_out = outcome is Outcome.DISK_FULL and crowded and record.crowded_out < config.crowded_out_max
    if crowded_out:
        record.crowded_out += 1
        worker.had_no_room()
        state.load_changed(worker)
    else:
        record.misplacements += 1
        record.avoid = added(record.avoid, worker.worker_id)
    nowhere_left = not dispatch.suits_another(state, record)
    if record.cancel_requested:
        completion.end(state, record, *record.cancelled_as)
    elif record.is_forsaken:
        times = "once" if record.given_back == 1 else f"{record.given_back} times"
        text = f"workers have given it back {times} without having run it, the last, {worker.worker_id}: {message}"
        completion.end(state, record, Outcome.FORSAKEN, text)
    elif not crowded_out and (record.misplacements >= config.placements_failed_max or nowhere_left):
        completion.end(state, record, outcome, message)
    else:
        dispatch.reconsider(state, record)


def fetch_failed(state: State, transfer: Transfer, fault: FetchFault, source: WorkerId | None, message: str) -> None:
    """A flow (already struck off) ended without its object: blame its source, if one is named, and try another."""
    known = state.files.objects.get(transfer.object_id)
    node = transfer.destination
    spreading.leave(state, node, transfer.object_id)
    if known is None or fault is FetchFault.ABANDONED:
        return
    if fault is FetchFault.SOURCE_CHANGED and source == MANAGER:
        text = f"{known.label} is no longer what was declared ({message}); declare it again, and leave it alone"
        existence.files_failed(state, known, Outcome.INPUT_CHANGED, text)
        return
    if fault is FetchFault.DISK_FULL:
        misplaced_or_uncollected(state, transfer, known, Outcome.DISK_FULL, message)
        return
    if fault is not FetchFault.SOURCE_BUSY and source is not None:
        _blame(state, known, source, fault)
    if known.object_id not in state.files.objects:
        return  # Its last copy was a result's, and the task runs again.
    if fault is FetchFault.SOURCE_GONE and known.holders == {source} and node in state.workers:
        known.relayed = added(known.relayed, node)  # These two cannot reach each other, and nobody else has it.
        state.transfers.touch(node, known.object_id)
    if source is not None or not transfer.changed:  # Who is to blame may have been replaced meanwhile.
        state.transfers.failures[node, known.object_id] += 1
    if state.transfers.failures[node, known.object_id] >= config.transfer_failures_max:
        del state.transfers.failures[node, known.object_id]
        state.transfers.pardon(sorted(pair for pair in state.transfers.shunned if pair[1] == known.object_id))
        misplaced_or_uncollected(state, transfer, known, Outcome.TRANSFER_FAILED, message)
    elif node == MANAGER:
        collecting.collect_again(state, known)
    elif node in state.workers:
        staging.bring(state, state.workers[node], known)


def misplaced_or_uncollected(
    state: State, transfer: Transfer, known: ObjectRecord, outcome: Outcome, message: str
) -> None:
    if transfer.destination == MANAGER:
        collecting.collecting_failed(state, known, outcome, message, transfer.path)
    elif transfer.destination in state.workers:
        misplaced(state, transfer.destination, known, outcome, message)


def _blame(state: State, known: ObjectRecord, source: WorkerId, fault: FetchFault) -> None:
    worker = state.workers.get(source)
    if source == MANAGER and fault is FetchFault.BAD_CHUNKS:
        _doubt_own_copy(state, known)
    if worker is None:
        return  # The manager is the origin of what it serves; a lost worker is no source any more.
    copy = (source, known.object_id)
    state.transfers.shun(source, known.object_id)
    spreading.leave(state, source, known.object_id)
    if fault is FetchFault.BAD_CHUNKS and copy not in state.transfers.verified:
        keeping.doubt_copy(state, worker, known)
        _spare_receivers(state, worker, known)
    elif fault in _COPY_BAD and known.object_id in worker.holds:
        keeping.lost_copy(state, worker, known)
        state.tell_worker(source, DropObjects((known.object_id,)))
        copy_gone(state, worker, known, fault.value)
    _pardon_if_all_failed(state, known)


def _pardon_if_all_failed(state: State, known: ObjectRecord) -> None:
    """Everybody has failed once: better ask again than wait for ever."""
    if not any((holder, known.object_id) not in state.transfers.shunned for holder in known.holders):
        state.transfers.pardon([(holder, known.object_id) for holder in sorted(known.holders)])


def _doubt_own_copy(state: State, known: ObjectRecord) -> None:
    """What the manager serves is hashed again when it is blamed for the second time: others may have erred once."""
    copy = (MANAGER, known.object_id)
    if copy not in state.transfers.doubted:
        state.transfers.doubted[copy] = False
    elif not state.transfers.doubted[copy]:
        state.transfers.doubted[copy] = True
        state.do(VerifyServed(known.object_id))


def own_copy_verified(state: State, object_id: ObjectId, message: str) -> None:
    """The manager has hashed again what it serves; `message` says what is wrong with it, if anything is."""
    known = state.files.objects.get(object_id)
    if state.transfers.doubted.pop((MANAGER, object_id), None) and known is not None and message:
        text = f"{known.label} is no longer what was declared ({message}); declare it again, and leave it alone"
        existence.files_failed(state, known, Outcome.INPUT_CHANGED, text)


def object_lost_at(state: State, worker: WorkerRecord, object_id: ObjectId, message: str, disk_full: bool) -> None:
    """A worker says that it has not, or could not make, an object."""
    was_making = object_id in worker.making
    state.transfers.make_no_more(worker, object_id)
    known = strike_off(state, worker, object_id)
    if known is None:
        return
    if was_making:
        outcome = Outcome.DISK_FULL if disk_full else Outcome.TRANSFER_FAILED
        misplaced(state, worker.worker_id, known, outcome, message)
        return
    copy_gone(state, worker, known, message)


def object_evicted(state: State, worker: WorkerRecord, object_id: ObjectId) -> None:
    """A worker has given up a spare copy for room; what is on its way there meanwhile comes all the same."""
    if object_id in worker.holds:
        known = strike_off(state, worker, object_id)
        if known is not None:
            state.copies.failed.append((worker.worker_id, object_id, Outcome.DISK_FULL, "it had to make room"))
            copy_gone(state, worker, known, "it had to make room")


def strike_off(state: State, worker: WorkerRecord, object_id: ObjectId) -> ObjectRecord | None:
    """The worker's copy does not count any more; None if no file stands for it."""
    known = state.files.objects.get(object_id)
    if known is None:
        keeping.lost_unclaimed(state, worker, object_id)
    else:
        keeping.lost_copy(state, worker, known)
    return known


def copy_gone(state: State, worker: WorkerRecord, known: ObjectRecord, message: str) -> None:
    """A worker that is still there has lost its copy: its receivers and what waits there need it again."""
    elsewhere = known.holders - {MANAGER}  # It would not fetch what it has, and a user may change that.
    for task_id in () if elsewhere else sorted(state.collecting.get(known.object_id, {})):
        record = state.tasks.by_id[task_id]
        if record.attempt is not None and record.attempt.worker == worker.worker_id:
            losses.result_lost(state, record, worker.worker_id, message)
    if known.object_id not in state.files.objects:
        return  # It was that result.
    _spare_receivers(state, worker, known)
    replica_gone(state, known)
    if staging.products_in_making(state, worker, known):
        staging.need(state, worker.worker_id, known)  # Though no attempt waits for them there: mates may.
    for record in list(worker.attempts.values()):
        if record.state is TaskState.STAGED and dispatch.takes(state, record, known):
            staging.need(state, worker.worker_id, known)


def _spare_receivers(state: State, worker: WorkerRecord, known: ObjectRecord) -> None:
    """Nobody is to get the object from this worker any more."""
    for transfer in list(state.transfers.active.values()):
        if transfer.object_id == known.object_id and worker.worker_id in transfer.sources:
            source_lost(state, transfer)


def remake(state: State, file: FileRecord) -> None:
    """Run the producer of a lost file again, and the producers of what that needs; download a URL."""
    if returning.has_or_may_come(state, file):
        return
    if file.spec.source is not None:
        archive = state.files.by_id.get(file.spec.source)
        if archive is not None:
            remake(state, archive)
        return
    if file.spec.url is not None:
        downloads.want(state, file)
        return
    producer = producers.maker(state, file)
    if file.spec.recipe is not None and producer is None:
        minitasks.want(state, file)
        return
    if file.object_id is None or producer is None:
        return  # It was never made yet, or it is not ours to make.
    if producer.state is not TaskState.DONE:
        if producer.state.ended:
            message = (
                f"{file.spec.label} was lost, and task {producer.task_id}, which made it, is {producer.state.value}"
            )
            existence.file_failed(state, file, Outcome.INPUT_MISSING, message)
        return  # Otherwise it is on its way again.
    if state.remaking >= config.recovery_depth_max:
        message = f"{file.spec.label} was lost, and so were {state.remaking} generations of what it is made from"
        existence.file_failed(state, file, Outcome.INPUT_MISSING, message)
        return
    if not can_run_again(state, producer):
        if state.awaited:
            return  # Whoever comes back last may have it.
        message = f"{file.spec.label} was lost, and task {producer.task_id}, which made it, cannot run again: "
        message += "its inputs were undeclared or their results forgotten; keep them while the file is needed"
        existence.file_failed(state, file, Outcome.INPUT_MISSING, message)
        return
    users = take_back_users(state, state.files.objects[file.object_id])
    upkeep.unbind(state, file)
    assert not producer.unmet, "a task that has ended waits for nothing"
    results.run_again(state, producer)
    state.remaking += 1
    dispatch.wait_for_missing(state, producer)
    state.remaking -= 1
    if not producer.unmet:
        dispatch.make_ready(state, producer)
    for record in users:
        dispatch.reconsider(state, record)


def can_run_again(state: State, producer: TaskRecord) -> bool:
    """Whether its files, and the results that it takes, can be had; remote results can be made again."""
    if producer.spec.kind is TaskKind.LIBRARY and installing.trouble_of(state, producer.spec) is not None:
        return False
    files = [state.files.by_id.get(file_id) for file_id in producer.inputs]
    needed = [state.tasks.by_id.get(task_id) for task_id in producer.spec.depends]
    return all(file is not None and file.failure is None for file in files) and all(
        each is not None and (each.value is not None or each.value_object is not None or each.generation)
        for each in needed
    )
