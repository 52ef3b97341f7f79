"""What do manager and workers say to each other on the control sockets: every message, declared once.

Messages are the cores' events too. A struct travels as the msgpack array [tag, field, ...].
"""

from __future__ import annotations

from typing import Annotated

from vine.names import AttemptId, HostId, RunId, TransferId, WorkerId
from vine.wire.messages import Message, Refused
from vine.wire.parts import (
    NAMED,
    Amount,
    Assignment,
    AttemptResult,
    BegunAttempt,
    CacheLevel,
    Count,
    DownloadFault,
    Endpoint,
    FetchFault,
    FileNumber,
    Hash,
    Inline,
    InlineObject,
    Manifest,
    Name,
    Resources,
    Seconds,
    SourceEdge,
    Text,
    Token,
    Url,
)

# --- worker to manager ---------------------------------------------------------------------------


class WorkerHello(Message, frozen=True, tag="worker-hello"):
    """Worker to manager: I am here, this is what I have, and here my transfer node listens."""

    worker_id: Annotated[WorkerId, NAMED]
    host_id: Annotated[HostId, NAMED]
    hostname: Name
    pid: Count
    capacity: Resources
    features: tuple[Name, ...]
    python: Name
    requests_endpoint: Endpoint  # takes wants
    chunks_endpoint: Endpoint  # takes chunks
    log_path: Text = ""
    wall_time_s: Seconds | None = None  # that I was given, from my start ...
    time_left_s: Seconds | None = None  # ... and what is left of it
    epoch: Count = 0  # of the manager that has admitted me last: `WorkerReturned` will tell what I have of it


class WorkerReturned(Message, frozen=True, tag="worker-returned"):
    """Worker to manager: I was admitted before, and have kept these. Stop those attempts that are not yours.

    They have begun; of those that have ended since, the ends follow. If you do not know what these have `made`, you
    will then.
    """

    attempts: tuple[BegunAttempt, ...]
    object_ids: tuple[Hash, ...] = ()
    forever: tuple[Hash, ...] = ()
    made: tuple[Hash, ...] = ()


class TasksStarted(Message, frozen=True, tag="tasks-started"):
    """Worker to manager: the bodies of these attempts run."""

    attempts: tuple[AttemptId, ...]


class AttemptsEnded(Message, frozen=True, tag="attempts-ended"):
    """Worker to manager: these attempts are over."""

    results: tuple[AttemptResult, ...]


class OutputGrown(Message, frozen=True, tag="output-grown"):
    """Worker to manager: this has been added to a watched output at this place; at 0 it has begun (anew)."""

    attempt: AttemptId
    file_id: FileNumber
    offset: Count
    data: Inline


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


class DownloadEnded(Message, frozen=True, tag="download-ended"):
    """Worker to manager: a download is over; with `fault` NONE the object is complete here, hashed in full."""

    download_id: TransferId
    fault: DownloadFault
    object_id: Hash | None = None
    manifest: Manifest | None = None
    received_bytes: Count = 0  # of all tries
    seconds: Seconds = 0.0
    message: Text = ""


class LibraryLoaded(Message, frozen=True, tag="library-loaded"):
    """Worker to manager: this library has been loaded here, and takes calls."""

    library: FileNumber
    seconds: Seconds  # that it took


class LibraryEnded(Message, frozen=True, tag="library-ended"):
    """Worker to manager: this library is loaded here no more. Its calls here, if there are any, are told apart."""

    library: FileNumber
    failed: bool  # else nobody used it, and it had to make room, or was removed
    message: Text = ""
    value: Inline | None = None  # the serialised exception, if one was raised while it loaded


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
    | WorkerReturned
    | TasksStarted
    | AttemptsEnded
    | OutputGrown
    | ObjectsHeld
    | ObjectsLost
    | ObjectsEvicted
    | FetchEnded
    | SourceSlow
    | DownloadEnded
    | LibraryLoaded
    | LibraryEnded
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


class RunAttempts(Message, frozen=True, tag="run-attempts"):
    """Manager to worker: these attempts are yours, in this order."""

    assignments: tuple[Assignment, ...]


class EndsJournaled(Message, frozen=True, tag="ends-journaled"):
    """Manager to worker: of your `AttemptsEnded` since you joined, or came back, the first so many are in the journal.

    Should I be started again you need not say them once more.
    """

    messages: Count


class CancelAttempts(Message, frozen=True, tag="cancel-attempts"):
    """Manager to worker: stop these; answer with their results (CANCELLED, or what came first)."""

    attempts: tuple[AttemptId, ...]


class StoreObjects(Message, frozen=True, tag="store-objects"):
    """Manager to worker: keep these small objects; answer `ObjectsHeld`. They are spare."""

    objects: tuple[InlineObject, ...]


class FetchObject(Message, frozen=True, tag="fetch-object"):
    """Manager to worker: pull this object; chunk j comes from source j mod len(sources). It is spare.

    Backup j, where there is one, may be asked for what source j does not send; it has kept no slot for that.
    `patience` is what the times are multiplied by after which that is so.
    """

    transfer_id: TransferId
    object_id: Hash
    manifest: Manifest
    sources: tuple[SourceEdge, ...]
    cache: CacheLevel = CacheLevel.WORKFLOW
    backups: tuple[SourceEdge | None, ...] = ()
    patience: Amount = 1.0


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
    | EndsJournaled
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
