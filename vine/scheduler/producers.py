"""Which task makes a file, where more than one was to: the last of those that have not failed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vine.names import TaskId
from vine.scheduler import downloads, recovery, upkeep
from vine.scheduler.files import FileRecord
from vine.scheduler.tasks import TaskRecord, TaskState

if TYPE_CHECKING:
    from vine.scheduler.state import State

_FAILED = frozenset({TaskState.FAILED, TaskState.CANCELLED})


def name(state: State, file: FileRecord, task_id: TaskId, fails: bool) -> None:
    """A task is to make the file; not one that fails at once or has failed, if another has made it or still may."""
    if file.producer == task_id:
        return  # It names the file for its success, and for its failure.
    before = None if file.producer is None else state.tasks.by_id.get(file.producer)
    if before is not None and before.state not in _FAILED:
        if fails:
            return
        file.earlier += (before.task_id,)
    file.producer = task_id


def maker(state: State, file: FileRecord) -> TaskRecord | None:
    """Which task makes a file that is lost: one that has made it before, while the last one waits.

    That may be for what is to be made of this very file.
    """
    last = None if file.producer is None else state.tasks.by_id.get(file.producer)
    if last is None or last.state is not TaskState.WAITING or last.recovering:
        return last
    earlier = (state.tasks.by_id.get(task_id) for task_id in reversed(file.earlier))
    made = (each for each in earlier if each is not None and (each.recovering or each.state is TaskState.DONE))
    return next((each for each in made if each.recovering or recovery.can_run_again(state, each)), last)


def has_made(state: State, file: FileRecord, task_id: TaskId) -> None:
    """Nobody will ask again what those made that came before it."""
    if task_id == file.producer:
        dropped, file.earlier = file.earlier, ()
    elif task_id in file.earlier:
        index = file.earlier.index(task_id)
        dropped, file.earlier = file.earlier[:index], file.earlier[index:]
    else:
        return
    for each in dropped:
        if each in state.tasks.by_id:
            upkeep.forget_if_unneeded(state, state.tasks.by_id[each])


def has_failed(state: State, file: FileRecord, task_id: TaskId) -> bool:
    """Whether the file is left to an earlier one, which has made it and can do so again, or will make it."""
    if task_id != file.producer or not file.earlier:
        file.earlier = tuple(each for each in file.earlier if each != task_id)
        return False
    file.producer, file.earlier = file.earlier[-1], file.earlier[:-1]
    if downloads.is_waited_for(state, file):
        recovery.remake(state, file)
    return True
