"""What do the records of one group commit amount to: one row for each task, attempt and file that they touch."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import msgspec

from vine import config
from vine.manager import schema
from vine.manager.lives import Given, Lives
from vine.manager.schema import Row
from vine.names import AttemptId, ObjectId
from vine.scheduler.records import (
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
    TransferEnded,
    WorkerJoined,
    WorkerLeft,
)
from vine.wire.parts import HostStanding, Manifest

_FILES = schema.Table("files", ["file_id"])
_OBJECTS = schema.Table("objects", ["object_id"])

_encode = msgspec.msgpack.Encoder().encode


class Batch:
    """Folds records, in order, into rows; `write` puts them down, within the caller's transaction."""

    def __init__(self, attempts_open: dict[AttemptId, Given]) -> None:
        self._lives = Lives(attempts_open)
        self._files: dict[int, Row] = {}
        self._objects: dict[str, Row] = {}
        self._forgotten: dict[str, list[int]] = {"task": [], "file": []}
        self._others: list[tuple[str, tuple[object, ...]]] = []
        self._transfers: list[tuple[object, ...]] = []
        self._statistics: list[tuple[float, str]] = []
        self._on: dict[type, Callable[[Any, float], None]] = {
            **self._lives.on,
            ResultBound: self._result_bound,
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

    def add(self, records: Iterable[Record], at_s: float) -> None:
        on = self._on
        for record in records:
            on[type(record)](record, at_s)

    def write(self, connection: sqlite3.Connection) -> None:
        _OBJECTS.write(connection, self._objects.values())
        _FILES.write(connection, self._files.values())
        self._lives.write(connection)
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

    def _result_bound(self, record: ResultBound, at_s: float) -> None:
        self._object(record.object_id, record.manifest)
        row = self._lives.standing(record.task_id)
        row["value_object"] = record.object_id
        row["generations"] = record.generations
        if record.value_path is not None:
            row["value_path"] = record.value_path

    def _result_lost(self, record: ResultLost, at_s: float) -> None:
        self._lives.standing(record.task_id)["generations"] = 0
        self._forgotten["task"].append(record.task_id)

    def _results_forgotten(self, record: ResultsForgotten, at_s: float) -> None:
        self._forgotten["task"] += record.task_ids

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
