"""Which complete, verified objects does this node keep on disk?"""

from __future__ import annotations

import itertools
import mmap
import os
import re
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from vine import config
from vine.content import folders
from vine.content.budget import Budget
from vine.content.growing import Growing
from vine.content.hashing import manifest_of_bytes, manifest_of_file, manifest_of_tree
from vine.content.ledger import Entry, Ledger, has_content
from vine.content.manifest import Layout, check_manifest, chunk_count, object_id
from vine.content.partial import Partial
from vine.content.table import Held, Table
from vine.errors import DiskFull, FileChanged, MalformedMessage, VineError
from vine.names import ObjectId
from vine.wire.messages import Manifest

_OBJECT_ID = re.compile(r"[0-9a-f]{64}")


@dataclass(slots=True)
class _Coming:
    """An object on its way in; without a Partial it waits to be resumed, or is being unpacked."""

    size: int
    partial: Partial | None = None
    released: bool = False


class Store:
    """A folder of objects: `objects/` complete and read-only, `partial/` arriving, `quarantine/` altered.

    Safe for several threads. Of what an earlier worker left in the folder, `resume` keeps what is still as
    it was verified; without it the store begins empty. What is complete is given up for room once its owner
    has called it spare and while it is not pinned, least recently used first; `take_evicted` tells it.
    """

    def __init__(self, root: Path, capacity_bytes: int | None = None, resume: bool = False) -> None:
        self.root = Path(os.path.abspath(root))
        self.objects = self.root / "objects"
        self.map_files = False  # Only where no task can truncate a file under a map: reading there would kill us.
        self._partial = self.root / "partial"
        self._quarantine = self.root / "quarantine"
        self._lock = threading.RLock()
        self._held = Table()
        self._coming: dict[ObjectId, _Coming] = {}
        self.pin = self._held.pin  # What something uses, here or yet to come, stays until it was unpinned as often.
        self.unpin = self._held.unpin
        self.on_evicted: Callable[[], None] = lambda: None  # Called on any thread.
        self._quarantined: dict[Path, int] = {}
        self._maps: OrderedDict[ObjectId, memoryview] = OrderedDict()
        self._numbers = itertools.count(1)
        self._lock_file = folders.take(self.root)
        self._budget = Budget(self.root, capacity_bytes, self._give_up_what_nobody_needs)
        ledger = self.root / "ledger"
        for folder in (self.objects, self._partial, self._quarantine, ledger):
            folder.mkdir(exist_ok=True)
        self._ledger = Ledger(ledger)
        if resume:
            self._resume()
        else:
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

    def room_bytes(self) -> int:
        """What would fit if all that may go were given up."""
        with self._lock:
            left_over = sum(self._quarantined.values())
            left_over += sum(coming.size for coming in self._coming.values() if coming.released)
            return self._budget.free_bytes() + left_over + self._held.free_able_bytes

    def held(self) -> dict[ObjectId, bool]:
        """The complete objects, and whether each is kept for ever."""
        with self._lock:
            return {key: self._held[key].forever for key in self._held}

    def manifest(self, key: ObjectId) -> Manifest | None:
        """That of a complete object; None of one that was unpacked here. KeyError if it is not here."""
        return self._held[key].manifest

    # --- what is needed ---

    def rate(self, key: ObjectId, spare: bool, forever: bool = False) -> None:
        """Whether a complete object may go for room, and whether it outlives this store."""
        held = self._held.rate(key, spare)
        if held is not None and forever != held.forever:
            with self._lock:
                held.forever = forever
                if key in self._held:
                    self._note(key, held)

    def take_evicted(self) -> tuple[ObjectId, ...]:
        """What was given up since it was last asked; of what is pinned by now, nothing will follow."""
        return self._held.take_evicted()

    def altered(self, key: ObjectId) -> bool:
        """Whether an object's file, or any member of its folder, was written to, added, replaced or removed."""
        held = self._held.get(key)
        if held is None:
            return False
        try:
            return folders.signatures_of(self.objects / key) != held.signatures
        except FileNotFoundError:
            return True

    def verify(self, key: ObjectId) -> bool:
        """Whether a complete object's bytes are still its own; all are hashed. What was unpacked has times only."""
        held = self._held.get(key)
        if held is None or held.manifest is None:
            return held is not None and not self.altered(key)
        try:
            return has_content(self.objects / key, key, held.manifest)
        except (OSError, VineError):
            return False

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
            self._held.used(key)
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
            if coming is not None and coming.released and coming.size != manifest.size:
                self._give_up_rest(key)  # Of an earlier worker that had not come far.
                coming = None
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

    def arriving(self, key: ObjectId) -> Partial | None:
        """What is here of an object that a transfer brings."""
        coming = self._coming.get(key)
        return None if coming is None else coming.partial

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

    def adopt(self, path: Path, manifest: Manifest | None = None, pin: bool = False) -> tuple[ObjectId, Manifest]:
        """Take a file or folder that a task has made into the store; nothing is left at the path.

        `manifest` is for callers that have just hashed it. With `pin` it is pinned from its first moment,
        also where the same content was here before and may go. FileMissing if it is not there,
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
            self._keep(key, passage, Layout(manifest), manifest.size, pin)
            return key, manifest
        finally:
            folders.remove(passage)

    def begin_growing(self) -> Growing:
        """A file of which nothing is known yet; its room is reserved as it grows."""
        return Growing(self._partial / f"growing-{next(self._numbers)}", self._budget, self._lock)

    def keep_grown(self, growing: Growing) -> tuple[ObjectId, Manifest]:
        """All of it is here: hash it, and keep it as `adopt` with `pin` does. Its room passes to the object."""
        growing.finish()
        manifest, _signature = manifest_of_file(growing.path)
        with self._lock:
            growing.give_room_back()
            return self.adopt(growing.path, manifest, pin=True)

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

    def _keep(self, key: ObjectId, path: Path, layout: Layout | None, size: int, pin: bool = False) -> None:
        """Make what lies at the path the object: read-only, with its version noted."""
        folders.protect(path, keep_times=layout is None)
        signatures = folders.signatures_within(path)
        arrived = path == self._partial / key
        with self._lock:
            if key in self._held:  # Made here and fetched, or made twice: content is the same.
                self._held.made_again(key)
                if pin:
                    self.pin(key)
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
            held = Held(size, signatures, layout)
            self._held.add(key, held)
            if pin:
                self.pin(key)
            if size > config.inline_bytes_max:  # Smaller ones come again faster than they are checked.
                self._note(key, held)
            if coming is not None:
                del self._coming[key]

    def _note(self, key: ObjectId, held: Held) -> None:
        self._ledger.write(key, held.size, held.forever, held.manifest, held.signatures)

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
                self._give_up_rest(key)
            held = self._held.take(key, even_pinned=False)
            if held is None:
                return False
            path = self._take_out(key, held)
            self._budget.give_back(self._quarantined.pop(path))
        folders.remove(path)
        return True

    def quarantine(self, key: ObjectId) -> None:
        """An object was altered: no later task may see it, however often it is pinned."""
        with self._lock:
            held = self._held.take(key, even_pinned=True)
            if held is not None:
                self._take_out(key, held)

    def _take_out(self, key: ObjectId, held: Held) -> Path:
        self._maps.pop(key, None)
        self._ledger.forget(key)
        path = self._quarantine / f"{key}.{next(self._numbers)}"
        folders.open_folder(self.objects / key)
        os.rename(self.objects / key, path)
        self._quarantined[path] = held.size
        return path

    def _give_up_what_nobody_needs(self, lacking: int) -> None:
        """Before anything is refused: what was altered, what broken transfers left, then what is spare."""
        before = self._budget.used_bytes
        self._empty_quarantine()
        for key, coming in list(self._coming.items()):
            if coming.released:
                self._give_up_rest(key)
        gone = self._held.give_up(lacking - (before - self._budget.used_bytes))
        for key, held in gone:
            self._take_out(key, held)
        self._empty_quarantine()
        if gone:
            self.on_evicted()

    def _empty_quarantine(self) -> None:
        for path, freed in list(self._quarantined.items()):
            folders.remove(path)
            del self._quarantined[path]
            self._budget.give_back(freed)

    def _give_up_rest(self, key: ObjectId) -> None:
        folders.remove(self._partial / key)
        self._forget_coming(key)

    # --- beginning and end ---

    def _resume(self) -> None:
        """Take over what an earlier worker left and is still what was verified, as far as it fits.

        What had been arriving is hashed when it is wanted again.
        """
        for key, entry in sorted(self._ledger.entries(), key=lambda pair: not pair[1].forever):
            if _OBJECT_ID.fullmatch(key) and self._ledger.is_good(key, entry, self.objects / key):
                self._take_over(key, entry)
        self._remove_all_but(self._held)
        for path in list(self._partial.iterdir()):
            if not (_OBJECT_ID.fullmatch(path.name) and self._reserved(size := folders.bytes_in(path))):
                folders.remove(path)
            else:
                self._coming[ObjectId(path.name)] = _Coming(size, released=True)

    def _take_over(self, key: ObjectId, entry: Entry) -> None:
        if not self._reserved(entry.size):
            return
        layout = None if entry.manifest is None else Layout(entry.manifest)
        held = Held(entry.size, folders.signatures_of(self.objects / key), layout, entry.forever)
        self._held.add(key, held)
        self._note(key, held)

    def _reserved(self, size: int) -> bool:
        try:
            self._budget.reserve(size, on_disk_already=True)
        except DiskFull:
            return False
        return True

    def _remove_all_but(self, kept: Iterable[ObjectId]) -> None:
        """Of complete objects, and of what was altered everything."""
        names = set(kept)
        for folder in (self.objects, self.root / "ledger"):
            for name in os.listdir(folder):
                if name not in names:
                    folders.remove(folder / name)
        folders.remove_members(self._quarantine)

    def clear(self, keep_forever: bool = False) -> bool:
        """Remove everything, pinned or not, or all but what is kept for ever; the empty store can be used on.

        Whether anything was kept: the next store in this folder finds it.
        """
        with self._lock:
            for coming in self._coming.values():
                if coming.partial is not None:
                    coming.partial.close()
            kept = [key for key in self._held if keep_forever and self._held[key].forever]
            self._held.clear()
            for table in (self._coming, self._quarantined, self._maps):
                table.clear()
            self._budget.used_bytes = 0
            self._remove_all_but(kept)
            folders.remove_members(self._partial)
        return bool(kept)

    def close(self) -> None:
        """Let another store use the folder."""
        os.close(self._lock_file)


def _checked(key: ObjectId) -> ObjectId:
    assert _OBJECT_ID.fullmatch(key), "an id that names a file has been checked before"
    return key
