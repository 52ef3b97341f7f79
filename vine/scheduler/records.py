"""What does the run's journal remember: every record that the scheduler writes, declared once."""

from __future__ import annotations

import msgspec

from vine.names import AttemptId, ClientId, FileId, ObjectId, TaskId, TransferId, WorkerId
from vine.wire.parts import (
    CategorySpec,
    FileSpec,
    HostStanding,
    LibrarySpec,
    Manifest,
    Measured,
    Outcome,
    Resources,
    Signature,
    TaskResult,
    TaskSpec,
    Times,
)


class ClientJoined(msgspec.Struct, frozen=True, gc=False):
    """A client was admitted; `key_digest` tells it from others that call themselves so."""

    client_id: ClientId
    index: int
    key_digest: bytes


class ClientLeft(msgspec.Struct, frozen=True, gc=False):
    """A client left or was given up: nobody will ask for anything of its own again."""

    index: int


class FileDeclared(msgspec.Struct, frozen=True, gc=False):
    """A client declared a file."""

    spec: FileSpec


class FileFailed(msgspec.Struct, frozen=True, gc=False):
    """A declared file cannot be had."""

    file_id: FileId
    outcome: Outcome  # of those that need it
    message: str


class FilesForgotten(msgspec.Struct, frozen=True, gc=False):
    """Clients will not name these files again."""

    file_ids: tuple[FileId, ...]


class ObjectBound(msgspec.Struct, frozen=True, gc=False):
    """A file got its content: by declaration, or from the attempt that made it."""

    file_id: FileId
    object_id: ObjectId
    manifest: Manifest
    attempt: AttemptId | None = None
    signature: Signature | None = None  # of a local file, when it was hashed


class TaskAccepted(msgspec.Struct, frozen=True, gc=False):
    """A client submitted a task; from now on it will end."""

    spec: TaskSpec


class TaskReady(msgspec.Struct, frozen=True, gc=False):
    """All that the task waited for is there, for the first time or again after a lost attempt."""

    task_id: TaskId
    again: bool = False  # It has ended, and runs again for something of its that was lost.


class TaskWaits(msgspec.Struct, frozen=True, gc=False):
    """The task waits (again) for other tasks or files."""

    task_id: TaskId
    again: bool = False  # as that of `TaskReady`


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


class ResultBound(msgspec.Struct, frozen=True, gc=False):
    """A task has left a large result; one that stays on workers has so many `generations` of such ones before it.

    With a `value_path` one that had stayed there lies here now.
    """

    task_id: TaskId
    object_id: ObjectId
    manifest: Manifest
    generations: int = 0
    value_path: str | None = None


class CancelAsked(msgspec.Struct, frozen=True, gc=False):
    """The task is to end as cancelled, and its worker was told so."""

    task_id: TaskId


class TaskEnded(msgspec.Struct, frozen=True, gc=False):
    """The task's result is committed. It changes no more, unless a large one is lost and its task ends once more."""

    result: TaskResult
    value_path: str | None = None  # of the manager's own copy
    attempt: AttemptId | None = None  # that ended just so in the same step, of which there is no `AttemptEnded` then


class TaskEndedAgain(msgspec.Struct, frozen=True, gc=False):
    """A task that had ended was run again, for something of its that had been lost."""

    task_id: TaskId
    outcome: Outcome  # of this time
    instead: TaskResult | None = None  # what stands for a lost result from now on that had stayed on workers


class ResultLost(msgspec.Struct, frozen=True, gc=False):
    """A result that had stayed on workers is gone for good: nobody can have it any more."""

    task_id: TaskId


class ResultsForgotten(msgspec.Struct, frozen=True, gc=False):
    """No later task will take the results of these tasks, and no client asks for them again."""

    task_ids: tuple[TaskId, ...]


class CategorySet(msgspec.Struct, frozen=True, gc=False):
    """A client has said how its tasks of a category are to be run."""

    client_index: int
    spec: CategorySpec


class HostsSet(msgspec.Struct, frozen=True, gc=False):
    """A client, or the time, has closed or opened hosts: for so long, which ends then by the wall clock."""

    hostnames: tuple[str, ...]
    standing: HostStanding
    for_s: float | None = None
    until_s: float | None = None


class LibraryInstalled(msgspec.Struct, frozen=True, gc=False):
    """A client has a library whose functions its tasks may call."""

    spec: LibrarySpec


class LibraryRemoved(msgspec.Struct, frozen=True, gc=False):
    """A client has removed a library."""

    file_id: FileId


class TransferEnded(msgspec.Struct, frozen=True, gc=False):
    """An object has come to a node, or could not be had there: what views tell of how the data moved."""

    transfer_id: TransferId
    object_id: ObjectId | None  # None: a download that failed
    sources: tuple[str, ...]  # nodes; of a download its label
    destination: WorkerId
    fault: str  # a `FetchFault` or `DownloadFault`; "none"
    received_bytes: int
    received_bytes_from_manager: int
    seconds: float
    is_download: bool = False


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
    ClientJoined
    | ClientLeft
    | FileDeclared
    | FileFailed
    | FilesForgotten
    | ObjectBound
    | TaskAccepted
    | TaskReady
    | TaskWaits
    | AttemptAssigned
    | AttemptStarted
    | AttemptEnded
    | ResultBound
    | CancelAsked
    | TaskEnded
    | TaskEndedAgain
    | ResultLost
    | ResultsForgotten
    | CategorySet
    | HostsSet
    | LibraryInstalled
    | LibraryRemoved
    | TransferEnded
    | WorkerJoined
    | WorkerLeft
)
