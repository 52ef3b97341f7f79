"""What does the scheduler want done: the actions that its driver carries out, in order."""

from __future__ import annotations

from dataclasses import dataclass

from vine.names import ObjectId, TransferId
from vine.names import PeerKey as PeerKey
from vine.scheduler.records import Record
from vine.wire.messages import Message
from vine.wire.parts import FetchFault, Manifest, Signature
from vine.wire.worker_messages import FetchObject


@dataclass(frozen=True, slots=True)
class Send:
    """Put this message into the peer's session."""

    peer: PeerKey
    message: Message


@dataclass(frozen=True, slots=True)
class Forget:
    """The peer has left or is given up: drop its session (after what was sent to it)."""

    peer: PeerKey


@dataclass(frozen=True, slots=True)
class Journal:
    """Write these down, in order: all records of a step."""

    records: tuple[Record, ...]


@dataclass(frozen=True, slots=True)
class Serve:
    """Let the manager's own transfer node serve this object from `path`.

    A signature other than None is what the path's file must still have when it is read.
    """

    object_id: ObjectId
    manifest: Manifest
    path: str
    signature: Signature | None


@dataclass(frozen=True, slots=True)
class StopServing:
    """No file stands for this object any more."""

    object_id: ObjectId


@dataclass(frozen=True, slots=True)
class VerifyServed:
    """Hash what is served as this object again; answer with `LocalVerified`."""

    object_id: ObjectId


@dataclass(frozen=True, slots=True)
class Fetch:
    """Let the manager's own transfer node pull an object to `destination`; answer with a `Local...` event."""

    order: FetchObject
    destination: str


@dataclass(frozen=True, slots=True)
class AbandonLocal:
    """Stop a `Fetch`; it needs no answer."""

    transfer_id: TransferId


@dataclass(frozen=True, slots=True)
class CopyFile:
    """Copy what lies at `path` (where the file system can, without copying bytes)."""

    path: str
    second: str


@dataclass(frozen=True, slots=True)
class WriteFile:
    """Put these few bytes into a file of the run's staging folder."""

    path: str
    data: bytes


@dataclass(frozen=True, slots=True)
class RemoveFile:
    """Remove a file or directory of the run's staging folder."""

    path: str


@dataclass(frozen=True, slots=True)
class EndRun:
    """All has been said: flush, then end the process."""

    reason: str


Action = (
    Send
    | Forget
    | Journal
    | Serve
    | StopServing
    | VerifyServed
    | Fetch
    | AbandonLocal
    | CopyFile
    | WriteFile
    | RemoveFile
    | EndRun
)


@dataclass(frozen=True, slots=True)
class LocalFetched:
    """The manager's node has pulled an object and put it at its destination."""

    transfer_id: TransferId
    object_id: ObjectId
    received_bytes: int
    seconds: float


@dataclass(frozen=True, slots=True)
class LocalFetchFailed:
    """The manager's node could not pull an object."""

    transfer_id: TransferId
    object_id: ObjectId
    fault: FetchFault
    message: str
    received_bytes: int
    seconds: float


@dataclass(frozen=True, slots=True)
class LocalVerified:
    """What the manager serves was hashed again; `message` says what is wrong with it, if anything is."""

    object_id: ObjectId
    message: str


LocalEvent = LocalFetched | LocalFetchFailed | LocalVerified
