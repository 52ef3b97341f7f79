"""What does the worker's core ask of its driver, and what does the driver tell it: actions and local events."""

from __future__ import annotations

import msgspec

from vine.names import AttemptId, FileId, ObjectId, TransferId
from vine.wire.parts import Assignment, InlineObject, LibraryOrder, Limits, MadeOutput, Manifest, Measured, Outcome
from vine.wire.worker_messages import ChangeSources, DownloadUrl, FetchObject, FromWorker
from vine_worker.functions.pool import HostKind
from vine_worker.resources import Grant


class Said(msgspec.Struct, frozen=True, gc=False):
    """What core and driver say to each other: several for each call, and so of the kind that is made fastest."""


# --- actions -------------------------------------------------------------------------------------


class Send(Said, frozen=True):
    message: FromWorker


class Admitted(Said, frozen=True):
    """The manager has welcomed us: wants are checked with this key, and so many flows served."""

    source_key: bytes
    transfers_max: int


class StartFetch(Said, frozen=True):
    order: FetchObject


class ChangeFetch(Said, frozen=True):
    """Let a fetch that runs go on from other sources."""

    change: ChangeSources


class StopFetch(Said, frozen=True):
    transfer_id: TransferId


class KeepObject(Said, frozen=True):
    """Put these bytes into the store; answered by `Kept`."""

    item: InlineObject


class StartUnpack(Said, frozen=True):
    """Answered by `Unpacked`."""

    object_id: ObjectId
    archive: ObjectId
    label: str
    ahead: bool = False  # the archive still arrives: nothing is kept before `ArchiveCame`


class ArchiveCame(Said, frozen=True):
    """The archive that is unpacked as this object is complete and verified."""

    object_id: ObjectId


class StopUnpack(Said, frozen=True):
    """End it, and leave nothing of it; answered by `Unpacked` as ever."""

    object_id: ObjectId


class StartDownload(Said, frozen=True):
    """Answered by `DownloadEnded`, with the object pinned."""

    order: DownloadUrl


class StopDownload(Said, frozen=True):
    """It is answered all the same."""

    download_id: TransferId


class Unpin(Said, frozen=True):
    """Ended attempts and unpackings need these no more; what they need was pinned as `WorkerCore.claims` said."""

    times: dict[ObjectId, int]  # how many of them each object


class Rate(Said, frozen=True):
    """These may go for room, or not; `forever`: they stay in the workspace when the worker ends."""

    object_ids: tuple[ObjectId, ...]
    spare: bool
    forever: bool


class Verify(Said, frozen=True):
    """Hash this object again; answered by `Verified`."""

    object_id: ObjectId


class RemoveObjects(Said, frozen=True):
    object_ids: tuple[ObjectId, ...]


class StartBody(Said, frozen=True):
    """Make the sandbox and start the command or interpreter, when another one ends; answered by `BodyEnded`."""

    assignment: Assignment
    grant: Grant
    behind: AttemptId | None = None  # that other one; None is at once


class TakeBackBody(Said, frozen=True):
    """Do not start what waits behind another one; answered by `BodyReturned`, unless it has been started already."""

    attempt: AttemptId


class KillBody(Said, frozen=True):
    attempt: AttemptId
    force: bool


class Probe(Said, frozen=True):
    """A body that runs, on a host or (None) by itself, and what it may use."""

    attempt: AttemptId
    host: int | None
    limits: Limits | None


class MeasureUse(Said, frozen=True):
    """Answered by `Used`."""

    probes: tuple[Probe, ...]


class Watched(Said, frozen=True):
    """An output that is looked at while its task runs, and how much of it the manager has been told."""

    attempt: AttemptId
    file_id: FileId
    name: str
    told_bytes: int


class LookAtOutputs(Said, frozen=True):
    """Answered by `Grown`."""

    outputs: tuple[Watched, ...]


class Collect(Said, frozen=True):
    """Take what the attempt left, check its inputs, remove its sandbox; answered by `Collected`."""

    assignment: Assignment
    succeeded: bool  # its outputs are to be kept
    value_path: str | None  # a value over the inline limit
    value_wanted: bool
    measured: bool = False  # what lies in its sandbox is to be told
    wanted: bool = True  # It was not cancelled: outputs of a failure are to be kept.


class StartHost(Said, frozen=True):
    """Answered by `HostReady`, later `HostEnded`."""

    host: int
    kind: HostKind


class StartLibrary(Said, frozen=True):
    """Load a library in a process that hosts of this kind are then forked from.

    Answered by `LibraryReady`, later `LibraryGone`, or by `LibraryGone` alone.
    """

    instance: int
    order: LibraryOrder
    content: ObjectId
    kind: HostKind


class EndLibrary(Said, frozen=True):
    instance: int
    force: bool


class RunCall(Said, frozen=True):
    """Give the call to the host; answered by `CallsEnded`."""

    host: int
    assignment: Assignment


class TakeBack(Said, frozen=True):
    """Take back the calls that the host has not begun; answered by `CallsReturned`."""

    host: int


class EndHost(Said, frozen=True):
    host: int
    force: bool


class End(Said, frozen=True):
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


class Kept(Said, frozen=True):
    object_id: ObjectId
    message: str = ""  # why it could not be kept
    disk_full: bool = False


class Arriving(Said, frozen=True):
    """Room was made for an object that a transfer brings: what comes of it can be read from now on."""

    object_id: ObjectId


class Unpacked(Said, frozen=True):
    object_id: ObjectId
    message: str = ""  # why it could not be unpacked
    disk_full: bool = False
    cut: bool = False  # it was stopped, or what had come of its archive is gone: it can be begun again


class Verified(Said, frozen=True):
    """Whether the object's bytes are still its own; if not, it is in nobody's reach any more."""

    object_id: ObjectId
    good: bool


class Evicted(Said, frozen=True):
    """The store needed room, and gave up these."""

    object_ids: tuple[ObjectId, ...]


class Lost(Said, frozen=True):
    """Another worker of this host has found these altered, whoever needs them here."""

    object_ids: tuple[ObjectId, ...]


class Ending(Said, frozen=True, eq=False):
    """How a body ended, before its outputs were looked at. Two are equal if they tell the same, whatever was used."""

    outcome: Outcome
    exit_code: int | None = None
    message: str = ""
    value: bytes | None = None
    value_path: str | None = None  # where the body left a value over the inline limit
    run_s: float | None = None  # by the body's own clock
    cpu_s: float = 0.0
    memory_mb: float = 0.0  # that its largest process had at most
    left_mb: float = 0.0  # of a call: that its host has left

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Ending) and self._told == other._told

    def __hash__(self) -> int:
        return hash(self._told)

    @property
    def _told(self) -> tuple[object, ...]:
        return self.outcome, self.exit_code, self.message, self.value, self.value_path, self.run_s


class BodyEnded(Said, frozen=True):
    attempt: AttemptId
    ending: Ending


class BodyReturned(Said, frozen=True):
    """It had not begun, and will not; nothing of it is left."""

    attempt: AttemptId


class Collected(Said, frozen=True):
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
    spilled: str | None = None  # as in `AttemptResult`
    disk_mb: float = 0.0  # that lay in its sandbox


class Used(Said, frozen=True):
    """What bodies use now; of calls, whose host had others before, no processor time."""

    uses: tuple[tuple[AttemptId, Measured], ...]
    printed: tuple[tuple[AttemptId, int], ...] = ()  # how many bytes, of those that have printed any


class Grown(Said, frozen=True):
    """What watched outputs have had added: where that begins, and the bytes. One that begins at 0 was begun anew."""

    parts: tuple[tuple[AttemptId, FileId, int, bytes], ...]


class HostReady(Said, frozen=True):
    host: int
    loaded_mb: float = 0.0  # by its library, before any call
    forked: bool = False  # from a process of that, whose memory this is


class LibraryReady(Said, frozen=True):
    """It is loaded. Where it cannot be forked, each of its hosts loads it for itself, and runs its calls itself."""

    instance: int
    forkable: bool


class LibraryGone(Said, frozen=True):
    """Its process has ended, and so do all hosts that were forked from it."""

    instance: int
    message: str
    value: bytes | None = None  # the serialised exception that was raised while it loaded


class CallsEnded(Said, frozen=True):
    """How these calls of a host ended, in the order in which they ran."""

    host: int
    ends: tuple[tuple[AttemptId, Ending], ...]


class CallsReturned(Said, frozen=True):
    """These calls had not begun; what the host has besides is at most the call that it runs."""

    host: int
    attempts: tuple[AttemptId, ...]


class HostEnded(Said, frozen=True):
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
