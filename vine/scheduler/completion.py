"""How does a task end: its result is judged, what it left is collected, and the end is committed once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vine import config
from vine.names import MANAGER, ObjectId, TaskId
from vine.scheduler import actions, dispatch, recovery, staging
from vine.scheduler.files import FileRecord, ObjectRecord
from vine.scheduler.peers import Failure
from vine.scheduler.records import AttemptEnded, FileFailed, ObjectBound, TaskEnded
from vine.scheduler.tasks import Attempt, TaskRecord, TaskState, file_requirement, input_files
from vine.scheduler.workers import WorkerRecord
from vine.wire.messages import (
    AttemptResult,
    CacheLevel,
    DropObjects,
    FileBrought,
    FileKind,
    MadeOutput,
    Outcome,
    TaskResult,
)

if TYPE_CHECKING:
    from vine.scheduler.state import State

_ELSEWHERE = frozenset({Outcome.DISK_FULL, Outcome.TRANSFER_FAILED})  # not the task's own doing
_END_STATE = {Outcome.SUCCESS: TaskState.DONE, Outcome.CANCELLED: TaskState.CANCELLED}


# --- an attempt has ended on its worker ------------------------------------------------------------


def attempt_ended(state: State, worker: WorkerRecord, result: AttemptResult) -> None:
    """A worker reports an attempt's end; one that is not the task's own any more is ignored."""
    record = state.tasks.by_attempt.get(result.attempt)
    if record is None or result.attempt not in worker.attempts:
        _drop_leftovers(state, worker, result)
        return
    state.placement.shape_of(record).observe(result.times.run_s)
    worker.release(result.attempt, state.now)
    state.placement.load_changed(worker)
    state.record(AttemptEnded(result.attempt, result.outcome, result.message, result.times))
    if result.outcome is Outcome.SUCCESS:
        _succeeded(state, record, worker, result)
    else:
        _did_not_succeed(state, record, worker, result)


def _drop_leftovers(state: State, worker: WorkerRecord, result: AttemptResult) -> None:
    left = [output.object_id for output in result.outputs if output.object_id not in state.files.objects]
    if result.value_object is not None:
        left.append(result.value_object)
    if left:
        state.tell_worker(worker.worker_id, DropObjects(tuple(left)))


def _succeeded(state: State, record: TaskRecord, worker: WorkerRecord, result: AttemptResult) -> None:
    attempt = record.attempt
    assert attempt is not None
    attempt.result = _task_result(state, record, worker, result)
    for output in result.outputs:
        _take_output(state, record, worker, attempt, output)
    if not record.recovering:
        _take_value(state, record, worker, attempt, result)
    _finish_or_collect(state, record)


def _did_not_succeed(state: State, record: TaskRecord, worker: WorkerRecord, result: AttemptResult) -> None:
    attempt = record.attempt
    assert attempt is not None
    if result.outcome in _ELSEWHERE or (result.outcome is Outcome.CANCELLED and not record.cancel_requested):
        state.tasks.drop_attempt(record)
        recovery.place_elsewhere(state, record, worker.worker_id, result.outcome, result.message)
        return
    record.failures += 1
    if record.failures <= record.spec.retries and not record.cancel_requested:
        state.tasks.drop_attempt(record)
        _drop_leftovers(state, worker, result)
        dispatch.reconsider(state, record)
        return
    attempt.result = _task_result(state, record, worker, result)
    _take_value(state, record, worker, attempt, result)
    _finish_or_collect(state, record)


def _task_result(state: State, record: TaskRecord, worker: WorkerRecord, result: AttemptResult) -> TaskResult:
    attempt = record.attempt
    assert attempt is not None and record.first_assigned_at is not None
    return TaskResult(
        task_id=record.task_id,
        outcome=result.outcome,
        exit_code=result.exit_code,
        value=result.value,
        message=result.message,
        stdout=result.stdout,
        stderr=result.stderr,
        truncated=result.truncated,
        worker_id=worker.worker_id,
        hostname=worker.hello.hostname,
        attempts=record.attempts,
        times=result.times,
        task_s=max(0.0, state.now - attempt.assigned_at),
        queue_s=max(0.0, attempt.assigned_at - record.submitted_at),
    )


def _take_output(state: State, record: TaskRecord, worker: WorkerRecord, attempt: Attempt, output: MadeOutput) -> None:
    """Let the output's file stand for what was made; a local file's content comes back to its path."""
    if output.file_id not in {mount.file_id for mount in record.spec.outputs}:
        state.strange += 1
        return
    file = state.files.by_id.get(output.file_id)
    if file is None or file.forgotten:
        state.tell_worker(worker.worker_id, DropObjects((output.object_id,)))
        return
    if file.object_id != output.object_id:
        unbind(state, file)
        state.files.bind(file, output.object_id, output.manifest)
    known = state.files.objects[output.object_id]
    known.holders.add(worker.worker_id)
    worker.holds.add(output.object_id)
    state.record(ObjectBound(file.file_id, output.object_id, output.manifest, attempt.attempt_id))
    if file.spec.kind is FileKind.LOCAL and not record.recovering:
        assert file.spec.path is not None
        _collect(state, record, worker, known, file.spec.path)
    file_exists(state, file)


def _take_value(
    state: State, record: TaskRecord, worker: WorkerRecord, attempt: Attempt, result: AttemptResult
) -> None:
    """A value over the inline limit comes to the manager's staging folder, and is kept nowhere else."""
    if result.value_object is None or result.value_manifest is None:
        return
    known = ObjectRecord(
        result.value_object, result.value_manifest, f"result of task {record.task_id}", peer_transfer=False
    )
    state.files.objects.setdefault(result.value_object, known).holders.add(worker.worker_id)
    record.value_object, record.value_manifest = result.value_object, result.value_manifest
    record.value_path = f"{state.settings.staging_dir}/result-{attempt.attempt_id}"
    _collect(state, record, worker, known, record.value_path)


# --- what a task left is collected ---------------------------------------------------------------


def _collect(state: State, record: TaskRecord, worker: WorkerRecord, known: ObjectRecord, path: str) -> None:
    assert record.attempt is not None
    record.attempt.collecting.add(known.object_id)
    worker.collecting.add(record.task_id)
    state.collecting.setdefault(known.object_id, {})[record.task_id] = path
    staging.bring_to_manager(state, known, path)


def _finish_or_collect(state: State, record: TaskRecord) -> None:
    attempt = record.attempt
    assert attempt is not None
    if attempt.collecting:
        if record.state is not TaskState.COLLECTING:
            state.tasks.move(record, TaskState.COLLECTING)
        return
    result = attempt.result
    assert result is not None
    stop_collecting(state, record)
    state.tasks.drop_attempt(record)
    commit(state, record, result)


def stop_collecting(state: State, record: TaskRecord) -> None:
    """The task's attempt is over, or its worker gone: nothing of it is waited for any more."""
    attempt = record.attempt
    assert attempt is not None
    worker = state.workers.get(attempt.worker)
    if worker is not None:
        worker.collecting.discard(record.task_id)
    for object_id in attempt.collecting:
        waiting = state.collecting.get(object_id, {})
        waiting.pop(record.task_id, None)
        if not waiting:
            state.collecting.pop(object_id, None)
            staging.cancel_wanting(state, MANAGER, object_id)
            transfer_id = state.transfers.into.get((MANAGER, object_id))
            if transfer_id is not None:
                staging.abandon(state, state.transfers.active[transfer_id])
    attempt.collecting.clear()
    if record.value_object is not None and not record.state.ended and attempt.result is None:
        record.value_object = record.value_manifest = record.value_path = None


def collected(state: State, object_id: ObjectId) -> None:
    """The manager's node has pulled an object that tasks or clients wait for."""
    known = state.files.objects.get(object_id)
    waiting = state.collecting.pop(object_id, {})
    if known is None:
        return
    for task_id, path in waiting.items():
        record = state.tasks.by_id[task_id]
        attempt = record.attempt
        assert attempt is not None and attempt.result is not None
        attempt.collecting.discard(object_id)
        if record.value_object == object_id:
            _value_arrived(state, record, known, path)
        _finish_or_collect(state, record)
    for file_id in sorted(known.files):
        _answer_bring(state, state.files.by_id[file_id], state.brought_paths.get(object_id))


def _value_arrived(state: State, record: TaskRecord, known: ObjectRecord, path: str) -> None:
    """Keep the value for tasks that take it; give the client a name of its own, which it removes."""
    attempt = record.attempt
    assert attempt is not None and attempt.result is not None and known.manifest is not None
    second = f"{path}.client"
    state.do(actions.LinkFile(path, second))
    state.do(actions.Serve(known.object_id, known.manifest, path, None))
    for holder in sorted(known.holders):
        state.tell_worker(holder, DropObjects((known.object_id,)))
    known.holders = {MANAGER}
    attempt.result = _with_path(attempt.result, second)


def _with_path(result: TaskResult, path: str) -> TaskResult:
    fields = {name: getattr(result, name) for name in result.__struct_fields__}
    return TaskResult(**{**fields, "value_path": path})


def collect_again(state: State, known: ObjectRecord) -> None:
    """A flow to the manager failed: try again while somebody waits for it and somebody has it."""
    for path in list(state.collecting.get(known.object_id, {}).values())[:1]:
        staging.bring_to_manager(state, known, path)
    if any(state.files.by_id[file_id].bring for file_id in known.files):
        staging.bring_to_manager(state, known, _bring_path(state, known))


def collecting_failed(state: State, known: ObjectRecord, outcome: Outcome, message: str) -> None:
    """The manager cannot get an object: the tasks that left it fail, and clients are told."""
    for task_id in list(state.collecting.get(known.object_id, {})):
        record = state.tasks.by_id[task_id]
        assert record.attempt is not None
        stop_collecting(state, record)
        state.tasks.drop_attempt(record)
        end(state, record, outcome, f"its output {known.label} could not be brought back: {message}")
    for file_id in sorted(known.files):
        file = state.files.by_id[file_id]
        for peer in file.bring:
            state.send(peer, FileBrought(file_id, None, message))
        file.bring.clear()


def bring(state: State, peer: actions.PeerKey, file: FileRecord) -> None:
    """A client asks for a file's content at a path that it can read."""
    known = None if file.object_id is None else state.files.objects[file.object_id]
    if file.failure is not None:
        state.send(peer, FileBrought(file.file_id, None, file.failure[1]))
    elif known is not None and known.archive is not None:
        message = f"{file.spec.label} is unpacked on workers only: fetch its archive instead"
        state.send(peer, FileBrought(file.file_id, None, message))
    elif known is None or not state.files.can_be_had(known):
        file.bring.append(peer)
        recovery.remake(state, file)
    elif file.path is not None:
        state.send(peer, FileBrought(file.file_id, file.path))
    else:
        file.bring.append(peer)
        staging.bring_to_manager(state, known, _bring_path(state, known))


def _bring_path(state: State, known: ObjectRecord) -> str:
    path = f"{state.settings.staging_dir}/brought-{known.object_id}"
    state.brought_paths[known.object_id] = path
    return path


def _answer_bring(state: State, file: FileRecord, path: str | None) -> None:
    if path is not None:
        for peer in file.bring:
            state.send(peer, FileBrought(file.file_id, path))
        file.bring.clear()


# --- the end, committed once ---------------------------------------------------------------------


def end(state: State, record: TaskRecord, outcome: Outcome, message: str) -> None:
    """End a task that has no attempt, with a result of the manager's own making."""
    assert record.attempt is None, f"task {record.task_id} still has an attempt"
    queue_s = max(0.0, (record.first_assigned_at or state.now) - record.submitted_at)
    result = TaskResult(record.task_id, outcome, message=message, attempts=record.attempts, queue_s=queue_s)
    commit(state, record, result)


def commit(state: State, record: TaskRecord, result: TaskResult) -> None:
    """The task has ended: tell its client, and those who wait for it."""
    state.tasks.move(record, _END_STATE.get(result.outcome, TaskState.FAILED))
    release_inputs(state, record)
    if record.recovering:
        _recovered(state, record, result)
        return
    record.outcome = result.outcome
    record.value = result.value
    state.record(
        TaskEnded(
            record.task_id, result.outcome, result.message, result.value, record.value_path,
            result.worker_id, result.task_s, result.queue_s,
        )
    )  # fmt: skip
    state.result(record, result)
    if result.outcome not in _END_STATE:
        _note_failure(state, record, result)
    _fail_missing_outputs(state, record, result)
    _wake_dependants(state, record, result)
    forget_if_unneeded(state, record)


def _note_failure(state: State, record: TaskRecord, result: TaskResult) -> None:
    worker = None if result.worker_id is None else state.workers.get(result.worker_id)
    log_path = "" if worker is None else worker.hello.log_path
    state.failures.append(
        Failure(record.task_id, record.spec.label, result.outcome, result.message, result.worker_id, log_path)
    )


def _recovered(state: State, record: TaskRecord, result: TaskResult) -> None:
    record.recovering = False
    _fail_missing_outputs(state, record, result)
    forget_if_unneeded(state, record)


def _fail_missing_outputs(state: State, record: TaskRecord, result: TaskResult) -> None:
    for mount in record.spec.outputs:
        file = state.files.by_id.get(mount.file_id)
        if file is not None and file.producer == record.task_id and file.object_id is None and file.failure is None:
            message = f"task {record.task_id} ({record.spec.label}), which makes {file.spec.label}, did not succeed"
            file_failed(state, file, Outcome.DEPENDENCY_FAILED, f"{message}: {result.message or result.outcome.value}")


def _wake_dependants(state: State, record: TaskRecord, result: TaskResult) -> None:
    if result.outcome is Outcome.SUCCESS:
        dispatch.requirement_met(state, record.task_id, record.dependants)
        return
    message = f"task {record.task_id} ({record.spec.label}), whose result it takes, ended with {result.outcome.value}"
    for task_id in sorted(record.dependants):
        dependant = state.tasks.by_id[task_id]
        if not dependant.state.ended and task_id not in state.doomed:
            state.doom(task_id, Outcome.DEPENDENCY_FAILED, f"{message}: {result.message}".rstrip(": "))


def fail_waiting(state: State, task_ids: set[TaskId], outcome: Outcome, message: str) -> None:
    for task_id in sorted(task_ids):
        record = state.tasks.by_id.get(task_id)
        if record is not None and not record.state.ended and record.attempt is None:
            state.doom(task_id, outcome, message)


# --- files come to exist, or will never ------------------------------------------------------------


def file_exists(state: State, file: FileRecord) -> None:
    """The file has content: tasks that waited for it go on, and so do files unpacked from it."""
    waiting, file.waiting = file.waiting, set()
    dispatch.requirement_met(state, file_requirement(file.file_id), waiting)
    if file.bring:
        assert file.object_id is not None
        known = state.files.objects[file.object_id]
        staging.bring_to_manager(state, known, _bring_path(state, known))


def file_failed(state: State, file: FileRecord, outcome: Outcome, message: str) -> None:
    """The file will never exist: whatever needs it fails."""
    file.failure = (outcome, message[: config.text_chars_max])
    state.record(FileFailed(file.file_id, message))
    for peer in file.bring:
        state.send(peer, FileBrought(file.file_id, None, message))
    file.bring.clear()
    waiting, file.waiting = file.waiting, set()
    fail_waiting(state, waiting, outcome, message)
    for file_id in file.unpacked:
        unpacked = state.files.by_id.get(file_id)
        if unpacked is not None and unpacked.failure is None:
            file_failed(state, unpacked, outcome, message)


def files_failed(state: State, known: ObjectRecord, outcome: Outcome, message: str) -> None:
    """What the manager serves is no longer what was declared: tasks that need it cannot run."""
    for worker in list(state.workers.values()):
        for record in [state.tasks.by_attempt[attempt_id] for attempt_id in list(worker.attempts)]:
            if record.state is TaskState.STAGED and known in dispatch.needed_objects(state, record):
                recovery.withdraw(state, record)
                state.doom(record.task_id, outcome, message)
    for file_id in sorted(known.files):
        file_failed(state, state.files.by_id[file_id], outcome, message)
    for record in [r for r in state.tasks.by_id.values() if r.state in (TaskState.WAITING, TaskState.READY)]:
        if any(state.files.by_id[f].failure is not None for f in input_files(record.spec)):
            state.doom(record.task_id, outcome, message)


# --- what is not needed any more -------------------------------------------------------------------


def hold_inputs(state: State, record: TaskRecord) -> None:
    """The task will need its inputs: they are not dropped before it has ended."""
    for file_id in input_files(record.spec):
        state.files.by_id[file_id].users += 1
    for task_id in record.spec.depends:
        state.tasks.by_id[task_id].dependants.add(record.task_id)


def release_inputs(state: State, record: TaskRecord) -> None:
    for file_id in input_files(record.spec):
        file = state.files.by_id.get(file_id)
        if file is not None:
            file.users -= 1
            file.waiting.discard(record.task_id)
            drop_if_unneeded(state, file)
    for task_id in record.spec.depends:
        dependency = state.tasks.by_id.get(task_id)
        if dependency is not None:
            dependency.dependants.discard(record.task_id)
            forget_if_unneeded(state, dependency)


def drop_if_unneeded(state: State, file: FileRecord) -> None:
    """Drop the copies of a file that nobody will ask for; at cache level `task`, those on workers."""
    if file.users or any(state.files.by_id[unpacked].users for unpacked in file.unpacked):
        return
    if file.forgotten:
        unbind(state, file)
        state.files.by_id.pop(file.file_id, None)
        archive = state.files.by_id.get(file.spec.source) if file.spec.source is not None else None
        if archive is not None:
            archive.unpacked.remove(file.file_id)
            drop_if_unneeded(state, archive)
        producer = None if file.producer is None else state.tasks.by_id.get(file.producer)
        if producer is not None:
            forget_if_unneeded(state, producer)
    elif file.spec.cache is CacheLevel.TASK and file.object_id is not None:
        known = state.files.objects[file.object_id]
        if not state.files.is_used(known) and (MANAGER in known.holders or known.data is not None or known.archive):
            _drop_copies(state, known)


def unbind(state: State, file: FileRecord) -> None:
    """The file stands for nothing; if it was the last one of its object, that is dropped everywhere."""
    known = state.files.unbind(file)
    file.path = None
    if known is not None:
        drop_object(state, known, keep_on_workers=file.spec.cache is CacheLevel.WORKER)


def drop_object(state: State, known: ObjectRecord, keep_on_workers: bool = False) -> None:
    for transfer in [t for t in state.transfers.active.values() if t.object_id == known.object_id]:
        staging.abandon(state, transfer)
    state.transfers.wanting.pop(known.object_id, None)
    if MANAGER in known.holders:
        known.holders.discard(MANAGER)
        state.do(actions.StopServing(known.object_id))
    brought = state.brought_paths.pop(known.object_id, None)
    if brought is not None:
        state.do(actions.RemoveFile(brought))
    if not keep_on_workers:
        _drop_copies(state, known)


def _drop_copies(state: State, known: ObjectRecord) -> None:
    for worker_id in sorted(state.workers):
        worker = state.workers[worker_id]
        if known.object_id in worker.holds or known.object_id in worker.making:
            worker.holds.discard(known.object_id)
            worker.making.discard(known.object_id)
            known.holders.discard(worker_id)
            state.tell_worker(worker_id, DropObjects((known.object_id,)))


def forget_if_unneeded(state: State, record: TaskRecord) -> None:
    """Forget an ended task whose result nobody takes and whose outputs need no remaking."""
    if not (record.state.ended and record.result_forgotten) or record.dependants or record.recovering:
        return
    if record.value_object is not None:
        known = state.files.objects.get(record.value_object)
        if known is not None and not known.files:
            del state.files.objects[record.value_object]
            drop_object(state, known)
        if record.value_path is not None:
            state.do(actions.RemoveFile(record.value_path))
        record.value_object = record.value_path = record.value_manifest = None
    record.value = None
    outputs = [state.files.by_id.get(mount.file_id) for mount in record.spec.outputs]
    if not any(file is not None and file.producer == record.task_id for file in outputs):
        state.tasks.remove(record)
        client = state.clients.get(record.client)
        if client is not None:
            client.tasks.discard(record.task_id)
