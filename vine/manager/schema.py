"""What tables does the journal have, and how do many rows get into one of them at once."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from functools import lru_cache

version = 6
_STATEMENTS_KEPT = 256

script = """
CREATE TABLE facts (name TEXT PRIMARY KEY, value) WITHOUT ROWID;
CREATE TABLE clients (
    client_index INTEGER PRIMARY KEY,
    client_id TEXT, key_digest BLOB,
    joined_s REAL, left_s REAL
);
CREATE TABLE tasks (
    task_id INTEGER PRIMARY KEY,
    state TEXT,
    accepted_s REAL,
    ready_s REAL,  -- NULL if it was ready when it was accepted
    ended_s REAL,  -- all three by the wall clock
    outcome TEXT, message TEXT,
    worker_id TEXT,
    cancel INTEGER,  -- 1 once it is to end as cancelled
    value_path TEXT,  -- of the manager's own copy of a large result ...
    value_object TEXT, generations INTEGER,  -- ... and what it is; with generations it stays on workers
    spec BLOB,  -- msgpack of wire.parts.TaskSpec
    result BLOB  -- msgpack of wire.parts.TaskResult
);
CREATE TABLE forgotten (  -- what clients will not ask for again, from the first number to the last
    kind TEXT, first INTEGER, last INTEGER
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
    failure TEXT, failure_outcome TEXT,  -- why it cannot be had
    signature BLOB,  -- msgpack of wire.parts.Signature
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
    for_s REAL,  -- from when it was closed; NULL until it is opened
    until_s REAL  -- the same by the wall clock
) WITHOUT ROWID;
CREATE TABLE libraries (
    file_id INTEGER PRIMARY KEY,
    spec BLOB,  -- msgpack of wire.parts.LibrarySpec
    removed INTEGER
);
CREATE TABLE transfers (  -- that have ended, in that order
    epoch INTEGER, counter INTEGER,
    object_id TEXT,  -- NULL of a download that failed
    sources TEXT, destination TEXT,  -- nodes; several sources with commas between them, a download's is its label
    ended_s REAL, seconds REAL,  -- wall clock; how long it took
    bytes INTEGER, bytes_from_manager INTEGER,
    fault TEXT,  -- 'none' if all of it came
    download INTEGER  -- 1 if it came from a URL
);
CREATE TABLE statistics (
    row INTEGER PRIMARY KEY,
    at_s REAL,
    snapshot TEXT  -- JSON of scheduler.core.Scheduler.snapshot
);
"""

Row = dict[str, object]


class Upsert:
    """Puts rows into a table: new ones, and what known ones have of new values.

    Rows of the same columns go into one statement, because the interpreter's lock is given up and taken again
    around every statement, and the thread that takes it may wait 5 ms for it each time. A column that a row does
    not have costs nothing: to bind a NULL takes longer than a number.
    """

    def __init__(self, table: str, key: Sequence[str]) -> None:
        self._table = table
        self._key = key
        # SQLite took 999 variables a statement before version 3.32.
        self._variables_max = 16_384 if sqlite3.sqlite_version_info >= (3, 32) else 999

    def write(self, connection: sqlite3.Connection, rows: Iterable[Row]) -> None:
        """Each key may be among the rows once; of what a row leaves out nothing changes."""
        alike: dict[tuple[str, ...], list[Row]] = {}
        for row in rows:
            alike.setdefault(tuple(row), []).append(row)
        for columns, some in alike.items():
            start, rows_n = 0, 1 << (self._variables_max // len(columns)).bit_length() - 1
            while start < len(some):
                while rows_n > len(some) - start:
                    rows_n >>= 1  # Powers of two, so that few different statements are compiled, and all stay cached.
                values = [value for row in some[start : start + rows_n] for value in row.values()]
                connection.execute(self._statement(columns, rows_n), values)
                start += rows_n

    @lru_cache(_STATEMENTS_KEPT)  # noqa: B019 - there is one for each table, for as long as the program lives
    def _statement(self, columns: tuple[str, ...], rows_n: int) -> str:
        one = "(" + ",".join("?" * len(columns)) + ")"
        names, values = ", ".join(columns), ",".join([one] * rows_n)
        changes = ", ".join(f"{name} = {self._change(name)}" for name in columns if name not in self._key)
        act = f"UPDATE SET {changes}" if changes else "NOTHING"
        key = ", ".join(self._key)
        return f"INSERT INTO {self._table} ({names}) VALUES {values} ON CONFLICT ({key}) DO {act}"  # noqa: S608 - ours

    def _change(self, name: str) -> str:
        if name == "state":
            # A producer that ran again for its lost outputs stays done: its result was committed long ago.
            again = f"excluded.state = 'collecting' AND {self._table}.outcome IS NOT NULL"
            return f"CASE WHEN {again} THEN 'done' ELSE excluded.state END"
        return f"excluded.{name}"
