"""What do the records of one group commit amount to: one row for each task, attempt and file that they touch."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import Any

import msgspec

from vine import config
from vine.manager import schema
from vine.manager.schema import Row
from vine.names import AttemptId, TaskId
from vine.scheduler.records import (
    AttemptAssigned,
    AttemptEnded,
    AttemptStarted,
    CategorySet,
    FileDeclared,
    FileFailed,
    HostsSet,
    LibraryInstalled,
    LibraryRemoved,
    ObjectBound,
    Record,
    TaskAccepted,
    TaskEnded,
    TaskReady,
    TaskWaits,
    WorkerJoined,
    WorkerLeft,
)
from vine.wire.parts import HostStanding, Outcome

_TASKS = schema.Upsert("tasks", ["task_id"])
_ATTEMPTS = schema.Upsert("attempts", ["epoch", "counter"])
_FILES = schema.Upsert("files", ["file_id"])
_OBJECTS = schema.Upsert("objects", ["object_id"])

_END_STATE = {Outcome.SUCCESS: "done", Outcome.CANCELLED: "cancelled"}

_encode = msgspec.msgpack.Encoder().encode


class Batch:
    """Folds records, in order, into rows; `write` puts them down, within the caller's transaction."""

    def __init__(self, task_of: dict[AttemptId, TaskId]) -> None:
        self._task_of = task_of  # of every attempt that has not ended; shared by a run's batches
        self._tasks: dict[int, Row] = {}
        self._attempts: dict[AttemptId, Row] = {}
        self._files: dict[int, Row] = {}
        self._objects: dict[str, Row] = {}
        self._others: list[tuple[str, tuple[object, ...]]] = []
        self._statistics: list[tuple[float, str]] = []
        self._on: dict[type, Callable[[Any, float], None]] = {
            TaskAccepted: self._task_accepted,
            TaskReady: self._task_ready,
            TaskWaits: self._task_waits,
            TaskEnded: self._task_ended,
            AttemptAssigned: self._attempt_assigned,
            AttemptStarted: self._attempt_started,
            AttemptEnded: self._attempt_ended,
            FileDeclared: self._file_declared,
            FileFailed: self._file_failed,
            ObjectBound: self._object_bound,
            CategorySet: self._category_set,
            HostsSet: self._hosts_set,
            LibraryInstalled: self._library_installed,
            LibraryRemoved: self._library_removed,
            WorkerJoined: self._worker_joined,
            WorkerLeft: self._worker_left,
        }

    def add(self, record: Record, at_s: float) -> None:
        self._on[type(record)](record, at_s)

    def write(self, connection: sqlite3.Connection) -> None:
        _OBJECTS.write(connection, self._objects.values())
        _FILES.write(connection, self._files.values())
        _TASKS.write(connection, self._tasks.values())
        _ATTEMPTS.write(connection, self._attempts.values())
        for statement, values in self._others:
            connection.execute(statement, values)
        if self._statistics:
            connection.executemany("INSERT INTO statistics (at_s, snapshot) VALUES (?, ?)", self._statistics)
            forget = "DELETE FROM statistics WHERE row <= (SELECT max(row) FROM statistics) - ?"
            connection.execute(forget, (config.statistics_rows_kept,))

    def add_statistics(self, snapshot: dict[str, Any], at_s: float) -> None:
        self._statistics.append((at_s, msgspec.json.encode(snapshot).decode()))

    # --- tasks -----------------------------------------------------------------------------------

    def _task(self, task_id: TaskId) -> Row:
        row = self._tasks.get(task_id)
        if row is None:
            row = self._tasks[task_id] = {"task_id": task_id}
        return row

    def _task_accepted(self, record: TaskAccepted, at_s: float) -> None:
        row = self._task(record.spec.task_id)
        row["state"] = "waiting"
        row["accepted_s"] = at_s
        row["spec"] = _encode(record.spec)

    def _task_ready(self, record: TaskReady, at_s: float) -> None:
        row = self._task(record.task_id)
        row["state"] = "ready"
        row["ready_s"] = at_s

    def _task_waits(self, record: TaskWaits, at_s: float) -> None:
        self._task(record.task_id)["state"] = "waiting"

    def _task_ended(self, record: TaskEnded, at_s: float) -> None:
        row = self._task(record.task_id)
        row["state"] = _END_STATE.get(record.outcome, "failed")
        row["ended_s"] = at_s
        row["outcome"] = record.outcome.value
        row["message"] = record.message
        row["task_s"] = record.task_s
        row["queue_s"] = record.queue_s
        if record.value is not None:
            row["value"] = record.value
        if record.value_path is not None:
            row["value_path"] = record.value_path
        if record.worker_id is not None:
            row["worker_id"] = record.worker_id

    # --- attempts --------------------------------------------------------------------------------

    def _attempt(self, attempt: AttemptId) -> Row:
        row = self._attempts.get(attempt)
        if row is None:
            row = self._attempts[attempt] = {"epoch": attempt.epoch, "counter": attempt.counter}
        return row

    def _attempt_assigned(self, record: AttemptAssigned, at_s: float) -> None:
        row = self._attempt(record.attempt)
        row["task_id"] = record.task_id
        row["worker_id"] = record.worker_id
        row["assigned_s"] = at_s
        self._task_of[record.attempt] = record.task_id
        self._task(record.task_id)["state"] = "staged"

    def _attempt_started(self, record: AttemptStarted, at_s: float) -> None:
        self._attempt(record.attempt)["started_s"] = at_s
        task_id = self._task_of.get(record.attempt)
        if task_id is not None:
            self._task(task_id)["state"] = "running"

    def _attempt_ended(self, record: AttemptEnded, at_s: float) -> None:
        row, times, used = self._attempt(record.attempt), record.times, record.measured
        row["ended_s"] = at_s
        row["outcome"] = record.outcome.value
        row["message"] = record.message
        row["stage_in_s"] = times.stage_in_s
        row["wait_s"] = times.wait_s
        row["run_s"] = times.run_s
        row["collect_s"] = times.collect_s
        if used is not None:
            row["cpu_s"] = used.cpu_s
            row["memory_mb"] = used.memory_mb
            row["disk_mb"] = used.disk_mb
        task_id = self._task_of.pop(record.attempt, None)
        if task_id is not None:
            task = self._task(task_id)
            task["state"] = "done" if "outcome" in task else "collecting"

    # --- files -----------------------------------------------------------------------------------

    def _file(self, file_id: int) -> Row:
        row = self._files.get(file_id)
        if row is None:
            row = self._files[file_id] = {"file_id": file_id}
        return row

    def _file_declared(self, record: FileDeclared, at_s: float) -> None:
        row = self._file(record.spec.file_id)
        row["declared_s"] = at_s
        row["spec"] = _encode(record.spec)

    def _file_failed(self, record: FileFailed, at_s: float) -> None:
        self._file(record.file_id)["failure"] = record.message

    def _object_bound(self, record: ObjectBound, at_s: float) -> None:
        if record.object_id not in self._objects:
            self._objects[record.object_id] = {"object_id": record.object_id, "manifest": _encode(record.manifest)}
        row = self._file(record.file_id)
        row["object_id"] = record.object_id
        if record.attempt is not None:
            row["attempt_epoch"], row["attempt_counter"] = record.attempt

    # --- categories and hosts ----------------------------------------------------------------------------

    def _category_set(self, record: CategorySet, at_s: float) -> None:
        values = (record.client_index, record.spec.name, _encode(record.spec))
        self._others.append(("INSERT OR REPLACE INTO categories VALUES (?, ?, ?)", values))

    def _hosts_set(self, record: HostsSet, at_s: float) -> None:
        for name in record.hostnames:
            if record.standing is HostStanding.OPEN:
                self._others.append(("DELETE FROM closed_hosts WHERE hostname = ?", (name,)))
            else:
                values = (name, record.standing.value, record.until_s)
                self._others.append(("INSERT OR REPLACE INTO closed_hosts VALUES (?, ?, ?)", values))

    # --- libraries -------------------------------------------------------------------------------

    def _library_installed(self, record: LibraryInstalled, at_s: float) -> None:
        values = (record.spec.file_id, _encode(record.spec))
        self._others.append(("INSERT OR REPLACE INTO libraries VALUES (?, ?)", values))

    def _library_removed(self, record: LibraryRemoved, at_s: float) -> None:
        self._others.append(("DELETE FROM libraries WHERE file_id = ?", (record.file_id,)))

    # --- workers ---------------------------------------------------------------------------------

    def _worker_joined(self, record: WorkerJoined, at_s: float) -> None:
        has = record.capacity
        statement = (
            "INSERT INTO workers (worker_id, hostname, cores, memory_mb, disk_mb, gpus, log_path, joined_s)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
        )
        values = (record.worker_id, record.hostname, has.cores, has.memory_mb, has.disk_mb, has.gpus, record.log_path)
        self._others.append((statement, (*values, at_s)))

    def _worker_left(self, record: WorkerLeft, at_s: float) -> None:
        statement = "UPDATE workers SET left_s = ?, reason = ? WHERE worker_id = ? AND left_s IS NULL"
        self._others.append((statement, (at_s, record.reason, record.worker_id)))
