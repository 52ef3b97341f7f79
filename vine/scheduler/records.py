"""What does the run's journal remember: every record that the scheduler writes, declared once."""

from __future__ import annotations

import msgspec

from vine.names import AttemptId, FileId, ObjectId, TaskId, WorkerId
from vine.wire.parts import (
    CategorySpec,
    FileSpec,
    HostStanding,
    LibrarySpec,
    Manifest,
    Measured,
    Outcome,
    Resources,
    TaskSpec,
    Times,
)


class FileDeclared(msgspec.Struct, frozen=True, gc=False):
    """A client declared a file."""

    spec: FileSpec


class FileFailed(msgspec.Struct, frozen=True, gc=False):
    """A declared file cannot be had."""

    file_id: FileId
    message: str


class ObjectBound(msgspec.Struct, frozen=True, gc=False):
    """A file got its content: by declaration, or from the attempt that made it."""

    file_id: FileId
    object_id: ObjectId
    manifest: Manifest
    attempt: AttemptId | None = None


class TaskAccepted(msgspec.Struct, frozen=True, gc=False):
    """A client submitted a task; from now on it will end."""

    spec: TaskSpec


class TaskReady(msgspec.Struct, frozen=True, gc=False):
    """All that the task waited for is there, for the first time or again after a lost attempt."""

    task_id: TaskId


class TaskWaits(msgspec.Struct, frozen=True, gc=False):
    """The task waits (again) for other tasks or files."""

    task_id: TaskId


class AttemptAssigned(msgspec.Struct, frozen=True, gc=False):
    """A worker was chosen."""

    attempt: AttemptId
    task_id: TaskId
    worker_id: WorkerId


class AttemptStarted(msgspec.Struct, frozen=True, gc=False):
    """The attempt's body runs. (Attempts that end within one report are not announced.)"""

    attempt: AttemptId


class AttemptEnded(msgspec.Struct, frozen=True, gc=False):
    """The attempt is over, however it ended."""

    attempt: AttemptId
    outcome: Outcome
    message: str = ""
    times: Times = Times()
    measured: Measured | None = None


class TaskEnded(msgspec.Struct, frozen=True, gc=False):
    """The task's result is committed: it will never change."""

    task_id: TaskId
    outcome: Outcome
    message: str = ""
    value: bytes | None = None
    value_path: str | None = None
    worker_id: WorkerId | None = None
    task_s: float = 0.0
    queue_s: float = 0.0


class CategorySet(msgspec.Struct, frozen=True, gc=False):
    """A client has said how its tasks of a category are to be run."""

    client_index: int
    spec: CategorySpec


class HostsSet(msgspec.Struct, frozen=True, gc=False):
    """A client, or the time, has closed or opened hosts; `until_s` is by the wall clock."""

    hostnames: tuple[str, ...]
    standing: HostStanding
    until_s: float | None = None


class LibraryInstalled(msgspec.Struct, frozen=True, gc=False):
    """A client has a library whose functions its tasks may call."""

    spec: LibrarySpec


class LibraryRemoved(msgspec.Struct, frozen=True, gc=False):
    """A client has removed a library."""

    file_id: FileId


class WorkerJoined(msgspec.Struct, frozen=True, gc=False):
    """A worker was admitted."""

    worker_id: WorkerId
    hostname: str
    capacity: Resources
    log_path: str


class WorkerLeft(msgspec.Struct, frozen=True, gc=False):
    """A worker left or was given up."""

    worker_id: WorkerId
    reason: str


Record = (
    FileDeclared
    | FileFailed
    | ObjectBound
    | TaskAccepted
    | TaskReady
    | TaskWaits
    | AttemptAssigned
    | AttemptStarted
    | AttemptEnded
    | TaskEnded
    | CategorySet
    | HostsSet
    | LibraryInstalled
    | LibraryRemoved
    | WorkerJoined
    | WorkerLeft
)
