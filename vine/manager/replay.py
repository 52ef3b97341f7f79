"""What does a journal say of the run that wrote it: all that a manager needs to take the run up again."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from vine.errors import UsageError
from vine.manager import schema
from vine.names import AttemptId, FileId, TaskId, WorkerId, client_index_of
from vine.scheduler.categories import CategoryKey
from vine.scheduler.numbers import Numbers
from vine.scheduler.replayed import (
    OpenAttempt,
    ReplayedClient,
    ReplayedClosing,
    ReplayedFile,
    ReplayedLibrary,
    ReplayedRun,
    ReplayedTask,
)
from vine.wire.codec import UNDECODABLE
from vine.wire.parts import (
    CategorySpec,
    FileSpec,
    HostStanding,
    LibrarySpec,
    Manifest,
    Outcome,
    Signature,
    TaskResult,
    TaskSpec,
)

# What decoding a damaged row raises: its bytes, its numbers and its words are nobody's any more.
DAMAGE = (sqlite3.Error, *UNDECODABLE, ValueError, TypeError, OverflowError)

_decoders: dict[type, Callable[[bytes], Any]] = {
    kind: msgspec.msgpack.Decoder(kind).decode
    for kind in (TaskSpec, TaskResult, FileSpec, Signature, CategorySpec, LibrarySpec, Manifest)
}
_NONE: dict[Outcome, int] = {}


def replay(path: Path) -> ReplayedRun:
    """Read a journal, whether or not a manager is writing it."""
    connection = open_to_read(path)
    try:
        return read_run(connection)
    finally:
        connection.close()


def read_run(connection: sqlite3.Connection) -> ReplayedRun:
    """What has been committed to these tables."""
    connection.execute("BEGIN")  # All of it as it was at one moment.
    try:
        facts = dict(connection.execute("SELECT name, value FROM facts"))
        forgotten_tasks, forgotten_files = _forgotten(connection, "task"), _forgotten(connection, "file")
        left = {index for (index,) in connection.execute("SELECT client_index FROM clients WHERE left_s IS NOT NULL")}
        tasks, past = _tasks(connection, left, forgotten_tasks)
        (written_s,) = connection.execute("SELECT max(at_s) FROM statistics").fetchone()
        (index_max,) = connection.execute("SELECT max(client_index) FROM clients").fetchone()
        return ReplayedRun(
            run_id=facts["run_id"],
            epoch=facts["epoch"],
            written_s=max(facts.get("started_s", 0.0), written_s or 0.0),
            attempts_max=dict(connection.execute("SELECT epoch, max(counter) FROM attempts GROUP BY epoch")),
            clients=_clients(connection),
            clients_seen=0 if index_max is None else index_max + 1,
            clients_left=frozenset(left),
            tasks=tasks,
            files=_files(connection, left),
            manifests={
                object_id: _decoders[Manifest](manifest)
                for object_id, manifest in connection.execute("SELECT object_id, manifest FROM objects")
            },
            categories={
                CategoryKey(index, name): _decoders[CategorySpec](spec)
                for index, name, spec in connection.execute("SELECT client_index, name, spec FROM categories")
                if index not in left
            },
            closed_hosts={
                name: ReplayedClosing(HostStanding(standing), for_s, until_s)
                for name, standing, for_s, until_s in connection.execute("SELECT * FROM closed_hosts")
            },
            libraries={
                file_id: ReplayedLibrary(_decoders[LibrarySpec](spec), bool(removed))
                for file_id, spec, removed in connection.execute("SELECT file_id, spec, removed FROM libraries")
                if client_index_of(file_id) not in left
            },
            workers=tuple(name for (name,) in connection.execute("SELECT worker_id FROM workers WHERE left_s IS NULL")),
            forgotten_tasks=forgotten_tasks.ranges,
            forgotten_files=forgotten_files.ranges,
            past=past,
        )
    finally:
        connection.execute("ROLLBACK")


def open_to_read(path: Path) -> sqlite3.Connection:
    """Open a journal for reading only. The URI form would keep SQLite from replaying a dead manager's WAL."""
    if not path.is_file():
        raise UsageError(f"there is no journal {path}: name the directory of a run")
    connection = sqlite3.connect(path, isolation_level=None, timeout=5.0)
    try:
        connection.execute("PRAGMA query_only = 1")
        found = connection.execute("PRAGMA user_version").fetchone()[0]
    except sqlite3.Error as error:
        connection.close()
        raise UsageError(f"the journal {path} cannot be read: {error}") from None
    if found == 0:
        connection.close()
        raise UsageError(f"the journal {path} is empty: its manager has only just been started, so ask again")
    if found != schema.version:
        connection.close()
        raise UsageError(f"the journal {path} has version {found}, not {schema.version}: use the vine that wrote it")
    return connection


def task_spec(data: bytes) -> TaskSpec:
    spec: TaskSpec = _decoders[TaskSpec](data)
    return spec


def file_spec(data: bytes) -> FileSpec:
    spec: FileSpec = _decoders[FileSpec](data)
    return spec


def _forgotten(connection: sqlite3.Connection, kind: str) -> Numbers:
    return Numbers(connection.execute("SELECT first, last FROM forgotten WHERE kind = ?", (kind,)))


def _clients(connection: sqlite3.Connection) -> dict[int, ReplayedClient]:
    rows = connection.execute("SELECT client_index, client_id, key_digest FROM clients WHERE left_s IS NULL")
    return {index: ReplayedClient(client_id, digest) for index, client_id, digest in rows}


_TASK_COLUMNS = "task_id, state, accepted_s, outcome, result, value_path, value_object, generations, cancel, spec"


def _tasks(
    connection: sqlite3.Connection, left: set[int], forgotten: Numbers
) -> tuple[dict[TaskId, ReplayedTask], dict[str, int]]:
    """Those that somebody may ask for or that others are made from, and how many more there have been, by state."""
    running, ended = _open_attempts(connection), _ended_attempts(connection)
    rows = connection.execute(f"SELECT {_TASK_COLUMNS} FROM tasks ORDER BY accepted_s, task_id")  # noqa: S608 - our own
    tasks: dict[TaskId, ReplayedTask] = {}
    past: dict[TaskId, str] = {}
    needed: set[TaskId] = set()
    for row in rows:
        task_id, state, _, outcome, *_ = row
        is_over = outcome is not None and task_id in forgotten
        spec = _decoders[TaskSpec](row[-1])
        if (left and client_index_of(task_id) in left) or (is_over and not row[-3] and not spec.outputs):
            past[task_id] = state
            continue
        tasks[task_id] = _task(row, spec, running.get(task_id, ()), ended.get(task_id, _NONE))
        if outcome is None or row[-3]:
            needed.update(spec.depends)
    for task_id in sorted(needed & past.keys()):
        (row,) = connection.execute(f"SELECT {_TASK_COLUMNS} FROM tasks WHERE task_id = ?", (task_id,))  # noqa: S608
        tasks[task_id] = _task(row, _decoders[TaskSpec](row[-1]), (), _NONE)
        del past[task_id]
    return tasks, dict(Counter(past.values()))


def _task(
    row: tuple[Any, ...], spec: TaskSpec, running: Iterable[OpenAttempt], ended: Mapping[Outcome, int]
) -> ReplayedTask:
    _, state, accepted_s, _, encoded, value_path, value_object, generations, cancel, _ = row
    result: TaskResult | None = None if encoded is None else _decoders[TaskResult](encoded)
    if result is not None and not result.remote and result.value_path is None:
        value_path = None  # That of a large result which was lost before the task ran again, and ended with this one.
    # What an attempt had left on its worker went with it if that was lost before all had come that it had left.
    ended_without = result is not None and not result.remote and value_path is None
    return ReplayedTask(
        spec=spec,
        state=state,
        accepted_s=accepted_s,
        result=result,
        value_path=value_path,
        value_object=None if ended_without else value_object,
        generations=0 if ended_without else generations or 0,
        cancelled=bool(cancel),
        attempts=tuple(running),
        ended_attempts=ended,
    )


def _open_attempts(connection: sqlite3.Connection) -> dict[TaskId, list[OpenAttempt]]:
    running: dict[TaskId, list[OpenAttempt]] = {}
    columns = "epoch, counter, task_id, worker_id, started_s IS NOT NULL"
    for epoch, counter, task_id, worker_id, begun in connection.execute(
        f"SELECT {columns} FROM attempts_open ORDER BY epoch, counter"  # noqa: S608 - our own names
    ):
        running.setdefault(task_id, []).append(OpenAttempt(AttemptId(epoch, counter), worker_id, bool(begun)))
    return running


def _ended_attempts(connection: sqlite3.Connection) -> dict[TaskId, dict[Outcome, int]]:
    """How the attempts of tasks that are still owed have ended."""
    ended: dict[TaskId, dict[Outcome, int]] = {}
    for task_id, outcome, count in connection.execute(
        "SELECT task_id, attempts_ended.outcome, count(*) FROM attempts_ended LEFT JOIN ended USING (task_id)"
        " WHERE ended.outcome IS NULL GROUP BY task_id, attempts_ended.outcome"
    ):
        ended.setdefault(task_id, {})[Outcome(outcome)] = count
    return ended


def _files(connection: sqlite3.Connection, left: Iterable[int]) -> dict[FileId, ReplayedFile]:
    makers = _makers(connection)
    columns = "file_id, object_id, attempt_epoch, attempt_counter, signature, failure_outcome, failure, spec"
    gone = set(left)
    rows = connection.execute(f"SELECT {columns} FROM files ORDER BY file_id")  # noqa: S608 - our own names
    return {
        file_id: ReplayedFile(
            spec=file_spec(spec),
            object_id=object_id,
            attempt=None if epoch is None else AttemptId(epoch, counter),
            worker_id=makers.get((epoch, counter)),
            signature=None if signature is None else _decoders[Signature](signature),
            failure=None if outcome is None else (Outcome(outcome), message),
        )
        for file_id, object_id, epoch, counter, signature, outcome, message, spec in rows
        if client_index_of(file_id) not in gone
    }


def _makers(connection: sqlite3.Connection) -> dict[tuple[int, int], WorkerId]:
    """Where those attempts ran that have made files."""
    rows = connection.execute(
        "SELECT epoch, counter, worker_id FROM attempts"
        " WHERE (epoch, counter) IN (SELECT attempt_epoch, attempt_counter FROM files WHERE attempt_epoch NOT NULL)"
    )
    return {(epoch, counter): worker_id for epoch, counter, worker_id in rows}
