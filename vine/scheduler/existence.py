"""Does a file exist: what happens when it comes to, and when it never will."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vine import config
from vine.names import ObjectId, TaskId
from vine.scheduler import collecting, dispatch, keeping, minitasks, recovery, upkeep
from vine.scheduler.files import FileRecord, ObjectRecord, unpacked_id
from vine.scheduler.records import FileFailed
from vine.scheduler.tasks import TaskState, file_requirement
from vine.wire.messages import FileBrought
from vine.wire.parts import Outcome

if TYPE_CHECKING:
    from vine.scheduler.state import State


def file_exists(state: State, file: FileRecord) -> None:
    """The file has content: tasks that waited for it go on, and so do files unpacked from it."""
    waiting, file.waiting = file.waiting, set()
    dispatch.requirement_met(state, file_requirement(file.file_id), waiting)
    assert file.object_id is not None
    for file_id in file.unpacked:
        bind_unpacked(state, state.files.by_id[file_id], file.object_id)
    if file.spec.recipe is not None:
        minitasks.made(state, file)
    if file.recipes:
        minitasks.input_settled(state, file)
    clients, file.bring = file.bring, []
    for peer in clients:
        collecting.bring(state, peer, file)


def bind_unpacked(state: State, file: FileRecord, archive: ObjectId) -> None:
    """The file's archive has this content now, be it for the first time or made anew."""
    if file.object_id != unpacked_id(archive):
        upkeep.unbind(state, file)
        keeping.bind(state, file, unpacked_id(archive), None, archive=archive)
    file_exists(state, file)


def file_failed(state: State, file: FileRecord, outcome: Outcome, message: str) -> None:
    """The file will never exist: whatever needs it fails."""
    file.failure = (outcome, message[: config.text_chars_max])
    state.record(FileFailed(file.file_id, *file.failure))
    state.copies.files[file.file_id] = None
    for peer in file.bring:
        state.send(peer, FileBrought(file.file_id, None, file.failure[1]))
    file.bring.clear()
    waiting, file.waiting = file.waiting, set()
    fail_waiting(state, waiting, outcome, message)
    for file_id in file.unpacked:
        unpacked = state.files.by_id.get(file_id)
        if unpacked is not None and unpacked.failure is None:
            file_failed(state, unpacked, outcome, message)
    if file.spec.recipe is not None:
        minitasks.failed(state, file)
    if file.recipes:
        minitasks.input_settled(state, file)


def files_failed(state: State, known: ObjectRecord, outcome: Outcome, message: str) -> None:
    """What the manager serves is no longer what was declared: tasks that need it cannot run."""
    for worker in list(state.workers.values()):
        for record in list(worker.attempts.values()):
            if record.state is TaskState.STAGED and dispatch.takes(state, record, known):
                recovery.withdraw(state, record)
                state.doom(record.task_id, outcome, message)
    for file_id in sorted(known.files):
        file_failed(state, state.files.by_id[file_id], outcome, message)
    for record in [r for r in state.tasks.by_id.values() if r.state in (TaskState.WAITING, TaskState.READY)]:
        if any(state.files.by_id[f].failure is not None for f in record.inputs):
            state.doom(record.task_id, outcome, message)


def fail_waiting(state: State, task_ids: set[TaskId], outcome: Outcome, message: str) -> None:
    for task_id in sorted(task_ids):
        record = state.tasks.by_id.get(task_id)
        if record is not None and not record.state.ended and record.attempt is None:
            state.doom(task_id, outcome, message)
