"""In what may the tables of a manager that begins now differ from those of the one that lives, and what follows?

What is over at once at a restart, a living manager may see only when it is its turn: a task that is being cancelled,
one of which an input has failed meanwhile, and what was lost for good while nobody needed it at that moment.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from vine.names import FileId, TaskId
from vine.scheduler import appointments
from vine.scheduler.files import FileRecord
from vine.scheduler.state import State
from vine.scheduler.tasks import TaskRecord, TaskState, input_files
from vine.wire.parts import Outcome

ALL, GONE = "all", "gone"
_NOTHING = frozenset[str]()
_ROUNDING_S = 1e-3  # An end time may be due at this very moment.
_UNBEGUN = (TaskState.WAITING, TaskState.READY)


def has_failed(record: TaskRecord) -> bool:
    """Whether it can never run again: not if it only failed when it had ended before, and ran once more."""
    return record.outcome not in (None, Outcome.SUCCESS)


class Leeway:
    def __init__(self, live: State, restored: State) -> None:
        self._live, self._restored = live, restored
        self.tasks: set[TaskId] = set()  # end at once, or their results are gone
        self.files: set[FileId] = set()  # fail at once
        self._takers: dict[FileId, list[TaskRecord]] = defaultdict(list)
        self._dependants: dict[TaskId, list[TaskRecord]] = defaultdict(list)
        self._made_of: dict[FileId, list[FileRecord]] = defaultdict(list)
        ends, fails = self._first()
        if ends or fails:
            self._index()
            self._spread(ends, fails)
        _, self._released = self._needed(self.tasks, self.files)
        # Of tasks that run again a restart knows that they have ended: they hold nothing before they are needed again.
        again = {record.task_id for record in live.tasks.by_id.values() if record.recovering}
        self._held_tasks, self._held_files = self._needed(self.tasks | again, self.files)

    def of(self, table: str, key: Any) -> frozenset[str]:
        """Which fields of a row may differ; `ALL` of them, or the row may be `GONE`."""
        if table == "tasks":
            return self._of_task(key)
        return self._of_file(key) if table == "files" else _NOTHING

    def _of_task(self, task_id: TaskId) -> frozenset[str]:
        record = self._live.tasks.by_id[task_id]
        if task_id in self.tasks:
            return frozenset((ALL,))
        # It is kept only for such ones, and goes with them, or for what nobody can make again.
        goes = record.result_forgotten and (task_id in self._held_tasks or has_failed(record))
        return frozenset((GONE, "value", "path")) if goes else _NOTHING

    def _of_file(self, file_id: FileId) -> frozenset[str]:
        file = self._live.files.by_id[file_id]
        if file_id in self.files:
            return frozenset((ALL,))
        gone = (GONE,) if file_id in self._held_files and file.forgotten else ()
        return frozenset((*gone, "producer")) if self._is_made_anew(file) else frozenset(gone)

    def own_tasks(self) -> set[TaskId]:
        """The tasks of lost files that were the same as others before, and have to be made by their own now."""
        anew = (file.spec.recipe for file in self._live.files.by_id.values() if self._is_made_anew(file))
        return {recipe.task_id for recipe in anew if recipe is not None}

    def keeps_users(self, file_id: FileId) -> bool:
        """Whether just as many tasks need it, those that run again not counted."""
        return file_id not in self._released

    def is_lost(self, file: FileRecord) -> bool:
        """Whether nobody has the content that it stands for: it is made again when a task that takes it has its turn,
        and by a restart at once."""
        return file.object_id is not None and not self._live.files.is_available(file.file_id)

    def _is_made_anew(self, file: FileRecord) -> bool:
        return self.is_lost(file) and file.spec.recipe is not None and file.producer is None

    def _first(self) -> tuple[list[TaskRecord], list[FileRecord]]:
        live, restored = self._live, self._restored
        ends = [record for record in live.tasks.by_id.values() if self._ends(record) or self._result_is_gone(record)]
        there = restored.files.by_id
        fails = [
            file
            for file_id, file in live.files.by_id.items()
            if file.failure is None and self.is_lost(file) and file_id in there and there[file_id].failure is not None
        ]
        return ends, fails

    def _ends(self, record: TaskRecord) -> bool:
        if record.state.ended:
            return False
        files = self._live.files.by_id
        doomed = record.state in _UNBEGUN and any(files[file_id].failure for file_id in record.inputs)
        ends_in_s = appointments.ends_in(self._live, record)
        return record.cancel_requested or doomed or (ends_in_s is not None and ends_in_s <= _ROUNDING_S)

    def _result_is_gone(self, record: TaskRecord) -> bool:
        there = self._restored.tasks.by_id.get(record.task_id)
        known = None if record.value_object is None else self._live.files.objects[record.value_object]
        lost = record.generation and (known is None or not self._live.files.can_be_had(known))
        return bool(lost) and not record.result_forgotten and (there is None or there.result_forgotten)

    def _index(self) -> None:
        for record in self._live.tasks.by_id.values():
            for file_id in record.inputs:
                self._takers[file_id].append(record)
            for task_id in record.spec.depends:
                self._dependants[task_id].append(record)
        for file in self._live.files.by_id.values():
            for made_of in _made_of(file):
                self._made_of[made_of].append(file)

    def _spread(self, ends: list[TaskRecord], fails: list[FileRecord]) -> None:
        """Who takes the result of what ends, or a file that fails, ends with it; and what it was to make fails."""
        files = self._live.files.by_id
        while ends or fails:
            if ends:
                record = ends.pop()
                if record.task_id in self.tasks:
                    continue
                self.tasks.add(record.task_id)
                outputs = [files[mount.file_id] for mount in record.spec.outputs if mount.file_id in files]
                fails += [file for file in outputs if file.producer == record.task_id and not self._is_here(file)]
                ends += [taker for taker in self._dependants[record.task_id] if not taker.state.ended]
                continue
            file = fails.pop()
            if file.file_id in self.files:
                continue
            self.files.add(file.file_id)
            fails += self._made_of[file.file_id]
            for taker in self._takers[file.file_id]:
                if not taker.state.ended:
                    ends.append(taker)
                else:  # It cannot run again.
                    outputs = [files[mount.file_id] for mount in taker.spec.outputs if mount.file_id in files]
                    fails += [output for output in outputs if not self._is_here(output)]

    def _is_here(self, file: FileRecord) -> bool:
        return self._live.files.is_available(file.file_id)

    def _needed(self, tasks: Iterable[TaskId], files: Iterable[FileId]) -> tuple[set[TaskId], set[FileId]]:
        """These, and all that they are made of."""
        by_id, declared = self._live.tasks.by_id, self._live.files.by_id
        needed: tuple[set[TaskId], set[FileId]] = (set(), set())
        unseen_tasks, unseen_files = list(tasks), list(files)
        while unseen_tasks or unseen_files:
            if unseen_tasks:
                task_id = unseen_tasks.pop()
                if task_id in by_id and task_id not in needed[0]:
                    needed[0].add(task_id)
                    unseen_tasks += by_id[task_id].spec.depends
                    unseen_files += by_id[task_id].inputs
                continue
            file_id = unseen_files.pop()
            if file_id in declared and file_id not in needed[1]:
                needed[1].add(file_id)
                file = declared[file_id]
                unseen_files += _made_of(file)
                unseen_tasks += file.earlier if file.producer is None else (*file.earlier, file.producer)
        return needed


def _made_of(file: FileRecord) -> tuple[FileId, ...]:
    archive = () if file.spec.source is None else (file.spec.source,)
    return archive if file.spec.recipe is None else (*archive, *input_files(file.spec.recipe))
