"""What does a journal say of the run that wrote it: all that a manager needs to take the run up again."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from pathlib import Path

import msgspec

from vine.errors import UsageError
from vine.manager import schema
from vine.names import AttemptId, FileId, ObjectId, RunId, TaskId, WorkerId
from vine.scheduler.categories import CategoryKey
from vine.wire.parts import CategorySpec, FileSpec, HostStanding, LibrarySpec, Manifest, Outcome, TaskSpec

_task_spec = msgspec.msgpack.Decoder(TaskSpec)
_file_spec = msgspec.msgpack.Decoder(FileSpec)
_category_spec = msgspec.msgpack.Decoder(CategorySpec)
_library_spec = msgspec.msgpack.Decoder(LibrarySpec)
_manifest = msgspec.msgpack.Decoder(Manifest)


@dataclass(frozen=True, slots=True)
class ReplayedTask:
    """A task as far as it has come; `outcome` None means that it is still owed."""

    spec: TaskSpec
    state: str
    outcome: Outcome | None
    message: str
    value: bytes | None
    value_path: str | None
    attempts: tuple[tuple[AttemptId, WorkerId], ...]  # those that had not ended when the journal did


@dataclass(frozen=True, slots=True)
class ReplayedFile:
    """A declared file; `object_id` None means that it has no content yet."""

    spec: FileSpec
    object_id: ObjectId | None
    attempt: AttemptId | None
    failure: str | None


@dataclass(frozen=True, slots=True)
class ReplayedRun:
    """Everything that was committed; tasks in the order of their acceptance."""

    run_id: RunId
    epoch: int  # of the manager that wrote last
    attempts_max: int  # the highest attempt counter of that epoch
    tasks: dict[TaskId, ReplayedTask]
    files: dict[FileId, ReplayedFile]
    manifests: dict[ObjectId, Manifest]
    workers: tuple[WorkerId, ...]  # that had not left
    categories: dict[CategoryKey, CategorySpec]
    closed_hosts: dict[str, tuple[HostStanding, float | None]]  # by hostname; and until when, by the wall clock
    libraries: dict[FileId, LibrarySpec]  # that were not removed


def replay(path: Path) -> ReplayedRun:
    """Read a journal, whether or not a manager is writing it."""
    connection = open_to_read(path)
    try:
        return read_run(connection)
    finally:
        connection.close()


def read_run(connection: sqlite3.Connection) -> ReplayedRun:
    """As `replay`, of a journal that is open."""
    facts = dict(connection.execute("SELECT name, value FROM facts"))
    running: dict[TaskId, list[tuple[AttemptId, WorkerId]]] = {}
    for epoch, counter, task_id, worker_id in connection.execute(
        "SELECT epoch, counter, task_id, worker_id FROM attempts WHERE outcome IS NULL"
    ):
        running.setdefault(task_id, []).append((AttemptId(epoch, counter), worker_id))
    highest = connection.execute("SELECT max(counter) FROM attempts WHERE epoch = ?", (facts["epoch"],)).fetchone()
    return ReplayedRun(
        run_id=facts["run_id"],
        epoch=facts["epoch"],
        attempts_max=highest[0] or 0,
        tasks=_tasks(connection, running),
        files=_files(connection),
        manifests={
            object_id: _manifest.decode(manifest)
            for object_id, manifest in connection.execute("SELECT object_id, manifest FROM objects")
        },
        categories={
            CategoryKey(client_index, name): _category_spec.decode(spec)
            for client_index, name, spec in connection.execute("SELECT client_index, name, spec FROM categories")
        },
        closed_hosts={
            name: (HostStanding(standing), until_s)
            for name, standing, until_s in connection.execute("SELECT * FROM closed_hosts")
        },
        libraries={
            file_id: _library_spec.decode(spec)
            for file_id, spec in connection.execute("SELECT file_id, spec FROM libraries")
        },
        workers=tuple(name for (name,) in connection.execute("SELECT worker_id FROM workers WHERE left_s IS NULL")),
    )


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
    return _task_spec.decode(data)


def file_spec(data: bytes) -> FileSpec:
    return _file_spec.decode(data)


def _tasks(
    connection: sqlite3.Connection, running: dict[TaskId, list[tuple[AttemptId, WorkerId]]]
) -> dict[TaskId, ReplayedTask]:
    columns = "task_id, state, outcome, message, value, value_path, spec"
    return {
        task_id: ReplayedTask(
            spec=task_spec(spec),
            state=state,
            outcome=None if outcome is None else Outcome(outcome),
            message=message or "",
            value=value,
            value_path=value_path,
            attempts=tuple(running.get(task_id, ())),
        )
        for task_id, state, outcome, message, value, value_path, spec in connection.execute(
            f"SELECT {columns} FROM tasks ORDER BY accepted_s, task_id"  # noqa: S608 - our own names
        )
    }


def _files(connection: sqlite3.Connection) -> dict[FileId, ReplayedFile]:
    columns = "file_id, object_id, attempt_epoch, attempt_counter, failure, spec"
    return {
        file_id: ReplayedFile(
            spec=file_spec(spec),
            object_id=object_id,
            attempt=None if epoch is None else AttemptId(epoch, counter),
            failure=failure,
        )
        for file_id, object_id, epoch, counter, failure, spec in connection.execute(
            f"SELECT {columns} FROM files ORDER BY file_id"  # noqa: S608 - our own names
        )
    }
