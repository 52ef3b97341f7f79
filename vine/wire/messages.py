"""What do the manager, its clients and its factories say to each other: every message, declared once.

Messages are the cores' events too. A struct travels as the msgpack array [tag, field, ...].
"""

from __future__ import annotations

from typing import Annotated

import msgspec

from vine.names import ClientId, HostId, RunId, WorkerId
from vine.wire.parts import (
    NAMED,
    Amount,
    CategorySpec,
    Count,
    FileNumber,
    FileSpec,
    Hash,
    HostStanding,
    LibrarySpec,
    Manifest,
    Name,
    Outcome,
    Path,
    Resources,
    Seconds,
    Signature,
    TaskNumber,
    TaskResult,
    TaskSpec,
    Text,
    Token,
    WorkDemand,
)


class Message(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What travels alone; each subclass says from whom, to whom, and what it means."""


# --- client to manager ---------------------------------------------------------------------------


class ClientHello(Message, frozen=True, tag="client-hello"):
    """Client to manager: I am here; `host_id` tells whether my paths are yours.

    Who was admitted before names the `index` that it got then and the manager's `epoch`; the `key`, which nobody
    else knows, proves it.
    """

    client_id: Annotated[ClientId, NAMED]
    host_id: Annotated[HostId, NAMED]
    python: Name
    key: Token | None = None  # None: I shall not come back
    index: Count | None = None
    epoch: Count = 0


class DeclareFiles(Message, frozen=True, tag="declare-files"):
    """Client to manager: these files exist from now on."""

    files: tuple[FileSpec, ...]


class FileBound(Message, frozen=True, tag="file-bound"):
    """Client to manager: a declared file has been read and hashed: this is its content."""

    file_id: FileNumber
    object_id: Hash
    manifest: Manifest
    path: Path
    signature: Signature | None  # None for directories and staged buffers


class FileUnreadable(Message, frozen=True, tag="file-unreadable"):
    """Client to manager: a declared file could not be read; whatever needs it fails."""

    file_id: FileNumber
    message: Text


class ForgetFiles(Message, frozen=True, tag="forget-files"):
    """Client to manager: no later task will name these files; drop copies that nothing needs."""

    file_ids: tuple[FileNumber, ...]


class SubmitTasks(Message, frozen=True, tag="submit-tasks"):
    """Client to manager: run these."""

    tasks: tuple[TaskSpec, ...]


class CancelTasks(Message, frozen=True, tag="cancel-tasks"):
    """Client to manager: stop these if they have not ended, or not begun."""

    task_ids: tuple[TaskNumber, ...]
    unless_running: bool = False


class BringFile(Message, frozen=True, tag="bring-file"):
    """Client to manager: bring this file's content to a path that I can read."""

    file_id: FileNumber


class SpreadFile(Message, frozen=True, tag="spread-file"):
    """Client to manager: bring this file to workers though no task needs it there; answer with `FileSpread`.

    To `count` of them, on distinct hosts first, or to these `workers`. With neither: to all that are connected,
    and to each that joins while the file is declared.
    """

    request: Count  # numbers the answer
    file_id: FileNumber
    count: Annotated[int, msgspec.Meta(ge=1, le=2**63 - 1)] | None = None
    workers: tuple[Annotated[WorkerId, NAMED], ...] = ()


class ReplicateFile(Message, frozen=True, tag="replicate-file"):
    """Client to manager: keep so many copies of this file on workers, each on a host of its own; 1 undoes it."""

    file_id: FileNumber
    copies: Annotated[int, msgspec.Meta(ge=1, le=2**63 - 1)]


class PruneFiles(Message, frozen=True, tag="prune-files"):
    """Client to manager: drop the copies of these files that no task needs; they stay declared."""

    file_ids: tuple[FileNumber, ...]


class ForgetResults(Message, frozen=True, tag="forget-results"):
    """Client to manager: no later task will take the results of these tasks."""

    task_ids: tuple[TaskNumber, ...]


class KeepResults(Message, frozen=True, tag="keep-results"):
    """Client to manager: leave the results of these tasks where they are made, if they are large and not here yet."""

    task_ids: tuple[TaskNumber, ...]


class BringResult(Message, frozen=True, tag="bring-result"):
    """Client to manager: bring this task's result, which has stayed on workers, to a path that I can read."""

    task_id: TaskNumber


class SetCategory(Message, frozen=True, tag="set-category"):
    """Client to manager: this is how my tasks of a category are to be run, those that wait already, too."""

    category: CategorySpec


class SetHosts(Message, frozen=True, tag="set-hosts"):
    """Client to manager: so stand these hosts, for so long or (None) until I say otherwise.

    With none named: all that are not open.
    """

    hostnames: tuple[Name, ...]
    standing: HostStanding
    seconds: Seconds | None = None


class AwaitWorkers(Message, frozen=True, tag="await-workers"):
    """Client to manager: what I submit from now on waits until so many workers are connected."""

    count: Count


class InstallLibrary(Message, frozen=True, tag="install-library"):
    """Client to manager: calls may name this library from now on."""

    library: LibrarySpec


class RemoveLibrary(Message, frozen=True, tag="remove-library"):
    """Client to manager: end this library. Its calls that run may end; those that have not begun fail."""

    file_id: FileNumber


class TasksAwaited(Message, frozen=True, tag="tasks-awaited"):
    """Client to manager: I am back, and these are all that I wait for; tell me again those that have ended."""

    task_ids: tuple[TaskNumber, ...]


class ClientBye(Message, frozen=True, tag="client-bye"):
    """Client to manager: I leave; what I declared and submitted ends with me."""


FromClient = (
    ClientHello
    | DeclareFiles
    | FileBound
    | FileUnreadable
    | ForgetFiles
    | SubmitTasks
    | CancelTasks
    | BringFile
    | SpreadFile
    | ReplicateFile
    | PruneFiles
    | ForgetResults
    | KeepResults
    | BringResult
    | SetCategory
    | SetHosts
    | AwaitWorkers
    | InstallLibrary
    | RemoveLibrary
    | TasksAwaited
    | ClientBye
)

# --- manager to client ---------------------------------------------------------------------------


class ClientWelcome(Message, frozen=True, tag="client-welcome"):
    """Manager to client: you are admitted; number your tasks and files under this index."""

    run_id: RunId
    epoch: Count
    client_index: Count
    run_dir: Path
    staging_dir: Path
    same_host: bool


class TasksEnded(Message, frozen=True, tag="tasks-ended"):
    """Manager to client: these tasks have their committed results."""

    results: tuple[TaskResult, ...]


class Journaled(Message, frozen=True, tag="journaled"):
    """Manager to client: of what you have said since your hello the first so many messages are in the journal.

    Should I be started again you need not say them once more.
    """

    messages: Count


class FileBrought(Message, frozen=True, tag="file-brought"):
    """Manager to client: the file that you asked for lies at this path, or cannot be had."""

    file_id: FileNumber
    path: Path | None
    message: Text = ""


class FileSpread(Message, frozen=True, tag="file-spread"):
    """Manager to client: so many workers have the file that you had spread, or it cannot be had and why."""

    request: Count
    workers: Count
    outcome: Outcome = Outcome.SUCCESS
    message: Text = ""


class ResultBrought(Message, frozen=True, tag="result-brought"):
    """Manager to client: the result that you asked for lies at this path, which is yours to remove, or is gone."""

    task_id: TaskNumber
    path: Path | None
    message: Text = ""


class RunState(Message, frozen=True, tag="run-state"):
    """Manager to client: how the run stands; sent when it has changed, at most once a second."""

    workers: Count
    cores: Amount
    tasks: dict[Name, Count]  # by state
    bytes_from_manager: Count
    bytes_from_peers: Count


class Refused(Message, frozen=True, tag="refused"):
    """Manager to anyone: you cannot take part, and this is why."""

    message: Text


ToClient = ClientWelcome | TasksEnded | Journaled | FileBrought | FileSpread | ResultBrought | RunState | Refused

# --- factory -------------------------------------------------------------------------------------


class FactoryHello(Message, frozen=True, tag="factory-hello"):
    """Factory to manager: I can start up to this many workers of this size."""

    factory_id: Name
    batch_type: Name
    min_workers: Count
    max_workers: Count
    capacity: Resources
    features: tuple[Name, ...] = ()
    wall_time_s: Seconds | None = None  # that they live at most


class FactoryStatus(Message, frozen=True, tag="factory-status"):
    """Factory to manager: still here (the heartbeat), and how my fleet stands."""

    starting: Count
    running: Count
    message: Text = ""  # the last trouble that it had in starting workers
    pending: Count = 0  # in the queue of the batch system
    draining: tuple[WorkerId, ...] = ()  # give these, and no others of mine, no more tasks; end those that have none


FromFactory = FactoryHello | FactoryStatus


class FactoryWelcome(Message, frozen=True, tag="factory-welcome"):
    """Manager to factory: you are admitted."""

    run_id: RunId
    epoch: Count


class FleetDemand(Message, frozen=True, tag="fleet-demand"):
    """Manager to factory: the work there is, and the workers that are connected or idle."""

    waiting: tuple[WorkDemand, ...]
    running: tuple[WorkDemand, ...]
    connected: tuple[WorkerId, ...]
    idle: tuple[WorkerId, ...]
    tasks_at_once_max: Count | None = None  # that the manager can keep busy, once it has measured itself
    draining: tuple[WorkerId, ...] = ()  # of the factory's last status: these are given nothing, connected or not
    missing: Count = 0  # so many more than are connected a client waits for before any of its tasks begins


class EndFactory(Message, frozen=True, tag="end-factory"):
    """Manager to factory: the run is over; release everything and exit."""

    reason: Text


ToFactory = FactoryWelcome | FleetDemand | EndFactory | Refused
