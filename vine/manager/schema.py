"""What tables does the journal have, and how do many rows get into one of them at once."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from itertools import chain

version = 3

script = """
CREATE TABLE facts (name TEXT PRIMARY KEY, value) WITHOUT ROWID;
CREATE TABLE tasks (
    task_id INTEGER PRIMARY KEY,
    state TEXT,
    accepted_s REAL,
    ready_s REAL,  -- NULL if it was ready when it was accepted
    ended_s REAL,  -- all three by the wall clock
    outcome TEXT, message TEXT, value BLOB, value_path TEXT,
    worker_id TEXT, task_s REAL, queue_s REAL,
    spec BLOB  -- msgpack of wire.parts.TaskSpec
);
CREATE TABLE attempts (
    epoch INTEGER, counter INTEGER,
    task_id INTEGER, worker_id TEXT,
    assigned_s REAL, started_s REAL, ended_s REAL,  -- wall clock
    outcome TEXT, message TEXT,
    stage_in_s REAL, wait_s REAL, run_s REAL, collect_s REAL,
    cpu_s REAL, memory_mb REAL, disk_mb REAL,  -- NULL for those that were too short to be measured
    PRIMARY KEY (epoch, counter)
) WITHOUT ROWID;
CREATE TABLE files (
    file_id INTEGER PRIMARY KEY,
    declared_s REAL,
    object_id TEXT,  -- NULL until the file has content
    attempt_epoch INTEGER, attempt_counter INTEGER,  -- that made the content, if one did
    failure TEXT,  -- why it cannot be had
    spec BLOB  -- msgpack of wire.parts.FileSpec
);
CREATE TABLE objects (
    object_id TEXT PRIMARY KEY,
    manifest BLOB  -- msgpack of wire.parts.Manifest
) WITHOUT ROWID;
CREATE TABLE workers (
    joining INTEGER PRIMARY KEY,  -- counts joins: a worker that comes back has a row for each
    worker_id TEXT, hostname TEXT,
    cores REAL, memory_mb REAL, disk_mb REAL, gpus REAL,
    log_path TEXT, joined_s REAL, left_s REAL, reason TEXT
);
CREATE TABLE categories (
    client_index INTEGER, name TEXT,
    spec BLOB,  -- msgpack of wire.parts.CategorySpec
    PRIMARY KEY (client_index, name)
) WITHOUT ROWID;
CREATE TABLE closed_hosts (
    hostname TEXT PRIMARY KEY,
    standing TEXT,
    until_s REAL  -- by the wall clock; NULL until it is opened
) WITHOUT ROWID;
CREATE TABLE libraries (
    file_id INTEGER PRIMARY KEY,
    spec BLOB  -- msgpack of wire.parts.LibrarySpec; the row goes when the library is removed
);
CREATE TABLE statistics (
    row INTEGER PRIMARY KEY,
    at_s REAL,
    snapshot TEXT  -- JSON of scheduler.core.Scheduler.snapshot
);
"""

task_columns = (
    "task_id", "state", "accepted_s", "ready_s", "ended_s", "outcome", "message", "value", "value_path",
    "worker_id", "task_s", "queue_s", "spec",
)  # fmt: skip
attempt_columns = (
    "epoch", "counter", "task_id", "worker_id", "assigned_s", "started_s", "ended_s", "outcome", "message",
    "stage_in_s", "wait_s", "run_s", "collect_s", "cpu_s", "memory_mb", "disk_mb",
)  # fmt: skip
file_columns = ("file_id", "declared_s", "object_id", "attempt_epoch", "attempt_counter", "failure", "spec")
object_columns = ("object_id", "manifest")


class Upsert:
    """Puts rows into a table: new ones whole, known ones by their columns that are not None.

    Many rows go into one statement, because the interpreter's lock is given up and taken again
    around every statement, and the thread that takes it may wait 5 ms for it each time.
    """

    def __init__(self, table: str, columns: Sequence[str], key: Sequence[str]) -> None:
        self._width = len(columns)
        self._insert = f"INSERT INTO {table} ({', '.join(columns)}) VALUES "  # noqa: S608 - our own names
        changes = ", ".join(f"{name} = {self._change(table, name)}" for name in columns if name not in key)
        self._on_conflict = f" ON CONFLICT ({', '.join(key)}) DO UPDATE SET {changes}"
        # SQLite took 999 variables a statement before version 3.32.
        variables_max = 16_384 if sqlite3.sqlite_version_info >= (3, 32) else 999
        self._rows_max = 1 << (variables_max // self._width).bit_length() - 1

    @staticmethod
    def _change(table: str, name: str) -> str:
        if name == "state":
            # A producer that ran again for its lost outputs stays done: its result was committed long ago.
            again = f"excluded.state = 'collecting' AND {table}.outcome IS NOT NULL"
            return f"CASE WHEN {again} THEN 'done' ELSE coalesce(excluded.state, {table}.state) END"
        return f"coalesce(excluded.{name}, {table}.{name})"

    def write(self, connection: sqlite3.Connection, rows: Sequence[Sequence[object]]) -> None:
        start, rows_n = 0, self._rows_max
        while start < len(rows):
            while rows_n > len(rows) - start:
                rows_n >>= 1  # Powers of two, so that few different statements are compiled, and all stay cached.
            self._write(connection, rows_n, rows[start : start + rows_n])
            start += rows_n

    def _write(self, connection: sqlite3.Connection, rows_n: int, rows: Iterable[Sequence[object]]) -> None:
        one = "(" + ",".join("?" * self._width) + ")"
        statement = self._insert + ",".join([one] * rows_n) + self._on_conflict
        connection.execute(statement, tuple(chain.from_iterable(rows)))
