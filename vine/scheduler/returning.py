"""Who is waited for after a restart of the manager, what do they bring back, and what if they do not come?

A task whose last attempt may still run on a worker is *held back*: it is not sent out again before that worker has
come back, and said what it still has, or its lease has ended. What only that worker may hold is not made again before.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, TypeGuard

from vine.names import AttemptId, ObjectId, TaskId, WorkerId
from vine.scheduler import (
    actions,
    closing,
    dispatch,
    downloads,
    existence,
    fleet,
    installing,
    minitasks,
    recovery,
    results,
    staging,
    suspects,
)
from vine.scheduler.actions import PeerKey
from vine.scheduler.files import FileRecord, ObjectRecord
from vine.scheduler.peers import AwaitedWorker, ClientRecord
from vine.scheduler.records import AttemptAssigned, AttemptEnded, AttemptStarted, WorkerLeft
from vine.scheduler.replayed import OpenAttempt
from vine.scheduler.tasks import HELD_BACK, Attempt, TaskRecord, TaskState, added, removed
from vine.scheduler.workers import WorkerRecord
from vine.wire.messages import TasksAwaited
from vine.wire.parts import Outcome, TaskKind, TaskResult
from vine.wire.worker_messages import CancelAttempts, WorkerReturned

if TYPE_CHECKING:
    from vine.scheduler.state import State


def _is_held_back(record: TaskRecord | None) -> TypeGuard[TaskRecord]:
    return record is not None and record.state is TaskState.WAITING and HELD_BACK in record.unmet


# --- workers -------------------------------------------------------------------------------------


def who_may_have(state: State, object_id: ObjectId | None) -> WorkerId | None:
    """A worker that is waited for and has made the object; and for a moment anybody, who may have got it from there."""
    if not state.awaited:
        return None
    makers = (worker_id for worker_id, awaited in state.awaited.items() if object_id in awaited.objects)
    anybody = next(iter(state.awaited)) if state.dispatches_from else None  # `keep` sees when that is over.
    return next(makers, anybody)


def has_or_may_come(state: State, file: FileRecord) -> bool:
    """Whether the file's content is there, or may come back with the worker that has made it."""
    if file.object_id is None:
        return False
    return state.files.is_available(file.file_id) or who_may_have(state, file.object_id) is not None


def hold_back(state: State, record: TaskRecord, attempt: OpenAttempt) -> None:
    """The task may be running on that worker: it is not sent out before that is known."""
    awaited = state.awaited[attempt.worker_id]
    awaited.attempts[attempt.attempt_id] = record.task_id
    if attempt.begun:
        awaited.begun.add(attempt.attempt_id)
    state.held_back[record.task_id] = attempt.worker_id
    record.unmet = added(record.unmet, HELD_BACK)


def _hold_back_no_more(state: State, record: TaskRecord) -> None:
    state.held_back.pop(record.task_id, None)
    record.unmet = removed(record.unmet, HELD_BACK)


def hold_no_more(state: State, record: TaskRecord, why: str) -> None:
    """The task ends: what its worker may still run is nobody's, and is stopped when that comes back."""
    attempts = state.awaited[state.held_back[record.task_id]].attempts
    for attempt_id in [attempt_id for attempt_id, task_id in attempts.items() if task_id == record.task_id]:
        del attempts[attempt_id]
        state.record(AttemptEnded(attempt_id, Outcome.CANCELLED, why))
    _hold_back_no_more(state, record)


def keep(state: State) -> None:
    """Wait no longer than leases last, and not so long before others are given what nobody is known to have."""
    if state.dispatches_from and (not state.awaited or state.now >= state.dispatches_from):
        state.dispatches_from = 0.0
        _miss(state, state.files.objects)
    for worker_id in [worker_id for worker_id, awaited in state.awaited.items() if awaited.until <= state.now]:
        will_not_return(state, worker_id, f"did not come back within its lease of {state.settings.lease_s:g} s")


def will_not_return(state: State, worker_id: WorkerId, reason: str) -> None:
    """The worker is gone: its tasks run elsewhere, and what it alone had is made again."""
    awaited = state.awaited.pop(worker_id, None)
    if awaited is None:
        return
    state.record(WorkerLeft(worker_id, reason))
    for attempt_id, task_id in awaited.attempts.items():
        state.record(AttemptEnded(attempt_id, Outcome.WORKER_LOST, reason))
        record = state.tasks.by_id.get(task_id)
        if not _is_held_back(record):
            continue  # It has been cancelled meanwhile.
        record.losses += 1
        suspects.isolate(record)
        _go_on(state, record)
    _miss(state, awaited.objects if state.awaited else state.files.objects)


def returned(state: State, worker: WorkerRecord, message: WorkerReturned) -> None:
    """A worker that was admitted before says what it has: what it runs goes on if its task is still open."""
    awaited = state.awaited.pop(worker.worker_id, AwaitedWorker(state.now))
    listed = {begun.attempt: begun.task_id for begun in message.attempts}
    strangers = tuple(each for each, task_id in listed.items() if not _adopt(state, worker, awaited, each, task_id))
    if strangers:
        state.tell_worker(worker.worker_id, CancelAttempts(strangers))
    forever = frozenset(message.forever)
    known_made = [object_id for object_id in message.made if object_id in state.files.objects]
    for object_id in (*message.object_ids, *known_made):
        fleet.announced(state, worker, object_id, object_id in forever)
    for attempt_id, task_id in awaited.attempts.items():  # Those that were not adopted.
        state.record(AttemptEnded(attempt_id, Outcome.CANCELLED, "its worker came back without it"))
        record = state.tasks.by_id.get(task_id)
        if _is_held_back(record):
            _go_on(state, record)
    for object_id in sorted(worker.holds):
        known = state.files.objects.get(object_id)
        if known is not None:
            is_back(state, known)
    _miss(state, awaited.objects if state.awaited else state.files.objects)
    worker.returning = False
    closing.look_at(state, worker)
    staging.plan_all(state)


def _adopt(state: State, worker: WorkerRecord, awaited: AwaitedWorker, attempt_id: AttemptId, task_id: TaskId) -> bool:
    """Let an attempt of an earlier epoch be its task's own again, if the task is still owed and nobody else has it."""
    record = state.tasks.by_id.get(task_id)
    was_known = awaited.attempts.get(attempt_id) == task_id and _is_held_back(record)
    if record is None or record.cancel_requested or attempt_id.epoch >= state.settings.epoch:
        return False
    if not was_known and (record.state is not TaskState.READY or _is_written(state, attempt_id)):
        return False
    if any(state.files.by_id[file_id].object_id is None for file_id in record.inputs):
        return False
    if record.spec.kind is TaskKind.LIBRARY and record.spec.function not in state.libraries:
        return False
    allotment = state.placement.shape_of(record).allotment(worker.hello.capacity)
    if allotment is None:
        return False
    if was_known:
        del awaited.attempts[attempt_id]
        _hold_back_no_more(state, record)
        record.attempts -= 1  # It was counted when the journal was read.
        state.tasks.move(record, TaskState.READY)
    else:  # It was assigned, and that was not written down any more.
        state.prefetches.forget(task_id)
        state.record(AttemptAssigned(attempt_id, task_id, worker.worker_id))
    state.tasks.begin(record, Attempt(attempt_id, worker.worker_id, state.now, allotment))
    if record.spec.kind is TaskKind.LIBRARY:
        installing.take_slot(state, record, worker, allotment)
    else:
        worker.take(record)
    state.load_changed(worker)
    state.tasks.move(record, TaskState.STAGED)
    state.tasks.move(record, TaskState.RUNNING)
    if attempt_id not in awaited.begun:
        state.record(AttemptStarted(attempt_id))
    return True


def _is_written(state: State, attempt_id: AttemptId) -> bool:
    """Whether it was known that it was given out: then it has ended, or its task has gone on without it."""
    return attempt_id.counter <= state.attempts_written.get(attempt_id.epoch, 0)


def _go_on(state: State, record: TaskRecord) -> None:
    """The task is held back no longer."""
    _hold_back_no_more(state, record)
    dispatch.reconsider(state, record)


def _miss(state: State, object_ids: Iterable[ObjectId]) -> None:
    """What nobody has, and nobody will bring back, is made again if somebody waits for it."""
    for object_id in sorted(object_ids):
        known = state.files.objects.get(object_id)
        if known is None or who_may_have(state, object_id) is not None:
            continue
        if state.files.can_be_had(known):
            is_back(state, known)
            continue
        recovery.replica_gone(state, known)
        for file in [state.files.by_id[file_id] for file_id in sorted(known.files)]:
            if file.spec.recipe is not None:
                minitasks.look_again(state, file)
        for task_id in sorted(known.results):
            record = state.tasks.by_id[task_id]
            if record.dependants:
                results.remake(state, record)


def is_back(state: State, known: ObjectRecord) -> None:
    """Somebody has the object: tasks that have waited for it go on."""
    for file_id in sorted(known.files):
        file = state.files.by_id[file_id]
        if file.waiting or file.bring:
            existence.file_exists(state, file)
        elif file.spec.recipe is not None:
            minitasks.made(state, file)
        for unpacked in list(file.unpacked):
            if state.files.by_id[unpacked].waiting:
                existence.bind_unpacked(state, state.files.by_id[unpacked], known.object_id)
        downloads.forgo(state, file)
    for task_id in sorted(known.results):
        record = state.tasks.by_id[task_id]
        if record.generation and not record.recovering:
            dispatch.requirement_met(state, task_id, record.dependants)
            if record.result_wanted:
                results.bring(state, record)


# --- clients -------------------------------------------------------------------------------------


def client_returned(state: State, client: ClientRecord, peer: PeerKey, same_host: bool) -> None:
    """A client that was known before speaks in a new session: what it has declared and submitted is still its own."""
    before, client.peer, client.same_host, client.heard_at = client.peer, peer, same_host, state.now
    client.said = client.journaled = 0
    state.do(actions.Forget(before))
    del state.clients[before]
    state.clients[peer] = client
    for record in state.tasks.of_client(client.index):
        record.client = peer
    for file in state.files.by_id.values():
        if file.client == before:
            file.client = peer
    for library in state.libraries.values():
        if library.client == before:
            library.client = peer


def tell_again(state: State, client: ClientRecord, message: TasksAwaited) -> None:
    """The client has come back, and lacks these results."""
    owed, client.owed = client.owed or {}, None
    for task_id in message.task_ids:
        result = owed.get(task_id)
        if result is None and state.forgotten_tasks is not None and task_id in state.forgotten_tasks:
            over = "it had ended, and its result was forgotten, before the manager was restarted"
            result = TaskResult(task_id, Outcome.CANCELLED, message=over) if task_id not in state.tasks.by_id else None
        if result is None and state.settings.lossy and task_id not in state.tasks.by_id:
            lost = "what the manager knew of this task was lost with the end of its journal: submit it again"
            result = TaskResult(task_id, Outcome.DEPENDENCY_FAILED, message=lost)
        if result is None:
            continue  # It has not ended, or is yet to be submitted.
        record = state.tasks.by_id.get(task_id)
        if result.value_path is not None and record is not None and record.value_path is not None:
            state.do(actions.CopyFile(record.value_path, result.value_path))  # The client takes its copy away.
        state.tell_again(client.peer, result)
