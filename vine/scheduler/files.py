"""What is each declared file, which object is its content, and who holds that object."""

from __future__ import annotations

from collections.abc import Iterator, Set

import msgspec

from vine import config
from vine.content.manifest import chunk_count, derived_id
from vine.names import MANAGER, FileId, ObjectId, TaskId, WorkerId
from vine.scheduler.actions import PeerKey
from vine.wire.parts import CacheLevel, FileKind, FileSpec, Manifest, Outcome

_NONE: frozenset[FileId] = frozenset()  # Shared: few files have any.
_UNPACKED_FACTOR = 4  # How much heavier a placement counts an unpacked archive: 4.4 GB for the paper's 908 MB.


class FileRecord(msgspec.Struct, gc=False, eq=False):
    """A declared file: a name that tasks use, and the object that it stands for at present."""

    spec: FileSpec
    client: PeerKey
    object_id: ObjectId | None = None
    failure: tuple[Outcome, str] | None = None  # why no task can ever use it
    producer: TaskId | None = None  # the task that makes it ...
    earlier: tuple[TaskId, ...] = ()  # ... and those that made it before, or were to, should that one fail
    users: int = 0  # tasks not yet ended that take it
    waiting: set[TaskId] = msgspec.field(default_factory=set)  # tasks that wait for it to exist
    unpacked: list[FileId] = msgspec.field(default_factory=list)  # UNTAR files whose archive this is
    recipes: Set[FileId] = _NONE  # MINITASK files whose making waits for this one's content to be known
    bring: list[PeerKey] = msgspec.field(default_factory=list)  # clients that asked for its content
    path: str | None = None  # where the manager's node reads it
    copies: int = 1  # hosts that are to keep it, where workers hold it
    forgotten: bool = False

    @property
    def file_id(self) -> FileId:
        return self.spec.file_id


class ObjectRecord(msgspec.Struct, gc=False, eq=False):
    """Some content, however many files stand for it."""

    object_id: ObjectId
    manifest: Manifest | None  # None for an unpacked archive, which is made and never sent
    label: str
    data: bytes | None = None  # where it is small enough to travel inline
    archive: ObjectId | None = None  # what it is unpacked from
    peer_transfer: bool = True
    cache: CacheLevel = CacheLevel.TASK  # the longest of its files
    holders: set[WorkerId] = msgspec.field(default_factory=set)  # complete and verified there; MANAGER: served there
    copies: int = 1  # the most that one of its files is to have
    keepers: frozenset[WorkerId] = frozenset()  # the holders that must not give it up, each on a host of its own
    files: set[FileId] = msgspec.field(default_factory=set)  # that stand for it
    results: set[TaskId] = msgspec.field(default_factory=set)  # tasks that returned it
    relayed: Set[WorkerId] = frozenset()  # workers that can get it from no other worker: they get it by the manager

    @property
    def is_small(self) -> bool:
        return self.manifest is not None and chunk_count(self.manifest) < config.small_object_chunks


class FileTable:
    """All files and objects of the run."""

    def __init__(self) -> None:
        self.by_id: dict[FileId, FileRecord] = {}
        self.objects: dict[ObjectId, ObjectRecord] = {}
        self._of_url: dict[str, dict[FileId, None]] = {}
        self.content_of_url: dict[str, ObjectId] = {}  # as it was downloaded last, whether or not there are copies
        self.unclaimed: dict[ObjectId, set[WorkerId]] = {}  # kept on workers, though no file stands for it

    def declare(self, spec: FileSpec, client: PeerKey) -> FileRecord:
        assert spec.file_id not in self.by_id, f"file {spec.file_id} was declared twice"
        record = FileRecord(spec, client)
        self.by_id[spec.file_id] = record
        if spec.url is not None:
            self._of_url.setdefault(spec.url, {})[spec.file_id] = None
        return record

    def forget(self, record: FileRecord) -> None:
        """Nobody will name the file again."""
        del self.by_id[record.file_id]
        if record.spec.url is not None:
            del self._of_url[record.spec.url][record.file_id]
            if not self._of_url[record.spec.url]:
                del self._of_url[record.spec.url]
                self.content_of_url.pop(record.spec.url, None)

    def bind(self, record: FileRecord, object_id: ObjectId, manifest: Manifest | None) -> ObjectRecord:
        """Let the file stand for this content from now on."""
        assert record.object_id is None, f"file {record.file_id} is bound already"
        known = self.objects.get(object_id)
        if known is None:
            known = ObjectRecord(object_id, manifest, record.spec.label, peer_transfer=record.spec.peer_transfer)
            self.objects[object_id] = known
        known.peer_transfer = known.peer_transfer and record.spec.peer_transfer
        known.files.add(record.file_id)
        known.copies = max(known.copies, record.copies)
        record.object_id = object_id
        return known

    def unbind(self, record: FileRecord) -> ObjectRecord | None:
        """The file stands for nothing now; returns its object if no other file stands for it."""
        object_id, record.object_id = record.object_id, None
        if object_id is None:
            return None
        known = self.objects[object_id]
        known.files.discard(record.file_id)
        if record.copies > 1:
            self.count_copies(known)
        if known.files or known.results:
            return None
        del self.objects[object_id]
        return known

    def count_copies(self, known: ObjectRecord) -> None:
        """A file that stands, or stood, for the object may want another number of copies than before."""
        known.copies = max((self.by_id[file_id].copies for file_id in known.files), default=1)

    def object_of(self, file_id: FileId) -> ObjectRecord | None:
        object_id = self.by_id[file_id].object_id
        return None if object_id is None else self.objects[object_id]

    def is_available(self, file_id: FileId) -> bool:
        """Whether a worker can be given the file now: it exists somewhere, or can be made there."""
        object_id = self.by_id[file_id].object_id  # Asked several times a task.
        return object_id is not None and self.can_be_had(self.objects[object_id])

    def can_be_had(self, known: ObjectRecord) -> bool:
        if known.archive is None:
            return known.data is not None or bool(known.holders)
        # What is unpacked never leaves its host, so that other hosts need the archive, whoever has unpacked it.
        archive = self.objects.get(known.archive)
        return archive is not None and self.can_be_had(archive)

    def is_served(self, known: ObjectRecord) -> bool:
        """Whether the manager's node has it."""
        return MANAGER in known.holders

    def weight_bytes(self, known: ObjectRecord) -> int:
        """How much it matters for placement that a worker holds this."""
        if known.archive is not None:
            archive = self.objects.get(known.archive)
            return _UNPACKED_FACTOR * self.weight_bytes(archive) if archive is not None else 0
        return 0 if known.manifest is None or known.data is not None else known.manifest.size

    def is_used(self, known: ObjectRecord) -> bool:
        """Whether a task that has not ended takes a file of this content, or one unpacked from it."""
        records = [self.by_id[file_id] for file_id in known.files]
        return any(record.users or any(self.by_id[u].users for u in record.unpacked) for record in records)

    def of_url(self, url: str) -> list[FileRecord]:
        """All files of this URL, the one that was declared first in front."""
        return [self.by_id[file_id] for file_id in self._of_url.get(url, ())]

    def of_client(self, client: PeerKey) -> Iterator[FileRecord]:
        return (record for record in self.by_id.values() if record.client == client)


def unpacked_id(archive: ObjectId) -> ObjectId:
    """The identity of an unpacked archive: which archive, and that it is unpacked."""
    return derived_id("untar", archive)


def is_output_only(record: FileRecord) -> bool:
    """Whether the file can only come to exist as a task's output."""
    return record.spec.kind is FileKind.TEMP or (record.spec.kind is FileKind.LOCAL and not record.spec.exists)
