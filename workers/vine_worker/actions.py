"""What does the worker's core ask of its driver, and what does the driver tell it: actions and local events."""

from __future__ import annotations

from dataclasses import dataclass, field

from vine.names import AttemptId, FileId, ObjectId, TransferId
from vine.wire.parts import Assignment, InlineObject, LibraryOrder, Limits, MadeOutput, Manifest, Measured, Outcome
from vine.wire.worker_messages import ChangeSources, DownloadUrl, FetchObject, FromWorker
from vine_worker.functions.pool import HostKind
from vine_worker.resources import Grant

# --- actions -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Send:
    message: FromWorker


@dataclass(frozen=True, slots=True)
class Admitted:
    """The manager has welcomed us: wants are checked with this key, and so many flows served."""

    source_key: bytes
    transfers_max: int


@dataclass(frozen=True, slots=True)
class StartFetch:
    order: FetchObject


@dataclass(frozen=True, slots=True)
class ChangeFetch:
    """Let a fetch that runs go on from other sources."""

    change: ChangeSources


@dataclass(frozen=True, slots=True)
class StopFetch:
    transfer_id: TransferId


@dataclass(frozen=True, slots=True)
class KeepObject:
    """Put these bytes into the store; answered by `Kept`."""

    item: InlineObject


@dataclass(frozen=True, slots=True)
class StartUnpack:
    """Answered by `Unpacked`."""

    object_id: ObjectId
    archive: ObjectId
    label: str
    ahead: bool = False  # the archive still arrives: nothing is kept before `ArchiveCame`


@dataclass(frozen=True, slots=True)
class ArchiveCame:
    """The archive that is unpacked as this object is complete and verified."""

    object_id: ObjectId


@dataclass(frozen=True, slots=True)
class StopUnpack:
    """End it, and leave nothing of it; answered by `Unpacked` as ever."""

    object_id: ObjectId


@dataclass(frozen=True, slots=True)
class StartDownload:
    """Answered by `DownloadEnded`, with the object pinned."""

    order: DownloadUrl


@dataclass(frozen=True, slots=True)
class StopDownload:
    """It is answered all the same."""

    download_id: TransferId


@dataclass(frozen=True, slots=True)
class Unpin:
    """Ended attempts and unpackings need these no more; what they need was pinned as `WorkerCore.claims` said."""

    object_ids: tuple[ObjectId, ...]


@dataclass(frozen=True, slots=True)
class Rate:
    """These may go for room, or not; `forever`: they stay in the workspace when the worker ends."""

    object_ids: tuple[ObjectId, ...]
    spare: bool
    forever: bool


@dataclass(frozen=True, slots=True)
class Verify:
    """Hash this object again; answered by `Verified`."""

    object_id: ObjectId


@dataclass(frozen=True, slots=True)
class RemoveObjects:
    object_ids: tuple[ObjectId, ...]


@dataclass(frozen=True, slots=True)
class StartBody:
    """Make the sandbox and start the command or interpreter, when another one ends; answered by `BodyEnded`."""

    assignment: Assignment
    grant: Grant
    behind: AttemptId | None = None  # that other one; None is at once


@dataclass(frozen=True, slots=True)
class TakeBackBody:
    """Do not start what waits behind another one; answered by `BodyReturned`, unless it has been started already."""

    attempt: AttemptId


@dataclass(frozen=True, slots=True)
class KillBody:
    attempt: AttemptId
    force: bool


@dataclass(frozen=True, slots=True)
class Probe:
    """A body that runs, on a host or (None) by itself, and what it may use."""

    attempt: AttemptId
    host: int | None
    limits: Limits | None


@dataclass(frozen=True, slots=True)
class MeasureUse:
    """Answered by `Used`."""

    probes: tuple[Probe, ...]


@dataclass(frozen=True, slots=True)
class Watched:
    """An output that is looked at while its task runs, and how much of it the manager has been told."""

    attempt: AttemptId
    file_id: FileId
    name: str
    told_bytes: int


@dataclass(frozen=True, slots=True)
class LookAtOutputs:
    """Answered by `Grown`."""

    outputs: tuple[Watched, ...]


@dataclass(frozen=True, slots=True)
class Collect:
    """Take what the attempt left, check its inputs, remove its sandbox; answered by `Collected`."""

    assignment: Assignment
    succeeded: bool  # its outputs are to be kept
    value_path: str | None  # a value over the inline limit
    value_wanted: bool
    measured: bool = False  # what lies in its sandbox is to be told
    wanted: bool = True  # It was not cancelled: outputs of a failure are to be kept.


@dataclass(frozen=True, slots=True)
class StartHost:
    """Answered by `HostReady`, later `HostEnded`."""

    host: int
    kind: HostKind


@dataclass(frozen=True, slots=True)
class StartLibrary:
    """Load a library in a process that hosts of this kind are then forked from.

    Answered by `LibraryReady`, later `LibraryGone`, or by `LibraryGone` alone.
    """

    instance: int
    order: LibraryOrder
    content: ObjectId
    kind: HostKind


@dataclass(frozen=True, slots=True)
class EndLibrary:
    instance: int
    force: bool


@dataclass(frozen=True, slots=True)
class RunCall:
    """Give the call to the host; answered by `CallsEnded`."""

    host: int
    assignment: Assignment


@dataclass(frozen=True, slots=True)
class TakeBack:
    """Take back the calls that the host has not begun; answered by `CallsReturned`."""

    host: int


@dataclass(frozen=True, slots=True)
class EndHost:
    host: int
    force: bool


@dataclass(frozen=True, slots=True)
class End:
    """Stop everything, clean up, exit."""

    reason: str


Action = (
    Send
    | Admitted
    | StartFetch
    | ChangeFetch
    | StopFetch
    | KeepObject
    | StartUnpack
    | StartDownload
    | StopDownload
    | ArchiveCame
    | StopUnpack
    | Unpin
    | Rate
    | Verify
    | RemoveObjects
    | StartBody
    | TakeBackBody
    | KillBody
    | MeasureUse
    | LookAtOutputs
    | Collect
    | StartHost
    | StartLibrary
    | EndLibrary
    | RunCall
    | TakeBack
    | EndHost
    | End
)

# --- local events --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Kept:
    object_id: ObjectId
    message: str = ""  # why it could not be kept
    disk_full: bool = False


@dataclass(frozen=True, slots=True)
class Arriving:
    """Room was made for an object that a transfer brings: what comes of it can be read from now on."""

    object_id: ObjectId


@dataclass(frozen=True, slots=True)
class Unpacked:
    object_id: ObjectId
    message: str = ""  # why it could not be unpacked
    disk_full: bool = False
    cut: bool = False  # it was stopped, or what had come of its archive is gone: it can be begun again


@dataclass(frozen=True, slots=True)
class Verified:
    """Whether the object's bytes are still its own; if not, it is in nobody's reach any more."""

    object_id: ObjectId
    good: bool


@dataclass(frozen=True, slots=True)
class Evicted:
    """The store needed room, and gave up these."""

    object_ids: tuple[ObjectId, ...]


@dataclass(frozen=True, slots=True)
class Lost:
    """Another worker of this host has found these altered, whoever needs them here."""

    object_ids: tuple[ObjectId, ...]


@dataclass(frozen=True, slots=True)
class Ending:
    """How a body ended, before its outputs were looked at."""

    outcome: Outcome
    exit_code: int | None = None
    message: str = ""
    value: bytes | None = None
    value_path: str | None = None  # where the body left a value over the inline limit
    run_s: float | None = None  # by the body's own clock
    cpu_s: float = field(default=0.0, compare=False)
    memory_mb: float = field(default=0.0, compare=False)  # that its largest process had at most
    left_mb: float = field(default=0.0, compare=False)  # of a call: that its host has left


@dataclass(frozen=True, slots=True)
class BodyEnded:
    attempt: AttemptId
    ending: Ending


@dataclass(frozen=True, slots=True)
class BodyReturned:
    """It had not begun, and will not; nothing of it is left."""

    attempt: AttemptId


@dataclass(frozen=True, slots=True)
class Collected:
    """What an attempt left; `outcome` is set when that changes how it ended."""

    attempt: AttemptId
    outcome: Outcome | None = None
    message: str = ""
    outputs: tuple[MadeOutput, ...] = ()
    altered: tuple[ObjectId, ...] = ()
    value_object: ObjectId | None = None
    value_manifest: Manifest | None = None
    stdout: bytes = b""
    stderr: bytes = b""
    truncated: bool = False
    disk_mb: float = 0.0  # that lay in its sandbox


@dataclass(frozen=True, slots=True)
class Used:
    """What bodies use now; of calls, whose host had others before, no processor time."""

    uses: tuple[tuple[AttemptId, Measured], ...]


@dataclass(frozen=True, slots=True)
class Grown:
    """What watched outputs have had added: where that begins, and the bytes. One that begins at 0 was begun anew."""

    parts: tuple[tuple[AttemptId, FileId, int, bytes], ...]


@dataclass(frozen=True, slots=True)
class HostReady:
    host: int


@dataclass(frozen=True, slots=True)
class LibraryReady:
    """It is loaded. Where it cannot be forked, each of its hosts loads it for itself, and runs its calls itself."""

    instance: int
    forkable: bool


@dataclass(frozen=True, slots=True)
class LibraryGone:
    """Its process has ended, and so do all hosts that were forked from it."""

    instance: int
    message: str
    value: bytes | None = None  # the serialised exception that was raised while it loaded


@dataclass(frozen=True, slots=True)
class CallsEnded:
    """How these calls of a host ended, in the order in which they ran."""

    host: int
    ends: tuple[tuple[AttemptId, Ending], ...]


@dataclass(frozen=True, slots=True)
class CallsReturned:
    """These calls had not begun; what the host has besides is at most the call that it runs."""

    host: int
    attempts: tuple[AttemptId, ...]


@dataclass(frozen=True, slots=True)
class HostEnded:
    """The host's process is gone; `unread` are the calls that it had not begun."""

    host: int
    ending: Ending
    unread: tuple[AttemptId, ...]


LocalEvent = (
    Kept
    | Arriving
    | Unpacked
    | Verified
    | Evicted
    | BodyEnded
    | BodyReturned
    | Collected
    | Used
    | Grown
    | HostReady
    | LibraryReady
    | LibraryGone
    | CallsEnded
    | CallsReturned
    | HostEnded
)
