"""What tables does the journal have, and how do many rows get into one of them, or out of it, at once."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache

version = 7
_STATEMENTS_KEPT = 256
# SQLite took 999 variables a statement before version 3.32.
_VARIABLES_MAX = 16_384 if sqlite3.sqlite_version_info >= (3, 32) else 999

script = """
CREATE TABLE facts (name TEXT PRIMARY KEY, value) WITHOUT ROWID;
CREATE TABLE clients (
    client_index INTEGER PRIMARY KEY,
    client_id TEXT, key_digest BLOB,
    joined_s REAL, left_s REAL
);
CREATE TABLE accepted (  -- tasks, as they were submitted
    task_id INTEGER PRIMARY KEY,
    accepted_s REAL,  -- this and all other times by the wall clock
    spec BLOB  -- msgpack of wire.parts.TaskSpec
);
CREATE TABLE ended (  -- tasks, as they have ended, each with the attempt that ended in one with it, if one did
    task_id INTEGER PRIMARY KEY,
    ended_s REAL,
    outcome TEXT, message TEXT,
    worker_id TEXT,
    result BLOB,  -- msgpack of wire.parts.TaskResult
    epoch INTEGER, counter INTEGER,
    assigned_s REAL, started_s REAL,
    stage_in_s REAL, wait_s REAL, run_s REAL, collect_s REAL,
    cpu_s REAL, memory_mb REAL, disk_mb REAL
);
CREATE TABLE standings (  -- what else there is to say of a task, if anything is
    task_id INTEGER PRIMARY KEY,
    state TEXT,  -- of one that is owed and has no attempt; NULL if it has waited since it was accepted
    again TEXT,  -- ... of one that has ended, and runs again, or has done so
    ready_s REAL,  -- NULL if it was ready when it was accepted
    cancel INTEGER,  -- 1 once it is to end as cancelled
    value_path TEXT,  -- of the manager's own copy of a large result, or of one before it that was lost ...
    value_object TEXT, generations INTEGER,  -- ... and what it is; with generations it stays on workers
    instead BLOB  -- the result that stands for one of these that was lost, as that of `ended`
);
CREATE TABLE forgotten (  -- what clients will not ask for again, from the first number to the last
    kind TEXT, first INTEGER, last INTEGER
);
CREATE TABLE attempts_open (  -- those that have not ended
    task_id INTEGER, epoch INTEGER, counter INTEGER,
    worker_id TEXT,
    assigned_s REAL, started_s REAL,
    PRIMARY KEY (task_id, epoch, counter)
) WITHOUT ROWID;
CREATE TABLE attempts_ended (  -- those that have not ended in one with their tasks
    epoch INTEGER, counter INTEGER,
    task_id INTEGER, worker_id TEXT,
    assigned_s REAL, started_s REAL, ended_s REAL,
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
-- What readers ask. Rows are written once, one behind the other: to change one that is there costs several times that.
CREATE VIEW tasks AS SELECT
    accepted.task_id AS task_id,
    coalesce(
        (SELECT min(CASE WHEN started_s IS NULL THEN 'staged' ELSE 'running' END) FROM attempts_open
            WHERE attempts_open.task_id = accepted.task_id),
        CASE WHEN outcome IS NULL THEN coalesce(state, 'waiting') ELSE coalesce(
            again, CASE outcome WHEN 'success' THEN 'done' WHEN 'cancelled' THEN 'cancelled' ELSE 'failed' END
        ) END
    ) AS state,
    accepted_s, ready_s, ended_s, outcome, message, worker_id, cancel, value_path, value_object, generations,
    spec, coalesce(instead, result) AS result
    FROM accepted LEFT JOIN ended ON ended.task_id = accepted.task_id
    LEFT JOIN standings ON standings.task_id = accepted.task_id;
CREATE VIEW attempts AS
    SELECT epoch, counter, task_id, worker_id, assigned_s, started_s, ended_s, outcome, message,
        stage_in_s, wait_s, run_s, collect_s, cpu_s, memory_mb, disk_mb FROM attempts_ended
    UNION ALL
    SELECT epoch, counter, task_id, worker_id, assigned_s, started_s, ended_s, outcome, message,
        stage_in_s, wait_s, run_s, collect_s, cpu_s, memory_mb, disk_mb FROM ended WHERE epoch NOT NULL
    UNION ALL
    SELECT epoch, counter, task_id, worker_id, assigned_s, started_s, NULL, NULL, NULL,
        NULL, NULL, NULL, NULL, NULL, NULL, NULL FROM attempts_open;
"""

Row = dict[str, object]


class Table:
    """Puts rows into a table: new ones, and what known ones have of new values; and takes rows out of it.

    Rows of the same columns go into one statement, because the interpreter's lock is given up and taken again
    around every statement, and the thread that takes it may wait 5 ms for it each time. A column that a row does
    not have costs nothing: to bind a NULL takes longer than a number.
    """

    def __init__(self, name: str, key: Sequence[str]) -> None:
        self._name = name
        self._key = tuple(key)

    def write(self, connection: sqlite3.Connection, rows: Iterable[Row]) -> None:
        """Each key may be among the rows once; of what a row leaves out nothing changes."""
        alike: dict[tuple[str, ...], list[object]] = {}
        for row in rows:
            alike.setdefault(tuple(row), []).extend(row.values())
        for columns, values in alike.items():
            self.write_alike(connection, columns, values)

    def write_alike(self, connection: sqlite3.Connection, columns: tuple[str, ...], values: Sequence[object]) -> None:
        """Rows that all have these columns, their values one behind the other."""
        for rows_n, some in _portions(values, len(columns)):
            connection.execute(self._upsert(columns, rows_n), some)

    def replace_alike(self, connection: sqlite3.Connection, columns: tuple[str, ...], values: Sequence[object]) -> None:
        """As `write_alike`, but nothing is left of rows that were there under these keys."""
        for rows_n, some in _portions(values, len(columns)):
            connection.execute(self._replace(columns, rows_n), some)

    def delete(self, connection: sqlite3.Connection, keys: Sequence[object]) -> None:
        """The rows of these keys, the values of which are one behind the other."""
        for rows_n, some in _portions(keys, len(self._key)):
            connection.execute(self._delete(rows_n), some)

    @lru_cache(_STATEMENTS_KEPT)  # noqa: B019 - there is one for each table, for as long as the program lives
    def _upsert(self, columns: tuple[str, ...], rows_n: int) -> str:
        changes = ", ".join(f"{name} = excluded.{name}" for name in columns if name not in self._key)
        act = f"UPDATE SET {changes}" if changes else "NOTHING"
        key = ", ".join(self._key)
        return f"INSERT {self._rows(columns, rows_n)} ON CONFLICT ({key}) DO {act}"

    @lru_cache(_STATEMENTS_KEPT)  # noqa: B019 - as above
    def _replace(self, columns: tuple[str, ...], rows_n: int) -> str:
        return f"INSERT OR REPLACE {self._rows(columns, rows_n)}"

    def _rows(self, columns: tuple[str, ...], rows_n: int) -> str:
        one = "(" + ",".join("?" * len(columns)) + ")"
        return f"INTO {self._name} ({', '.join(columns)}) VALUES {','.join([one] * rows_n)}"

    @lru_cache(_STATEMENTS_KEPT)  # noqa: B019 - as above
    def _delete(self, rows_n: int) -> str:
        width = len(self._key)
        places = [[f"?{row * width + column + 1}" for column in range(width)] for row in range(rows_n)]
        firsts, keys = ",".join(place[0] for place in places), ",".join(f"({','.join(place)})" for place in places)
        is_one = f"({', '.join(self._key)}) IN (VALUES {keys})"
        # By itself that looks at all rows.
        return f"DELETE FROM {self._name} WHERE {self._key[0]} IN ({firsts}) AND {is_one}"  # noqa: S608 - ours


def _portions(values: Sequence[object], width: int) -> Iterator[tuple[int, Sequence[object]]]:
    """How many rows go into the next statement, and their values.

    Powers of two, so that few different statements are compiled, and all stay cached.
    """
    start, rows, rows_n = 0, len(values) // width, 1 << (_VARIABLES_MAX // width).bit_length() - 1
    while start < rows:
        while rows_n > rows - start:
            rows_n >>= 1
        yield rows_n, values[start * width : (start + rows_n) * width]
        start += rows_n
