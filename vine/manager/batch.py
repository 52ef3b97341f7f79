"""What do the records of one group commit amount to: one row for each task, attempt and file that they touch."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import msgspec

from vine import config
from vine.manager import schema
from vine.manager.schema import Row
from vine.names import AttemptId, ObjectId, TaskId
from vine.scheduler.records import (
    AttemptAssigned,
    AttemptEnded,
    AttemptStarted,
    CancelAsked,
    CategorySet,
    ClientJoined,
    ClientLeft,
    FileDeclared,
    FileFailed,
    FilesForgotten,
    HostsSet,
    LibraryInstalled,
    LibraryRemoved,
    ObjectBound,
    Record,
    ResultBound,
    ResultLost,
    ResultsForgotten,
    TaskAccepted,
    TaskEnded,
    TaskEndedAgain,
    TaskReady,
    TaskWaits,
    TransferEnded,
    WorkerJoined,
    WorkerLeft,
)
from vine.wire.parts import HostStanding, Manifest, Outcome

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
        self._forgotten: dict[str, list[int]] = {"task": [], "file": []}
        self._others: list[tuple[str, tuple[object, ...]]] = []
        self._transfers: list[tuple[object, ...]] = []
        self._statistics: list[tuple[float, str]] = []
        self._on: dict[type, Callable[[Any, float], None]] = {
            TaskAccepted: self._task_accepted,
            TaskReady: self._task_ready,
            TaskWaits: self._task_waits,
            TaskEnded: self._task_ended,
            TaskEndedAgain: self._task_ended_again,
            AttemptAssigned: self._attempt_assigned,
            AttemptStarted: self._attempt_started,
            AttemptEnded: self._attempt_ended,
            ResultBound: self._result_bound,
            CancelAsked: self._cancel_asked,
            ResultLost: self._result_lost,
            ResultsForgotten: self._results_forgotten,
            FileDeclared: self._file_declared,
            FileFailed: self._file_failed,
            FilesForgotten: self._files_forgotten,
            ClientJoined: self._client_joined,
            ClientLeft: self._client_left,
            ObjectBound: self._object_bound,
            CategorySet: self._category_set,
            HostsSet: self._hosts_set,
            LibraryInstalled: self._library_installed,
            LibraryRemoved: self._library_removed,
            TransferEnded: self._transfer_ended,
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
        for kind, numbers in self._forgotten.items():
            rows = [(kind, first, last) for first, last in _ranges(numbers)]
            connection.executemany("INSERT INTO forgotten VALUES (?, ?, ?)", rows)
        for statement, values in self._others:
            connection.execute(statement, values)
        if self._transfers:
            connection.executemany("INSERT INTO transfers VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", self._transfers)
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
        result = record.result
        row = self._task(result.task_id)
        row["state"] = _END_STATE.get(result.outcome, "failed")
        row["ended_s"] = at_s
        row["outcome"] = result.outcome.value
        if result.message:
            row["message"] = result.message
        row["result"] = _encode(result)
        if record.value_path is not None:
            row["value_path"] = record.value_path
        if result.worker_id is not None:
            row["worker_id"] = result.worker_id

    def _task_ended_again(self, record: TaskEndedAgain, at_s: float) -> None:
        row = self._task(record.task_id)
        row["state"] = _END_STATE.get(record.outcome, "failed")
        if record.instead is not None:
            row["result"] = _encode(record.instead)
            row["generations"] = 0

    def _result_bound(self, record: ResultBound, at_s: float) -> None:
        self._object(record.object_id, record.manifest)
        row = self._task(record.task_id)
        row["value_object"] = record.object_id
        row["generations"] = record.generations
        if record.value_path is not None:
            row["value_path"] = record.value_path

    def _result_lost(self, record: ResultLost, at_s: float) -> None:
        self._task(record.task_id)["generations"] = 0
        self._forgotten["task"].append(record.task_id)

    def _cancel_asked(self, record: CancelAsked, at_s: float) -> None:
        self._task(record.task_id)["cancel"] = 1

    def _results_forgotten(self, record: ResultsForgotten, at_s: float) -> None:
        self._forgotten["task"] += record.task_ids

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
        row = self._file(record.file_id)
        row["failure"] = record.message
        row["failure_outcome"] = record.outcome.value

    def _files_forgotten(self, record: FilesForgotten, at_s: float) -> None:
        self._forgotten["file"] += record.file_ids

    def _object_bound(self, record: ObjectBound, at_s: float) -> None:
        self._object(record.object_id, record.manifest)
        row = self._file(record.file_id)
        row["object_id"] = record.object_id
        if record.attempt is not None:
            row["attempt_epoch"], row["attempt_counter"] = record.attempt
        if record.signature is not None:
            row["signature"] = _encode(record.signature)

    def _object(self, object_id: ObjectId, manifest: Manifest) -> None:
        if object_id not in self._objects:
            self._objects[object_id] = {"object_id": object_id, "manifest": _encode(manifest)}

    # --- clients ---------------------------------------------------------------------------------

    def _client_joined(self, record: ClientJoined, at_s: float) -> None:
        values = (record.index, record.client_id, record.key_digest, at_s)
        self._others.append(("INSERT OR REPLACE INTO clients VALUES (?, ?, ?, ?, NULL)", values))

    def _client_left(self, record: ClientLeft, at_s: float) -> None:
        self._others.append(("UPDATE clients SET left_s = ? WHERE client_index = ?", (at_s, record.index)))

    # --- categories and hosts ----------------------------------------------------------------------------

    def _category_set(self, record: CategorySet, at_s: float) -> None:
        values = (record.client_index, record.spec.name, _encode(record.spec))
        self._others.append(("INSERT OR REPLACE INTO categories VALUES (?, ?, ?)", values))

    def _hosts_set(self, record: HostsSet, at_s: float) -> None:
        for name in record.hostnames:
            if record.standing is HostStanding.OPEN:
                self._others.append(("DELETE FROM closed_hosts WHERE hostname = ?", (name,)))
            else:
                values = (name, record.standing.value, record.for_s, record.until_s)
                self._others.append(("INSERT OR REPLACE INTO closed_hosts VALUES (?, ?, ?, ?)", values))

    # --- libraries -------------------------------------------------------------------------------

    def _library_installed(self, record: LibraryInstalled, at_s: float) -> None:
        values = (record.spec.file_id, _encode(record.spec))
        self._others.append(("INSERT OR REPLACE INTO libraries VALUES (?, ?, 0)", values))

    def _library_removed(self, record: LibraryRemoved, at_s: float) -> None:
        self._others.append(("UPDATE libraries SET removed = 1 WHERE file_id = ?", (record.file_id,)))

    # --- transfers -------------------------------------------------------------------------------

    def _transfer_ended(self, record: TransferEnded, at_s: float) -> None:
        self._transfers.append(
            (
                *record.transfer_id, record.object_id, ", ".join(dict.fromkeys(record.sources)), record.destination,
                at_s, record.seconds, record.received_bytes, record.received_bytes_from_manager, record.fault,
                record.is_download,
            )
        )  # fmt: skip

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


def _ranges(numbers: Iterable[int]) -> Iterator[tuple[int, int]]:
    """The runs of consecutive numbers: what is forgotten together was mostly numbered together."""
    first = last = None
    for number in sorted(numbers):
        if first is not None and last is not None and number <= last + 1:
            last = number
            continue
        if first is not None and last is not None:
            yield first, last
        first = last = number
    if first is not None and last is not None:
        yield first, last
