"""Which complete, verified objects does this node keep on disk?"""

from __future__ import annotations

import itertools
import mmap
import os
import re
import threading
from collections import Counter, OrderedDict
from dataclasses import dataclass
from pathlib import Path

from vine import config
from vine.content import folders
from vine.content.budget import Budget
from vine.content.folders import Signatures
from vine.content.hashing import manifest_of_bytes, manifest_of_file, manifest_of_tree
from vine.content.manifest import Layout, check_manifest, chunk_count, object_id
from vine.content.partial import Partial
from vine.errors import FileChanged, MalformedMessage
from vine.names import ObjectId
from vine.wire.messages import Manifest

_OBJECT_ID = re.compile(r"[0-9a-f]{64}")


@dataclass(slots=True)
class _Held:
    """A complete object; what was unpacked here has no layout and is not served."""

    size: int
    signatures: Signatures
    layout: Layout | None


@dataclass(slots=True)
class _Coming:
    """An object on its way in; without a Partial it waits to be resumed, or is being unpacked."""

    size: int
    partial: Partial | None = None
    released: bool = False


class Store:
    """A folder of objects: `objects/` complete and read-only, `partial/` arriving, `quarantine/` altered.

    Safe for several threads. It begins empty: what an earlier worker left in the folder is removed.
    """

    def __init__(self, root: Path, capacity_bytes: int | None = None) -> None:
        self.root = Path(os.path.abspath(root))
        self.objects = self.root / "objects"
        self.map_files = False  # Only where no task can truncate a file under a map: reading there would kill us.
        self._partial = self.root / "partial"
        self._quarantine = self.root / "quarantine"
        self._lock = threading.RLock()
        self._held: dict[ObjectId, _Held] = {}
        self._coming: dict[ObjectId, _Coming] = {}
        self._pins: Counter[ObjectId] = Counter()
        self._quarantined: dict[Path, int] = {}
        self._maps: OrderedDict[ObjectId, memoryview] = OrderedDict()
        self._numbers = itertools.count(1)
        self._lock_file = folders.take(self.root)
        self._budget = Budget(self.root, capacity_bytes, self._give_up_what_nobody_needs)
        for folder in (self.objects, self._partial, self._quarantine):
            folder.mkdir(exist_ok=True)
        self.clear()

    # --- what is here ---

    def has(self, key: ObjectId) -> bool:
        return key in self._held

    def path(self, key: ObjectId) -> Path:
        """Where a complete object lies; KeyError if it is not here."""
        if key not in self._held:
            raise KeyError(key)
        return self.objects / key

    @property
    def used_bytes(self) -> int:
        """Bytes of all objects, those that are arriving counted whole."""
        return self._budget.used_bytes

    def free_bytes(self) -> int:
        """What still fits, into the budget and onto the disk."""
        return self._budget.free_bytes()

    def pin(self, key: ObjectId) -> None:
        """Something uses the object: `remove` leaves it until it was unpinned as often."""
        with self._lock:
            self._pins[key] += 1

    def unpin(self, key: ObjectId) -> None:
        with self._lock:
            assert self._pins[key] > 0, "every unpin follows its pin"
            self._pins[key] -= 1
            if not self._pins[key]:
                del self._pins[key]

    def altered(self, key: ObjectId) -> bool:
        """Whether an object's file, or any member of its folder, was written to, added, replaced or removed."""
        held = self._held.get(key)
        if held is None:
            return False
        try:
            return folders.signatures_of(self.objects / key) != held.signatures
        except FileNotFoundError:
            return True

    def read_chunk(self, key: ObjectId, manifest: Manifest, index: int) -> memoryview | bytes:
        """A chunk for serving it, of a complete object or of one that is arriving; KeyError if it is not here."""
        coming = self._coming.get(key)
        partial = coming.partial if coming is not None else None
        if partial is not None:
            try:
                return partial.read(index)
            except (KeyError, FileNotFoundError):
                pass  # Not here yet, or just committed: the lock below waits for that to end.
        with self._lock:
            held = self._held.get(key)
            if held is None or held.layout is None:
                raise KeyError(key)
            if self.map_files and manifest.tree is None:
                offset = index * manifest.chunk_bytes
                return self._map_of(key)[offset : offset + manifest.chunk_bytes]
        pieces = [folders.read_span(self.objects / key / name, *span) for name, *span in held.layout.extents(index)]
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _map_of(self, key: ObjectId) -> memoryview:
        view = self._maps.get(key)
        if view is None:
            with (self.objects / key).open("rb") as file:
                view = memoryview(mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ))
            self._maps[key] = view
            if len(self._maps) > config.mapped_objects_max:
                self._maps.popitem(last=False)  # What is being sent from it keeps it alive.
        self._maps.move_to_end(key)
        return view

    # --- what arrives in chunks ---

    def begin(self, key: ObjectId, manifest: Manifest) -> Partial:
        """Make room for an object; what an earlier transfer left of it is hashed, and kept where it is good.

        Two transfers of one object share its Partial. DiskFull if it does not fit, MalformedMessage if
        the manifest is not the object's.
        """
        check_manifest(manifest)
        if object_id(manifest) != key:
            raise MalformedMessage(f"the manifest is not that of object {key}")
        with self._lock:
            coming = self._coming.get(key)
            if coming is None:
                self._budget.reserve(manifest.size)
                coming = self._coming[key] = _Coming(manifest.size)
            if coming.partial is not None:
                return coming.partial
            try:
                coming.partial = partial = Partial(key, manifest, self._partial / key, self)
            except BaseException:
                self._forget_coming(key)
                raise
        if coming.released:
            coming.released = False
            partial.recheck()
        return partial

    def partial_complete(self, partial: Partial) -> None:
        """As the owner of its Partials: one has every chunk."""
        self._keep(partial.object_id, partial.path, Layout(partial.manifest), partial.manifest.size)

    def partial_released(self, partial: Partial) -> None:
        with self._lock:
            coming = self._coming.get(partial.object_id)
            if coming is not None and coming.partial is partial:
                coming.partial, coming.released = None, True

    def partial_discarded(self, partial: Partial) -> None:
        with self._lock:
            coming = self._coming.get(partial.object_id)
            if coming is not None and coming.partial is partial:
                self._forget_coming(partial.object_id)

    # --- what is made here ---

    def put_bytes(self, key: ObjectId, data: bytes) -> None:
        """Keep a small object; MalformedMessage if the bytes are not the object's."""
        manifest = manifest_of_bytes(data)
        if object_id(manifest) != key:
            raise MalformedMessage(f"{len(data)} bytes that are not object {key}")
        if self.has(key):
            return
        partial = self.begin(key, manifest)
        for index in range(chunk_count(manifest)):
            partial.write(index, memoryview(data)[index * manifest.chunk_bytes :][: manifest.chunk_bytes])
        partial.commit()

    def adopt(self, path: Path, manifest: Manifest | None = None) -> tuple[ObjectId, Manifest]:
        """Take a file or folder that a task has made into the store; nothing is left at the path.

        `manifest` is for callers that have just hashed it. FileMissing if it is not there,
        FileChanged if something still writes to it, DiskFull if it exceeds the budget.
        """
        passage = self._partial / f"adopted-{next(self._numbers)}"
        folders.move(path, passage)
        try:
            if passage.is_dir():
                folders.part_from_others(passage)
            before = folders.signatures_of(passage)
            if manifest is None:
                manifest = manifest_of_tree(passage) if passage.is_dir() else manifest_of_file(passage)[0]
            if folders.signatures_of(passage) != before:
                raise FileChanged(f"{path} changed while it was read: end what writes to it before the task ends")
            key = object_id(manifest)
            self._keep(key, passage, Layout(manifest), manifest.size)
            return key, manifest
        finally:
            folders.remove(passage)

    def begin_tree(self, key: ObjectId) -> Path:
        """An empty folder in which an archive may be unpacked as this object."""
        path = self._partial / _checked(key)
        with self._lock:
            self._forget_coming(key)
            self._coming[key] = _Coming(0)
        folders.remove(path)
        path.mkdir()
        return path

    def commit_tree(self, key: ObjectId) -> int:
        """The archive is unpacked: keep the folder; returns its bytes. DiskFull if they exceed the budget."""
        path = self._partial / _checked(key)
        size = folders.bytes_in(path)
        try:
            self._keep(key, path, None, size)
        finally:
            self.discard_tree(key)
        return size

    def discard_tree(self, key: ObjectId) -> None:
        """Unpacking has failed: remove what is there of it."""
        folders.remove(self._partial / _checked(key))
        with self._lock:
            self._forget_coming(key)

    def _keep(self, key: ObjectId, path: Path, layout: Layout | None, size: int) -> None:
        """Make what lies at the path the object: read-only, with its version noted."""
        folders.protect(path, keep_times=layout is None)
        signatures = folders.signatures_within(path)
        arrived = path == self._partial / key
        with self._lock:
            if key in self._held:  # Made here and fetched, or made twice: content is the same.
                folders.remove(path)
                if arrived:
                    self._forget_coming(key)
                return
            # Its room was reserved when it began to come. What was made here needs room of its own, and a
            # transfer of the same content that still runs ends by finding it held.
            coming = self._coming.get(key) if arrived else None
            self._budget.reserve(size - (coming.size if coming is not None else 0), on_disk_already=True)
            place = self.objects / key
            os.rename(path, place)
            signatures[""] = folders.seal(place)
            self._held[key] = _Held(size, signatures, layout)
            if coming is not None:
                del self._coming[key]

    def _forget_coming(self, key: ObjectId) -> None:
        coming = self._coming.pop(key, None)
        if coming is not None:
            self._budget.give_back(coming.size)

    # --- what goes ---

    def remove(self, key: ObjectId) -> bool:
        """Remove an object, or what a broken transfer left of it; False if it is pinned, and so stays, or not here."""
        with self._lock:
            coming = self._coming.get(key)
            if coming is not None and coming.released:
                folders.remove(self._partial / key)
                self._forget_coming(key)
            if key not in self._held or self._pins[key]:
                return False
            path = self._take_out(key)
            self._budget.give_back(self._quarantined.pop(path))
        folders.remove(path)
        return True

    def quarantine(self, key: ObjectId) -> None:
        """An object was altered: no later task may see it, however often it is pinned."""
        with self._lock:
            if key in self._held:
                self._take_out(key)

    def _take_out(self, key: ObjectId) -> Path:
        held = self._held.pop(key)
        self._maps.pop(key, None)
        path = self._quarantine / f"{key}.{next(self._numbers)}"
        folders.open_folder(self.objects / key)
        os.rename(self.objects / key, path)
        self._quarantined[path] = held.size
        return path

    def _give_up_what_nobody_needs(self, size: int) -> None:
        """Before `size` bytes are refused: what was altered, and what broken transfers left.

        Complete objects stay. Which of them could go is a question that only the manager can answer, who
        knows whether there are other copies.
        """
        for path, freed in list(self._quarantined.items()):
            folders.remove(path)
            del self._quarantined[path]
            self._budget.give_back(freed)
        for key, coming in list(self._coming.items()):
            if coming.released:
                folders.remove(self._partial / key)
                self._forget_coming(key)

    def clear(self) -> None:
        """Remove everything, pinned or not; the empty store can be used on."""
        with self._lock:
            for coming in self._coming.values():
                if coming.partial is not None:
                    coming.partial.close()
            for table in (self._held, self._coming, self._pins, self._quarantined, self._maps):
                table.clear()
            self._budget.used_bytes = 0
            for folder in (self.objects, self._partial, self._quarantine):
                folders.remove_members(folder)

    def close(self) -> None:
        """Let another store use the folder."""
        os.close(self._lock_file)


def _checked(key: ObjectId) -> ObjectId:
    assert _OBJECT_ID.fullmatch(key), "an id that names a file has been checked before"
    return key
