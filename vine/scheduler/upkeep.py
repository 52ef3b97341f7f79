"""What is still needed: inputs are held for tasks, and copies and results that nobody will ask for are dropped."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vine.names import MANAGER, WorkerId
from vine.scheduler import actions, downloads, keeping, mates, minitasks, recovery, results, spreading, staging
from vine.scheduler.files import FileRecord, ObjectRecord
from vine.scheduler.tasks import TaskRecord, added, removed
from vine.wire.messages import FileBrought
from vine.wire.parts import CacheLevel, FileKind

if TYPE_CHECKING:
    from vine.scheduler.state import State


_OUTLIVING = frozenset({CacheLevel.WORKER, CacheLevel.FOREVER})  # what workers keep when no file stands for it


def hold_inputs(state: State, record: TaskRecord) -> None:
    """The task will need its inputs: they are not dropped before it has ended."""
    for file_id in record.inputs:
        state.files.by_id[file_id].users += 1
    for task_id in record.spec.depends:
        needed = state.tasks.by_id[task_id]
        needed.dependants = added(needed.dependants, record.task_id)


def release_inputs(state: State, record: TaskRecord) -> None:
    task_id, files = record.spec.task_id, state.files.by_id
    for file_id in record.inputs:
        file = files.get(file_id)
        if file is not None:
            file.users -= 1
            if file.waiting:
                file.waiting.discard(task_id)
            if not file.users or state.downloads.by_url:
                drop_if_unneeded(state, file)
    for task_id in record.spec.depends:
        dependency = state.tasks.by_id.get(task_id)
        if dependency is not None:
            dependency.dependants = removed(dependency.dependants, record.task_id)
            dependency.heirs = removed(dependency.heirs, record.task_id)
            forget_if_unneeded(state, dependency)


def drop_if_unneeded(state: State, file: FileRecord) -> None:
    """Drop the copies of a file that nobody will ask for; at cache level `task`, those on workers."""
    downloads.forgo(state, file)
    if file.users or (file.unpacked and any(state.files.by_id[unpacked].users for unpacked in file.unpacked)):
        return
    if file.forgotten and not file.unpacked:
        if file.bring:
            _bring_no_more(state, file)
        unbind(state, file)
        state.files.forget(file)
        unlink(state, file)
        if file.spec.recipe is not None:
            minitasks.dropped(state, file)
        state.copies.replicated.discard(file.file_id)
        archive = state.files.by_id.get(file.spec.source) if file.spec.source is not None else None
        if archive is not None and file.file_id in archive.unpacked:
            archive.unpacked.remove(file.file_id)
            drop_if_unneeded(state, archive)
        for task_id in file.earlier if file.producer is None else (*file.earlier, file.producer):
            if task_id in state.tasks.by_id:
                forget_if_unneeded(state, state.tasks.by_id[task_id])
    elif file.spec.cache is CacheLevel.TASK and file.object_id is not None:
        known = state.files.objects[file.object_id]
        if state.files.is_used(known) or _is_kept_for_clients(state, known):
            return
        if MANAGER in known.holders or known.data is not None or known.archive:
            drop_copies(state, known)
        elif _comes_again(state, known):
            _stop_transfers(state, known)
            drop_copies(state, known)


def unlink(state: State, file: FileRecord) -> None:
    """Its last use is over: what lies at its path goes, if its client has said so."""
    if file.spec.unlink and file.spec.path is not None:
        state.do(actions.Unlink(file.spec.path))


def _bring_no_more(state: State, file: FileRecord) -> None:
    for peer in file.bring:
        if peer in state.clients:
            state.send(peer, FileBrought(file.file_id, None, f"{file.spec.label} is not declared any more"))
    file.bring.clear()
    downloads.forgo(state, file)


def _is_kept_for_clients(state: State, known: ObjectRecord) -> bool:
    """Whether it, or what is unpacked from it, is broadcast, or is to have several copies."""
    files = [state.files.by_id[file_id] for file_id in known.files]
    files += [state.files.by_id[unpacked] for file in files for unpacked in file.unpacked]
    return any(file.copies > 1 or file.file_id in state.copies.broadcasts for file in files)


def _comes_again(state: State, known: ObjectRecord) -> bool:
    """Whether it is downloaded once more, should a task that is submitted later need it."""
    files = [state.files.by_id[file_id] for file_id in known.files]
    return not known.results and all(file.spec.url is not None and not file.bring for file in files)


def unbind(state: State, file: FileRecord) -> None:
    """The file stands for nothing; if it was the last one of its object, that is dropped everywhere."""
    before = state.files.object_of(file.file_id) if file.copies > 1 else None
    known = state.files.unbind(file)
    path, file.path = file.path, None
    if known is None and before is not None:
        keeping.appoint(state, before)
        state.copies.objects[before.object_id] = None
    if known is not None:
        drop_object(state, known, keep_on_workers=known.cache in _OUTLIVING)
        if path is not None and file.spec.kind is FileKind.BUFFER and path.startswith(f"{state.settings.staging_dir}/"):
            state.do(actions.RemoveFile(path, when_written=True))  # The client has written it there for us.


def drop_object(state: State, known: ObjectRecord, keep_on_workers: bool = False) -> None:
    _stop_transfers(state, known)
    state.copies.object_gone(known.object_id)
    if MANAGER in known.holders:
        keeping.manager_has_not(state, known)
        state.do(actions.StopServing(known.object_id))
    brought = state.brought_paths.pop(known.object_id, None)
    if brought is not None:
        state.do(actions.RemoveFile(brought))
    for worker_id in sorted(known.holders) if keep_on_workers else drop_copies(state, known):
        keeping.keep_unclaimed(state, state.workers[worker_id], known.object_id)
    state.transfers.dirty.pop(known.object_id, None)  # There is nothing left to be brought up to date.


def _stop_transfers(state: State, known: ObjectRecord) -> None:
    transfers, object_id = state.transfers, known.object_id
    if transfers.spreads(object_id):
        for transfer_id in list(transfers.receiving.get(object_id, {}).values()):
            staging.abandon(state, transfers.active[transfer_id], for_good=True)
        transfers.wanting.pop(object_id, None)
        mates.drop_object(state, object_id)
        spreading.dissolve(state, object_id)
    transfers.forgive(object_id=object_id)
    state.ranks.forget(object_id=object_id)


def drop_copies(state: State, known: ObjectRecord) -> list[WorkerId]:
    """They go, also those on their way, but for those that are kept for ever; returns who has these."""
    object_id, kept = known.object_id, []
    for worker_id in staging.places(state, known):
        worker = state.workers[worker_id]
        if object_id in worker.holds and keeping.is_kept_for_ever(worker, object_id):
            kept.append(worker_id)
        else:
            keeping.lost_copy(state, worker, known)
            staging.stop_bringing(state, worker_id, object_id)
    return kept


def forget_if_unneeded(state: State, record: TaskRecord) -> None:
    """Forget an ended task whose result nobody takes and whose outputs need no remaking."""
    if not (record.state.ended and record.result_forgotten) or record.dependants or record.recovering:
        return
    if record.heirs and not record.generation:
        return  # Made from other things than remote results: it is kept for those that are made from it.
    if record.value_object is not None:
        drop_value(state, record)
    record.value = None
    if record.heirs or (record.spec.outputs and _makes_files(state, record)):
        return
    state.tasks.remove(record)
    results.settle(state, record)


def _makes_files(state: State, record: TaskRecord) -> bool:
    """Whether the task must run again, should what it has made be lost."""
    task_id, outputs = record.task_id, [state.files.by_id.get(mount.file_id) for mount in record.spec.outputs]
    return any(file is not None and (file.producer == task_id or task_id in file.earlier) for file in outputs)


def drop_value(state: State, record: TaskRecord) -> None:
    """The task's large value is not needed: drop the object, unless other tasks left the same bytes."""
    if record.value_object is None:
        return
    known = state.files.objects[record.value_object]
    known.results.discard(record.task_id)
    if not known.results and not known.files:
        del state.files.objects[record.value_object]
        drop_object(state, known)
    elif MANAGER in known.holders and known.results:
        others = [state.tasks.by_id[task_id] for task_id in sorted(known.results)]
        path = next((other.value_path for other in others if other.value_path is not None), None)
        if path is not None and known.manifest is not None:
            state.do(actions.Serve(known.object_id, known.manifest, path, None))
        elif record.value_path is not None and not known.files:
            keeping.manager_has_not(state, known)  # The others' are on workers only.
            state.do(actions.StopServing(known.object_id))
            recovery.replica_gone(state, known)
    if record.value_path is not None:
        state.do(actions.RemoveFile(record.value_path, when_written=True))
    record.value_object = record.value_path = None
