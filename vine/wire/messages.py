"""What do the processes say to each other on the control sockets: every message, declared once.

Messages are the cores' events too. A struct travels as the msgpack array [tag, field, ...].
"""

from __future__ import annotations

import enum
from typing import Annotated

import msgspec

from vine import config
from vine.names import AttemptId, ClientId, FileId, HostId, ObjectId, RunId, TaskId, TransferId, WorkerId

_NAMED = msgspec.Meta(min_length=1, max_length=config.name_chars_max)
Name = Annotated[str, _NAMED]
Text = Annotated[str, msgspec.Meta(max_length=config.text_chars_max)]
Command = Annotated[str, msgspec.Meta(max_length=config.command_chars_max)]
Path = Annotated[str, msgspec.Meta(min_length=1, max_length=config.path_chars_max, pattern=r"^[^\0]*\Z")]
Url = Annotated[str, msgspec.Meta(max_length=config.url_chars_max, pattern=r"^(https?|file)://[!-~]+\Z")]
Endpoint = Annotated[str, msgspec.Meta(pattern=r"^tcp://[^\s/]{1,255}:[0-9]{1,5}$")]
Hash = Annotated[ObjectId, msgspec.Meta(pattern=r"^[0-9a-f]{64}$")]
Inline = Annotated[bytes, msgspec.Meta(max_length=config.inline_bytes_hard_max)]
Amount = Annotated[float, msgspec.Meta(ge=0, le=1e9)]
Seconds = Annotated[float, msgspec.Meta(ge=0, le=1e9)]
Count = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
Token = Annotated[bytes, msgspec.Meta(min_length=16, max_length=32)]
TaskNumber = Annotated[TaskId, msgspec.Meta(ge=0, le=2**63 - 1)]  # what SQLite keeps as an integer
FileNumber = Annotated[FileId, msgspec.Meta(ge=0, le=2**63 - 1)]


class Part(msgspec.Struct, frozen=True, array_like=True):
    """What messages are made of."""


class Message(msgspec.Struct, frozen=True, array_like=True):
    """What travels alone; each subclass says from whom, to whom, and what it means."""


# --- parts ---------------------------------------------------------------------------------------


class Role(enum.Enum):
    """Who a key pair belongs to."""

    SERVER = "server"
    CLIENT = "client"
    WORKER = "worker"
    FACTORY = "factory"


class FileKind(enum.Enum):
    LOCAL = "local"  # a file or directory at a path of the client
    BUFFER = "buffer"  # bytes of the client
    TEMP = "temp"  # lives on workers only
    UNTAR = "untar"  # made on the worker by unpacking another file
    URL = "url"  # downloaded by one worker


class CacheLevel(enum.Enum):
    TASK = "task"  # dropped when no known task needs it
    WORKFLOW = "workflow"  # until the client that declared it leaves
    WORKER = "worker"  # until the worker exits
    FOREVER = "forever"  # for the workers that start in the same workspace after it, too


class TaskKind(enum.Enum):
    COMMAND = "command"  # a shell command in a sandbox
    PYTHON = "python"  # a function in a fresh interpreter
    CALL = "call"  # a function on a warm host


class Outcome(enum.Enum):
    """How an attempt or a task ended; the first line of a user's error comes from it."""

    SUCCESS = "success"
    EXIT_CODE = "exit-code"  # the command or interpreter ended with a code other than 0
    EXCEPTION = "exception"  # the function raised: `value` holds the serialised exception
    KILLED = "killed"  # a signal ended it, and it was not ours
    TIME_LIMIT = "time-limit"
    CANCELLED = "cancelled"
    OUTPUT_MISSING = "output-missing"  # it succeeded without making an output that it had promised
    INPUT_MISSING = "input-missing"  # an input does not exist, or its declaration failed
    INPUT_CHANGED = "input-changed"  # a local file is no longer what was declared
    INPUT_ALTERED = "input-altered"  # the task wrote to an input that it shares with others
    DEPENDENCY_FAILED = "dependency-failed"  # a task whose result it takes did not succeed
    NO_WORKER_FITS = "no-worker-fits"  # it asks for more than any worker that could come has
    WORKER_LOST = "worker-lost"  # every allowed attempt ended with the loss of its worker
    DISK_FULL = "disk-full"  # its data did not fit into the space of any worker tried
    START_FAILED = "start-failed"  # the interpreter or function host could not be started
    TRANSFER_FAILED = "transfer-failed"  # no source could deliver an input or output


class Resources(Part, frozen=True):
    """What a worker has or an attempt is given."""

    cores: Amount = 0.0
    memory_mb: Amount = 0.0
    disk_mb: Amount = 0.0
    gpus: Amount = 0.0


class Request(Part, frozen=True):
    """What a task asks for; None is shared out in proportion to what it names."""

    cores: Amount | None = None
    memory_mb: Amount | None = None
    disk_mb: Amount | None = None
    gpus: Amount | None = None


class TreeEntry(Part, frozen=True):
    """One member of a directory object; `target` is set for symbolic links, size -1 for folders."""

    path: Path
    mode: Annotated[int, msgspec.Meta(ge=0, le=0o777)]
    size: Annotated[int, msgspec.Meta(ge=-1, le=2**63 - 1)]
    target: Annotated[str, msgspec.Meta(max_length=config.path_chars_max)] | None = None


class Manifest(Part, frozen=True):
    """What an object's bytes are: `hashes` holds 32 bytes of BLAKE3 a chunk, in order.

    A directory has `tree`, sorted by path; its chunks run over its files joined in that order.
    """

    version: int
    size: Count
    chunk_bytes: Annotated[int, msgspec.Meta(gt=0, le=config.chunk_bytes_max)]
    hashes: bytes
    tree: tuple[TreeEntry, ...] | None = None


class Signature(Part, frozen=True):
    """What the file system says of a local file's version: enough to notice a change."""

    size: Count
    mtime_ns: int
    ctime_ns: int


class FileSpec(Part, frozen=True):
    """A declared file. `data` is set for small buffers; `path` for local files and staged buffers.

    A local file, or a buffer too large to travel inline, is bound by a `FileBound` that follows.
    """

    file_id: FileNumber
    kind: FileKind
    cache: CacheLevel
    label: Text  # what users see in messages: a path, "buffer", "temp"
    path: Path | None = None
    data: Inline | None = None
    source: FileNumber | None = None  # of UNTAR: the archive
    peer_transfer: bool = True
    exists: bool = True  # of LOCAL: False when there was nothing at the path when it was declared
    url: Url | None = None  # of URL; it may hold secrets, which the label does not


class Mount(Part, frozen=True):
    """A task's use of a file: the name it has in the sandbox."""

    file_id: FileNumber
    name: Path


class TaskSpec(Part, frozen=True):
    """A submitted task.

    `function` is a buffer holding the serialised function; `payload` the serialised arguments, or
    `payload_file` where they are too long to travel inline. The arguments refer to the results of
    other tasks by position in `depends`.
    """

    task_id: TaskNumber
    kind: TaskKind
    command: Command = ""
    function: FileNumber | None = None
    payload: Inline = b""
    payload_file: FileNumber | None = None
    depends: tuple[TaskNumber, ...] = ()
    inputs: tuple[Mount, ...] = ()
    outputs: tuple[Mount, ...] = ()
    variables: dict[Name, Text] = {}
    environment: FileNumber | None = None  # an UNTAR file whose bin/ is put in front of PATH
    request: Request = Request()
    priority: Annotated[float, msgspec.Meta(ge=-1e9, le=1e9)] = 0.0
    retries: Count = 0  # after a failure of its own; the loss of a worker is not counted here
    time_limit_s: Seconds | None = None
    features: tuple[Name, ...] = ()
    label: Text = ""  # what users see: the function's name or the command's start
    tag: Text = ""


class Times(Part, frozen=True):
    """Where an attempt's time on its worker went."""

    stage_in_s: Seconds = 0.0  # from its arrival until every input was there and verified
    wait_s: Seconds = 0.0  # from then until it started
    run_s: Seconds = 0.0  # the body alone
    collect_s: Seconds = 0.0  # taking its outputs into the store


class TaskResult(Part, frozen=True):
    """A task's committed end, as its client hears it."""

    task_id: TaskNumber
    outcome: Outcome
    exit_code: int | None = None
    value: bytes | None = None  # serialised result or exception
    value_path: Path | None = None  # where a value over the inline limit lies; the reader removes it
    message: Text = ""  # what went wrong and what to do, in one line
    stdout: bytes = b""
    stderr: bytes = b""
    truncated: bool = False  # stdout or stderr was longer than what is kept
    worker_id: WorkerId | None = None
    hostname: Text = ""
    attempts: Count = 1
    times: Times = Times()
    task_s: Seconds = 0.0  # from assignment to a worker until its result, by the manager's clock
    queue_s: Seconds = 0.0  # from submission until that assignment


# --- client to manager ---------------------------------------------------------------------------


class ClientHello(Message, frozen=True, tag="client-hello"):
    """Client to manager: I am here; `host_id` tells whether my paths are yours."""

    client_id: Annotated[ClientId, _NAMED]
    host_id: Annotated[HostId, _NAMED]
    python: Name


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
    """Client to manager: stop these if they have not ended."""

    task_ids: tuple[TaskNumber, ...]


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
    workers: tuple[Annotated[WorkerId, _NAMED], ...] = ()


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


ToClient = ClientWelcome | TasksEnded | FileBrought | FileSpread | RunState | Refused

# --- worker to manager ---------------------------------------------------------------------------


class WorkerHello(Message, frozen=True, tag="worker-hello"):
    """Worker to manager: I am here, this is what I have, and here my transfer node listens."""

    worker_id: Annotated[WorkerId, _NAMED]
    host_id: Annotated[HostId, _NAMED]
    hostname: Name
    pid: Count
    capacity: Resources
    features: tuple[Name, ...]
    python: Name
    requests_endpoint: Endpoint  # takes wants
    chunks_endpoint: Endpoint  # takes chunks
    log_path: Text = ""


class TasksStarted(Message, frozen=True, tag="tasks-started"):
    """Worker to manager: the bodies of these attempts run."""

    attempts: tuple[AttemptId, ...]


class MadeOutput(Part, frozen=True):
    """An output that an attempt has left on its worker."""

    file_id: FileNumber
    object_id: Hash
    manifest: Manifest


class AttemptResult(Part, frozen=True):
    """How an attempt ended. A large value waits on the worker as object `value_object`."""

    attempt: AttemptId
    outcome: Outcome
    exit_code: int | None = None
    value: Inline | None = None
    value_object: Hash | None = None
    value_manifest: Manifest | None = None
    outputs: tuple[MadeOutput, ...] = ()
    message: Text = ""
    stdout: bytes = b""
    stderr: bytes = b""
    truncated: bool = False
    times: Times = Times()


class AttemptsEnded(Message, frozen=True, tag="attempts-ended"):
    """Worker to manager: these attempts are over."""

    results: tuple[AttemptResult, ...]


class ObjectsHeld(Message, frozen=True, tag="objects-held"):
    """Worker to manager: these objects are complete and verified here; `forever` are those of that cache level."""

    object_ids: tuple[Hash, ...]
    forever: tuple[Hash, ...] = ()  # They stay, though you may know of no file that they are.


class ObjectsLost(Message, frozen=True, tag="objects-lost"):
    """Worker to manager: these objects are here no more, or could not be made here."""

    object_ids: tuple[Hash, ...]
    message: Text
    disk_full: bool = False


class ObjectsEvicted(Message, frozen=True, tag="objects-evicted"):
    """Worker to manager: these objects are not here any more: they had to make room, or were dropped as ordered."""

    object_ids: tuple[Hash, ...]


class FetchFault(enum.Enum):
    """Why a transfer ended without its object."""

    NONE = "none"
    SOURCE_GONE = "source-gone"  # it stopped answering
    SOURCE_BUSY = "source-busy"  # it serves its cap of others
    SOURCE_REFUSED = "source-refused"  # it does not have the object, or does not know the plan
    SOURCE_CHANGED = "source-changed"  # the local file there is no longer what was declared
    BAD_CHUNKS = "bad-chunks"  # its bytes failed the hash twice
    DISK_FULL = "disk-full"  # here
    ABANDONED = "abandoned"  # the manager withdrew it


class FetchEnded(Message, frozen=True, tag="fetch-ended"):
    """Worker to manager: a transfer into me is over; `fault` NONE means the object is complete."""

    transfer_id: TransferId
    object_id: Hash
    fault: FetchFault
    received_bytes: Count
    seconds: Seconds
    message: Text = ""
    source: WorkerId | None = None  # who is to blame, where it is one of several sources
    received_bytes_from_manager: Count = 0  # of those received


class SourceSlow(Message, frozen=True, tag="source-slow"):
    """Worker to manager: this source sends less than half of what it should; I ask its backup meanwhile."""

    transfer_id: TransferId
    object_id: Hash
    source: WorkerId  # who names itself gets so little of all its sources that it must not feed others
    silent: bool = False  # It sends nothing at all, as if it were dead.


class DownloadFault(enum.Enum):
    """Why a download ended without content."""

    NONE = "none"
    # The URL is to blame: it would be the same on any worker.
    REFUSED = "refused"  # the server will not give it (4xx), or leads to where we do not follow
    UNTRUSTED = "untrusted"  # its certificate does not hold
    SERVER_FAILED = "server-failed"  # 5xx or 429 in every try
    TRUNCATED = "truncated"  # the body broke off in every try
    # The worker may be to blame.
    UNREACHABLE = "unreachable"  # no connection from here, or silence
    UNREADABLE = "unreadable"  # of file URLs: there is no such file here, or it may not be read
    DISK_FULL = "disk-full"  # here
    ABANDONED = "abandoned"  # the manager withdrew it


class DownloadEnded(Message, frozen=True, tag="download-ended"):
    """Worker to manager: a download is over; with `fault` NONE the object is complete here, hashed in full."""

    download_id: TransferId
    fault: DownloadFault
    object_id: Hash | None = None
    manifest: Manifest | None = None
    received_bytes: Count = 0  # of all tries
    seconds: Seconds = 0.0
    message: Text = ""


class WorkerStatus(Message, frozen=True, tag="worker-status"):
    """Worker to manager: still here (the heartbeat), and how I am."""

    store_bytes: Count
    free_disk_bytes: Count
    sent_bytes: Count  # by this worker's transfer node, since it started
    received_bytes: Count
    flows_out: Count  # transfers served now
    flows_out_max: Count  # most served at once since the start
    malformed: Count  # messages dropped as malformed or unauthorised


class WorkerBye(Message, frozen=True, tag="worker-bye"):
    """Worker to manager: I leave; what ran here has been stopped."""

    reason: Text


FromWorker = (
    WorkerHello
    | TasksStarted
    | AttemptsEnded
    | ObjectsHeld
    | ObjectsLost
    | ObjectsEvicted
    | FetchEnded
    | SourceSlow
    | DownloadEnded
    | WorkerStatus
    | WorkerBye
)

# --- manager to worker ---------------------------------------------------------------------------


class WorkerWelcome(Message, frozen=True, tag="worker-welcome"):
    """Manager to worker: you are admitted. Wants that peers bring you carry tokens made with `source_key`."""

    run_id: RunId
    epoch: Count
    source_key: Token
    transfers_max: Count  # flows that your node may serve at once


class ObjectMount(Part, frozen=True):
    """An attempt's use of an object: the name it has in the sandbox."""

    object_id: Hash
    name: Path


class DependencyValue(Part, frozen=True):
    """The result of a task that an attempt's arguments refer to: inline, or as an object."""

    task_id: TaskNumber
    value: Inline | None = None
    object_id: Hash | None = None


class Assignment(Part, frozen=True):
    """An attempt for a worker. It starts when every object that it names is complete there."""

    attempt: AttemptId
    task_id: TaskNumber
    kind: TaskKind
    allotment: Resources
    command: Command = ""
    function: Hash | None = None
    payload: Inline = b""
    payload_object: Hash | None = None
    values: tuple[DependencyValue, ...] = ()
    inputs: tuple[ObjectMount, ...] = ()
    outputs: tuple[Mount, ...] = ()
    variables: dict[Name, Text] = {}
    environment: Hash | None = None
    time_limit_s: Seconds | None = None
    label: Text = ""


class RunAttempts(Message, frozen=True, tag="run-attempts"):
    """Manager to worker: these attempts are yours, in this order."""

    assignments: tuple[Assignment, ...]


class CancelAttempts(Message, frozen=True, tag="cancel-attempts"):
    """Manager to worker: stop these; answer with their results (CANCELLED, or what came first)."""

    attempts: tuple[AttemptId, ...]


class InlineObject(Part, frozen=True):
    object_id: Hash
    data: Inline
    cache: CacheLevel = CacheLevel.WORKFLOW


class StoreObjects(Message, frozen=True, tag="store-objects"):
    """Manager to worker: keep these small objects; answer `ObjectsHeld`. They are spare."""

    objects: tuple[InlineObject, ...]


class SourceEdge(Part, frozen=True):
    """A node that may be asked for an object's chunks: `token` proves to it that the manager said so."""

    source: WorkerId
    role: Role  # whose key its sockets have: SERVER for the manager, else WORKER
    requests_endpoint: Endpoint
    token: Token


class FetchObject(Message, frozen=True, tag="fetch-object"):
    """Manager to worker: pull this object; chunk j comes from source j mod len(sources). It is spare.

    Backup j, where there is one, may be asked for what source j does not send; it has kept no slot for that.
    """

    transfer_id: TransferId
    object_id: Hash
    manifest: Manifest
    sources: tuple[SourceEdge, ...]
    cache: CacheLevel = CacheLevel.WORKFLOW
    backups: tuple[SourceEdge | None, ...] = ()


class ChangeSources(Message, frozen=True, tag="change-sources"):
    """Manager to worker: pull from these from now on, if the transfer still runs; what has come stays."""

    transfer_id: TransferId
    sources: tuple[SourceEdge, ...]
    backups: tuple[SourceEdge | None, ...] = ()


class AbandonFetch(Message, frozen=True, tag="abandon-fetch"):
    """Manager to worker: nobody needs this transfer any more, or its source is gone."""

    transfer_id: TransferId


class UnpackObject(Message, frozen=True, tag="unpack-object"):
    """Manager to worker: unpack `archive`, be it here or yet to come, as directory object `object_id`. It is spare."""

    object_id: Hash
    archive: Hash
    label: Text
    cache: CacheLevel = CacheLevel.WORKFLOW


class DownloadUrl(Message, frozen=True, tag="download-url"):
    """Manager to worker: download this and hash it; nobody else does meanwhile. Answer `DownloadEnded`."""

    download_id: TransferId
    url: Url
    label: Text  # the URL as it may be shown


class AbandonDownload(Message, frozen=True, tag="abandon-download"):
    """Manager to worker: nobody needs this download any more; it is answered all the same."""

    download_id: TransferId


class RateObjects(Message, frozen=True, tag="rate-objects"):
    """Manager to worker: what these objects of yours are worth.

    What you have made yourself is not `spare`, what you were sent is, until this says otherwise: spare
    objects have another copy or can be made again. For room you may remove those that nothing of yours
    uses, and tell it with `ObjectsEvicted`.
    """

    object_ids: tuple[Hash, ...]
    spare: bool
    cache: CacheLevel


class VerifyObjects(Message, frozen=True, tag="verify-objects"):
    """Manager to worker: bad chunks of these came from you; hash them again, answer `ObjectsHeld` or `ObjectsLost`."""

    object_ids: tuple[Hash, ...]


class DropObjects(Message, frozen=True, tag="drop-objects"):
    """Manager to worker: these objects are not needed here any more."""

    object_ids: tuple[Hash, ...]


class EndWorker(Message, frozen=True, tag="end-worker"):
    """Manager to worker: stop what runs, clean the workspace, exit."""

    reason: Text


ToWorker = (
    WorkerWelcome
    | RunAttempts
    | CancelAttempts
    | StoreObjects
    | FetchObject
    | ChangeSources
    | AbandonFetch
    | UnpackObject
    | DownloadUrl
    | AbandonDownload
    | RateObjects
    | VerifyObjects
    | DropObjects
    | EndWorker
    | Refused
)

# --- factory -------------------------------------------------------------------------------------


class FactoryHello(Message, frozen=True, tag="factory-hello"):
    """Factory to manager: I can start up to this many workers of this size."""

    factory_id: Name
    batch_type: Name
    min_workers: Count
    max_workers: Count
    capacity: Resources


class FactoryStatus(Message, frozen=True, tag="factory-status"):
    """Factory to manager: still here (the heartbeat), and how my fleet stands."""

    starting: Count
    running: Count
    message: Text = ""  # the last trouble that it had in starting workers


FromFactory = FactoryHello | FactoryStatus


class FactoryWelcome(Message, frozen=True, tag="factory-welcome"):
    """Manager to factory: you are admitted."""

    run_id: RunId
    epoch: Count


class WorkDemand(Part, frozen=True):
    """How many tasks ask for this much each."""

    request: Request
    tasks: Count


class FleetDemand(Message, frozen=True, tag="fleet-demand"):
    """Manager to factory: the work there is, and the workers that are connected or idle."""

    waiting: tuple[WorkDemand, ...]
    running: tuple[WorkDemand, ...]
    connected: tuple[WorkerId, ...]
    idle: tuple[WorkerId, ...]


class EndFactory(Message, frozen=True, tag="end-factory"):
    """Manager to factory: the run is over; release everything and exit."""

    reason: Text


ToFactory = FactoryWelcome | FleetDemand | EndFactory | Refused
