"""Does what the journal says of a run agree with what the scheduler knows, whenever it is asked?"""

from __future__ import annotations

import sqlite3
from pathlib import Path

from vine.manager.batch import Batch
from vine.manager.journal import begin_epoch
from vine.manager.replay import read_run
from vine.names import AttemptId, RunId, TaskId
from vine.scheduler.records import FileDeclared, Record, TaskAccepted
from vine.scheduler.replayed import ReplayedRun, ReplayedTask
from vine.scheduler.state import State
from vine.scheduler.tasks import TaskRecord, TaskState

_NOWHERE = Path("in-memory")
_TOLD = {state: {state.value} for state in TaskState}
_TOLD[TaskState.READY].add("waiting")  # What is ready as it is accepted is not told of: readers of the journal see it.


class MemoryJournal:
    """The true records, tables and replay, on a database in memory: it outlives the managers of a run."""

    def __init__(self) -> None:
        self._connection = sqlite3.connect(":memory:", isolation_level=None)
        self._waiting: list[tuple[float, Record]] = []
        self._task_of: dict[AttemptId, TaskId] = {}
        self._named: set[object] = set()  # tasks and files of this epoch
        self.records = 0

    def begin(self, at_s: float) -> int:
        """Another manager writes from now on; returns its epoch."""
        self._waiting.clear()
        self._task_of.clear()
        self._named.clear()
        return begin_epoch(self._connection, _NOWHERE, RunId("simulated"), at_s)

    def record(self, records: tuple[Record, ...], at_s: float) -> None:
        self._waiting += [(at_s, record) for record in records]
        self.records += len(records)
        for record in records:
            if isinstance(record, TaskAccepted):
                self._named.add(("task", record.spec.task_id))
            elif isinstance(record, FileDeclared):
                self._named.add(("file", record.spec.file_id))

    def commit(self, records: int | None = None) -> None:
        """One transaction with all that waits, or with so many records of it."""
        taken, self._waiting = self._waiting[:records], self._waiting[records:] if records is not None else []
        batch = Batch(self._task_of)
        for at_s, record in taken:
            batch.add(record, at_s)
        self._connection.execute("BEGIN")
        batch.write(self._connection)
        self._connection.execute("COMMIT")

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    @property
    def open_attempts(self) -> int:
        """Those that have not ended, as the writer remembers them."""
        return len(self._task_of)

    def replay(self) -> ReplayedRun:
        return read_run(self._connection)

    def compare(self, state: State) -> None:
        """AssertionError where a manager that began now would know other things than the one that wrote this."""
        self.commit()
        replayed = self.replay()
        for task_id, record in state.tasks.by_id.items():
            assert task_id in replayed.tasks, f"task {task_id} was accepted, and the journal does not know it"
            _compare_task(record, replayed.tasks[task_id])
        owed = [t for t, task in replayed.tasks.items() if task.result is None and ("task", t) in self._named]
        forgotten = [task_id for task_id in owed if task_id not in state.tasks.by_id]
        assert not forgotten, f"the journal owes results of {forgotten}, and the manager does not know them"
        for file_id, file in state.files.by_id.items():
            found = replayed.files[file_id]
            assert found.spec == file.spec
            assert file.object_id in (None, found.object_id) or found.object_id is None, f"file {file_id}: {found}"
            if file.object_id is not None and file.spec.data is None and state.files.objects[file.object_id].manifest:
                assert found.object_id == file.object_id, f"file {file_id} is bound to {file.object_id}, not {found}"
                assert replayed.manifests[file.object_id] == state.files.objects[file.object_id].manifest
            if file.failure is not None:
                assert found.failure is not None, f"file {file_id} has failed, and the journal does not know it"
        assert set(state.workers) <= set(replayed.workers), "a worker is here, and the journal says that it has left"
        installed = {number for number, library in state.libraries.items() if not library.removed}
        assert installed <= set(replayed.libraries), "a library is not in the journal"
        assert replayed.closed_hosts.keys() >= state.closed_hosts.keys()


def _compare_task(record: TaskRecord, replayed: ReplayedTask) -> None:
    name = f"task {record.task_id}"
    assert replayed.spec == record.spec, f"{name}: the journal has another task"
    told = replayed.result
    assert (told and told.outcome) == record.outcome, f"{name}: {record.outcome}, and the journal says {told}"
    if told is not None:
        assert told.message == record.message, f"{name}: the journal has another message"
        if record.value is not None:
            assert told.value == record.value, f"{name}: the journal has another value"
    else:
        assert replayed.state in _TOLD[record.state], f"{name} is {record.state}, and {replayed.state} in the journal"
    attempt = record.attempt
    running = () if attempt is None or attempt.result is not None else ((attempt.attempt_id, attempt.worker),)
    written = {(open_attempt.attempt_id, open_attempt.worker_id) for open_attempt in replayed.attempts}
    assert set(running) == written, f"{name} has {running}, and in the journal {written}"
