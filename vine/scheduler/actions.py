"""What does the scheduler want done: the actions that its driver carries out, in order."""

from __future__ import annotations

import msgspec

from vine.names import ObjectId, TransferId
from vine.names import PeerKey as PeerKey
from vine.scheduler.records import Record
from vine.wire.messages import Message
from vine.wire.parts import FetchFault, Manifest, Signature
from vine.wire.worker_messages import FetchObject


class Send(msgspec.Struct, frozen=True, gc=False):
    """Put this message into the peer's session."""

    peer: PeerKey
    message: Message


class Forget(msgspec.Struct, frozen=True, gc=False):
    """The peer has left or is given up: drop its session (after what was sent to it)."""

    peer: PeerKey


class Journal(msgspec.Struct, frozen=True, gc=False):
    """Write these down, in order: all records of a step."""

    records: tuple[Record, ...]


class AskJournal(msgspec.Struct, frozen=True, gc=False):
    """When all that was recorded until now is written, answer with `JournalWritten`."""


class Serve(msgspec.Struct, frozen=True, gc=False):
    """Let the manager's own transfer node serve this object from `path`.

    A signature other than None is what the path's file must still have when it is read.
    """

    object_id: ObjectId
    manifest: Manifest
    path: str
    signature: Signature | None


class StopServing(msgspec.Struct, frozen=True, gc=False):
    """No file stands for this object any more."""

    object_id: ObjectId


class VerifyServed(msgspec.Struct, frozen=True, gc=False):
    """Hash what is served as this object again; answer with `LocalVerified`."""

    object_id: ObjectId


class Fetch(msgspec.Struct, frozen=True, gc=False):
    """Let the manager's own transfer node pull an object to `destination`; answer with a `Local...` event."""

    order: FetchObject
    destination: str


class AbandonLocal(msgspec.Struct, frozen=True, gc=False):
    """Stop a `Fetch`; it needs no answer."""

    transfer_id: TransferId


class CopyFile(msgspec.Struct, frozen=True, gc=False):
    """Copy what lies at `path` (where the file system can, without copying bytes)."""

    path: str
    second: str


class WriteFile(msgspec.Struct, frozen=True, gc=False):
    """Put these few bytes into a file of the run's staging folder."""

    path: str
    data: bytes


class WritePart(msgspec.Struct, frozen=True, gc=False):
    """Put these few bytes where a client wants an output, from `offset` on; at 0 the file begins anew."""

    path: str
    offset: int
    data: bytes


class Unlink(msgspec.Struct, frozen=True, gc=False):
    """Remove what lies at a path of a client's, who wants it gone with its last use."""

    path: str


class RemoveFile(msgspec.Struct, frozen=True, gc=False):
    """Remove a file or directory of the run's staging folder.

    With `when_written` not before all is written that was recorded until now: another manager may need it till then.
    """

    path: str
    when_written: bool = False


class EndRun(msgspec.Struct, frozen=True, gc=False):
    """All has been said: flush, then end the process."""

    reason: str


Action = (
    Send
    | Forget
    | Journal
    | AskJournal
    | Serve
    | StopServing
    | VerifyServed
    | Fetch
    | AbandonLocal
    | CopyFile
    | WriteFile
    | WritePart
    | Unlink
    | RemoveFile
    | EndRun
)


class LocalFetched(msgspec.Struct, frozen=True, gc=False):
    """The manager's node has pulled an object and put it at its destination."""

    transfer_id: TransferId
    object_id: ObjectId
    received_bytes: int
    seconds: float


class LocalFetchFailed(msgspec.Struct, frozen=True, gc=False):
    """The manager's node could not pull an object."""

    transfer_id: TransferId
    object_id: ObjectId
    fault: FetchFault
    message: str
    received_bytes: int
    seconds: float


class LocalVerified(msgspec.Struct, frozen=True, gc=False):
    """What the manager serves was hashed again; `message` says what is wrong with it, if anything is."""

    object_id: ObjectId
    message: str


class JournalWritten(msgspec.Struct, frozen=True, gc=False):
    """All is written that had been recorded when the journal was asked."""


LocalEvent = LocalFetched | LocalFetchFailed | LocalVerified | JournalWritten
