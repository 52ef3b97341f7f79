"""How does what a task left come to the manager: large values, local outputs, files that clients ask for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from vine import config
from vine.names import MANAGER, ObjectId, TaskId
from vine.scheduler import actions, completion, downloads, existence, keeping, recovery, results, staging, upkeep
from vine.scheduler.files import FileRecord, ObjectRecord
from vine.scheduler.records import ObjectBound, ResultBound
from vine.scheduler.tasks import Attempt, TaskRecord, added, removed
from vine.scheduler.workers import WorkerRecord
from vine.wire.messages import FileBrought
from vine.wire.parts import AttemptResult, FetchFault, FileKind, MadeOutput, Outcome
from vine.wire.worker_messages import DropObjects, OutputGrown

if TYPE_CHECKING:
    from vine.scheduler.state import State


def take_output(state: State, record: TaskRecord, worker: WorkerRecord, attempt: Attempt, output: MadeOutput) -> None:
    """Let the output's file stand for what was made; a local file's content comes back to its path."""
    if output.file_id not in {mount.file_id for mount in record.spec.outputs}:
        state.strange += 1
        return
    file = state.files.by_id.get(output.file_id)
    if file is None or file.forgotten:
        state.tell_worker(worker.worker_id, DropObjects((output.object_id,)))
        return
    if file.object_id != output.object_id:
        replace(state, file)
        keeping.bind(state, file, output.object_id, output.manifest)
    known = state.files.objects[output.object_id]
    keeping.made_copy(state, worker, known)
    state.record(ObjectBound(file.file_id, output.object_id, output.manifest, attempt.attempt_id))
    if file.spec.kind is FileKind.LOCAL and not record.recovering:
        assert file.spec.path is not None
        _collect(state, record, worker, known, file.spec.path)
    existence.file_exists(state, file)


def fetch_ended(state: State, event: actions.LocalFetched | actions.LocalFetchFailed) -> None:
    """A flow to the manager is over."""
    transfer = state.transfers.active.get(event.transfer_id)
    if transfer is None:
        return
    state.transfers.remove(transfer)
    fault = FetchFault.NONE if isinstance(event, actions.LocalFetched) else event.fault
    state.record(transfer.ended(fault, event.received_bytes, 0, event.seconds))
    if isinstance(event, actions.LocalFetched):
        state.transfers.done += 1
        assert transfer.path is not None
        collected(state, event.object_id, transfer.path)
    else:
        state.transfers.failed += 1
        recovery.fetch_failed(state, transfer, event.fault, transfer.sources[0], event.message)
    staging.plan_all(state)


def output_grown(state: State, worker: WorkerRecord, message: OutputGrown) -> None:
    """A watched output has been added to: so is what lies at its path, until the whole of it comes at the end."""
    record = worker.attempts.get(message.attempt)
    if record is None or record.recovering:
        return  # It has ended, or is not this worker's any more.
    file = state.files.by_id.get(message.file_id)
    watched = any(mount.watched and mount.file_id == message.file_id for mount in record.spec.outputs)
    if file is None or not watched or file.spec.kind is not FileKind.LOCAL or file.spec.path is None:
        state.strange += 1
        return
    state.do(actions.WritePart(file.spec.path, message.offset, message.data))


def replace(state: State, file: FileRecord) -> None:
    """The file is made anew: tasks that are staged for what it was take what it will be."""
    old = state.files.object_of(file.file_id)
    if old is not None and old.files == {file.file_id} and not old.results:
        recovery.withdraw_users(state, old)
    upkeep.unbind(state, file)


def take_value(state: State, record: TaskRecord, worker: WorkerRecord, attempt: Attempt, result: AttemptResult) -> None:
    """A value over the inline limit comes to the manager's staging folder and is kept nowhere else, or it stays."""
    if result.value_object is None or result.value_manifest is None:
        return
    assert attempt.result is not None
    label = f"result of task {record.task_id}"
    stays = result.outcome is Outcome.SUCCESS and results.stays(state, record)
    new = ObjectRecord(result.value_object, result.value_manifest, label, peer_transfer=stays)
    known = state.files.objects.setdefault(result.value_object, new)
    if stays:
        attempt.result = msgspec.structs.replace(attempt.result, remote=True)
        results.keep(state, record, worker, known)
        state.record(ResultBound(record.task_id, result.value_object, result.value_manifest, record.generation))
        return
    known.results.add(record.task_id)
    keeping.made_copy(state, worker, known)
    record.value_object = result.value_object
    record.value_path = f"{state.settings.staging_dir}/result-{attempt.attempt_id}"
    state.record(ResultBound(record.task_id, result.value_object, result.value_manifest))
    _collect(state, record, worker, known, record.value_path)


def _collect(state: State, record: TaskRecord, worker: WorkerRecord, known: ObjectRecord, path: str) -> None:
    assert record.attempt is not None
    here = results.own_copy(state, known) if path == record.value_path else None
    if here is not None:  # The worker need not keep what the manager has, and may have given it up.
        state.do(actions.CopyFile(here, path))
        _value_arrived(state, record, known, path)
        return
    record.attempt.collecting = added(record.attempt.collecting, known.object_id)
    worker.collecting.add(record.task_id)
    state.collecting.setdefault(known.object_id, {}).setdefault(record.task_id, []).append(path)
    staging.bring_to_manager(state, known, path)


def stop_collecting(state: State, record: TaskRecord) -> None:
    """The task's attempt is over, or its worker gone: nothing of it is waited for any more."""
    attempt = record.attempt
    assert attempt is not None
    worker = state.workers.get(attempt.worker)
    if worker is not None:
        worker.collecting.discard(record.task_id)
    for object_id in sorted(attempt.collecting):
        waiting = state.collecting.get(object_id, {})
        waiting.pop(record.task_id, None)
        if not waiting:
            state.collecting.pop(object_id, None)
            staging.cancel_wanting(state, MANAGER, object_id)
            transfer_id = state.transfers.into.get((MANAGER, object_id))
            if transfer_id is not None:
                staging.abandon(state, state.transfers.active[transfer_id])
    attempt.collecting = frozenset()
    if not record.recovering:
        upkeep.drop_value(state, record)  # A recovering producer's value was committed long ago.
        record.generation = 0


def collected(state: State, object_id: ObjectId, arrived_at: str) -> None:
    """The manager's node has pulled an object that tasks or clients wait for."""
    known = state.files.objects.get(object_id)
    waiting = state.collecting.pop(object_id, {})
    if known is None:
        return
    elsewhere: dict[TaskId, list[str]] = {}
    for task_id, paths in waiting.items():
        record = state.tasks.by_id[task_id]
        attempt = record.attempt
        assert attempt is not None and attempt.result is not None
        value_path = record.value_path if record.value_object == object_id else None
        # Where users name the paths, each is as hard to write to as the first: it is pulled to every one of them.
        if left := [path for path in paths if path not in (arrived_at, value_path)]:
            elsewhere[task_id] = left
        if value_path in paths:
            assert value_path is not None
            if value_path != arrived_at:
                state.do(actions.CopyFile(arrived_at, value_path))
            _value_arrived(state, record, known, value_path)
        if not left:
            attempt.collecting = removed(attempt.collecting, object_id)
            completion.finish_or_collect(state, record)
    if elsewhere:
        state.collecting.setdefault(object_id, {}).update(elsewhere)
        collect_again(state, known)
    if staging.goes_by_manager(state, known) and known.manifest is not None and object_id in state.transfers.wanting:
        keeping.manager_has(state, known)
        state.do(actions.Serve(object_id, known.manifest, arrived_at, None))
    results.arrived(state, known, arrived_at)
    for file_id in sorted(known.files):
        _answer_bring(state, state.files.by_id[file_id], arrived_at)


def _value_arrived(state: State, record: TaskRecord, known: ObjectRecord, path: str) -> None:
    """Keep the value for tasks that take it; give the client a copy of its own, which it removes."""
    attempt = record.attempt
    assert attempt is not None and attempt.result is not None and known.manifest is not None
    second = f"{path}.client"
    state.do(actions.CopyFile(path, second))
    if MANAGER not in known.holders:
        keeping.manager_has(state, known)
        state.do(actions.Serve(known.object_id, known.manifest, path, None))
    if not known.files and known.results == {record.task_id} and not results.is_remote(state, known):
        upkeep.drop_copies(state, known)
    attempt.result = msgspec.structs.replace(attempt.result, value_path=second)


def collect_again(state: State, known: ObjectRecord) -> None:
    """A flow to the manager failed: try again while somebody waits for it and somebody has it."""
    for path, *_ in list(state.collecting.get(known.object_id, {}).values())[:1]:
        staging.bring_to_manager(state, known, path)
    if any(state.files.by_id[file_id].bring for file_id in known.files):
        staging.bring_to_manager(state, known, bring_path(state, known))
    if (wanted := results.wanted_path(state, known)) is not None:
        staging.bring_to_manager(state, known, wanted)


def collecting_failed(state: State, known: ObjectRecord, outcome: Outcome, message: str, path: str | None) -> None:
    """The manager cannot get an object to this path: the tasks that left it there fail, or clients are told.

    Others have their own paths, which may be better.
    """
    collecting = state.collecting.get(known.object_id, {})
    theirs = [task_id for task_id, paths in collecting.items() if path in paths]
    for task_id in theirs:
        record = state.tasks.by_id[task_id]
        assert record.attempt is not None
        stop_collecting(state, record)
        state.drop_attempt(record)
        completion.end(state, record, outcome, f"its output {known.label} could not be brought back: {message}")
    if theirs:
        if known.object_id in state.files.objects:
            collect_again(state, known)
        return
    results.cannot_be_brought(state, known, message)
    waiting = list(state.transfers.wanting.get(known.object_id, ())) if staging.goes_by_manager(state, known) else []
    for worker_id in waiting:
        recovery.misplaced(state, worker_id, known, outcome, message)
    for file_id in sorted(known.files):
        file = state.files.by_id[file_id]
        for peer in file.bring:
            state.send(peer, FileBrought(file_id, None, message[: config.text_chars_max]))
        file.bring.clear()
        downloads.forgo(state, file)


def bring(state: State, peer: actions.PeerKey, file: FileRecord) -> None:
    """A client asks for a file's content at a path that it can read."""
    known = None if file.object_id is None else state.files.objects[file.object_id]
    if file.failure is not None:
        state.send(peer, FileBrought(file.file_id, None, file.failure[1]))
    elif file.spec.kind is FileKind.UNTAR:
        message = f"{file.spec.label} is unpacked on workers only: fetch its archive instead"
        state.send(peer, FileBrought(file.file_id, None, message[: config.text_chars_max]))
    elif known is None or not state.files.can_be_had(known):
        file.bring.append(peer)
        recovery.remake(state, file)
    elif (path := _path_here(state, known)) is not None:
        state.send(peer, FileBrought(file.file_id, path))
    elif known.data is not None:
        path = bring_path(state, known)
        state.do(actions.WriteFile(path, known.data))
        state.send(peer, FileBrought(file.file_id, path))
    else:
        file.bring.append(peer)
        staging.bring_to_manager(state, known, bring_path(state, known))


def _path_here(state: State, known: ObjectRecord) -> str | None:
    """Where the client has these bytes already, under whichever of its files."""
    return next((path for file_id in sorted(known.files) if (path := state.files.by_id[file_id].path)), None)


def bring_path(state: State, known: ObjectRecord) -> str:
    path = f"{state.settings.staging_dir}/brought-{known.object_id}"
    state.brought_paths[known.object_id] = path
    return path


def _answer_bring(state: State, file: FileRecord, path: str) -> None:
    for peer in file.bring:
        state.send(peer, FileBrought(file.file_id, path))
    file.bring.clear()
    downloads.forgo(state, file)  # Its copies may have been lost in the same moment.
