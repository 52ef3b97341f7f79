"""Which complete, verified objects does this node keep on disk?"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from vine.content import folders
from vine.content.entrance import Entrance, is_small
from vine.content.folders import Contents
from vine.content.growing import Growing
from vine.content.hashing import manifest_of_bytes, manifest_of_file, manifest_of_tree
from vine.content.manifest import Layout, check_manifest, chunk_count, object_id
from vine.content.maps import Maps
from vine.content.partial import Partial, Present, disk_full_or
from vine.content.reuse import Reuse, chunk_at
from vine.content.sharing import Share
from vine.content.space import is_resumable
from vine.errors import FileChanged, MalformedMessage
from vine.names import ObjectId
from vine.wire.parts import Manifest


@dataclass(slots=True)
class _Coming:
    """An object on its way in, and where it lies; without a Partial it is being unpacked."""

    path: Path
    partial: Partial | None = None


class Store:
    """A folder of objects, which all stores that are opened on it share.

    Safe for several threads, and against others that use the folder, of which any may be killed at any moment.
    What one of them has received, made or unpacked is there for all, but for what is as small as what travels
    inline: of that each has its own. What is complete is given up for room once everyone who has rated it has
    called it spare and while nobody has it pinned, least recently used first; `take_evicted` tells it.

    Whoever opens the folder finds what others have in it, and what earlier ones left that is still as it was verified.
    """

    def __init__(self, root: Path, capacity_bytes: int | None = None) -> None:
        self.root = Path(os.path.abspath(root))
        self.objects = self.root / "objects"
        self.on_evicted: Callable[[], None] = lambda: None  # Called on any thread.
        self._coming: dict[ObjectId, _Coming] = {}
        self._lock = threading.RLock()  # of `_coming`
        self._share = share = Share(self.root, capacity_bytes, self._gone)
        self._ground, self._ledger, self._space, self._held = share.ground, share.ledger, share.space, share.table
        self._entrance = Entrance(share)
        self._maps = Maps(share.ledger)
        self._reuse = Reuse(self.objects, share.ledger)
        self.pin = self._held.pin  # What something uses, here or yet to come, stays until it was unpinned as often.
        self.unpin = self._held.unpin
        self.pin_often, self.unpin_often = self._held.pin_often, self._held.unpin_often

    # --- what is here ---

    def has(self, key: ObjectId) -> bool:
        return key in self._held

    def path(self, key: ObjectId) -> Path:
        """Where a complete object lies; KeyError if it is not here."""
        return self._held[key].path

    @property
    def arrivals(self) -> int:
        """How often objects have become complete here: where one lies that was here all the while does not change."""
        return self._held.arrivals

    @property
    def used_bytes(self) -> int:
        """Bytes of all objects in the folder, those that are arriving counted whole."""
        return self._space.used_bytes()

    def free_bytes(self) -> int:
        """What still fits, into the budget and onto the disk."""
        return self._space.free_bytes()

    def room_bytes(self) -> int:
        """What would fit if all that may go were given up."""
        return self._space.room_bytes()

    def held(self) -> dict[ObjectId, bool]:
        """The complete objects, and whether each is kept for ever."""
        found = ((key, self._held.get(key)) for key in self._held)
        return {key: held.forever for key, held in found if held is not None}

    def manifest(self, key: ObjectId) -> Manifest | None:
        """That of a complete object; None of one that was unpacked here. KeyError if it is not here."""
        return self._held[key].manifest

    def find(self, key: ObjectId) -> bool:
        """Whether the object is here, perhaps brought by another store; it stays until it is rated or removed."""
        if key in self._held:
            return True
        with self._ledger.writing():
            return self._entrance.learn(key) is not None

    # --- what is needed ---

    def rate(self, key: ObjectId, spare: bool, forever: bool = False) -> None:
        """Whether a complete object may go for room, and whether it outlives all stores of the folder."""
        held = self._held.get(key)
        if held is None:
            return
        if not held.shared and forever and not held.forever:
            forever = self._entrance.keep_copy(key, held)
        if (held.shared or held.forever) and (held.spare, held.forever) != (spare, forever):
            with self._ledger.writing():
                self._ledger.claim(key, spare, forever)
        held.spare, held.forever = spare, forever
        self._held.used(key)

    def call_harmless(self) -> None:
        """The tasks of this store's owner cannot write to objects.

        While those of all others that share the folder cannot, either, files are served by maps of them, and what
        one has checked another need not check again.
        """
        self._maps.call_harmless()

    def take_evicted(self) -> tuple[ObjectId, ...]:
        """What was given up since it was last asked; of what is pinned by now, nothing will follow."""
        return self._held.take_evicted()

    def look(self) -> tuple[ObjectId, ...]:
        """Finds out what other stores have given up, which `take_evicted` tells.

        Returns what is gone though it is pinned, because another store has found it altered.
        """
        used_at = self._held.take_used()
        if used_at:
            with self._ledger.writing():
                self._ledger.touch(used_at)
        present = self._ledger.look()
        if present is None:
            return ()
        self._maps.look_at_others()
        return self._held.look(present)

    def altered(self, key: ObjectId) -> bool:
        """Whether an object's file, or any member of its folder, was written to, added, replaced or removed."""
        held = self._held.get(key)
        return held is not None and held.is_altered()

    def verify(self, key: ObjectId) -> bool:
        """Whether a complete object's bytes are still its own; all are hashed. What was unpacked has times only."""
        held = self._held.get(key)
        return held is not None and held.is_verified(key)

    def read_chunk(self, key: ObjectId, manifest: Manifest, index: int) -> memoryview | bytes:
        """A chunk for serving it, of a complete object or of one that is arriving; KeyError if it is not here."""
        coming = self._coming.get(key)
        partial = coming.partial if coming is not None else None
        if partial is not None:
            try:
                return partial.read(index)
            except (KeyError, FileNotFoundError):
                with self._ledger.writing():
                    pass  # Not here yet, or just committed: this waits for that to end.
        held = self._held.get(key)
        if held is None or held.layout is None:
            raise KeyError(key)
        self._held.used(key)
        try:
            view = self._maps.view_of(key, held.path) if manifest.tree is None else None
            if view is None:
                return chunk_at(held.path, held.layout, index)
            offset = index * manifest.chunk_bytes
            return view[offset : offset + manifest.chunk_bytes]
        except FileNotFoundError:
            raise KeyError(key) from None  # Another store has given it up.

    # --- what arrives in chunks ---

    def begin(self, key: ObjectId, manifest: Manifest) -> Partial | Present:
        """Make room for an object; what an earlier transfer left of it is hashed, and kept where it is good.

        What other objects have of its chunks is copied from them, and need not come.
        Two transfers of one object share its Partial. DiskFull if it does not fit, MalformedMessage if
        the manifest is not the object's. Of what another store has brought, nothing is left to come.
        """
        check_manifest(manifest)
        if object_id(manifest) != key:
            raise MalformedMessage(f"the manifest is not that of object {key}")
        with self._lock:
            coming = self._coming.get(key)
            if coming is not None and coming.partial is not None:
                return coming.partial
            if self.find(key):
                return self._present(key, manifest)
            if is_small(manifest.size):
                path, left = self._ground.passage(), None
                self._space.reserve_own(manifest.size)
            else:
                path, left = self._space.place_for(key, manifest.size)
            partial = self._begun(key, manifest, path, left or 0)
        if left is not None:
            partial.recheck()
        if not is_small(manifest.size):
            self._reuse.fill(partial)
        return partial

    def _present(self, key: ObjectId, manifest: Manifest) -> Present:
        return Present(
            manifest,
            read=lambda index: self.read_chunk(key, manifest, index),
            is_here=lambda: self.find(key),
            unwanted=lambda: self.remove(key),
        )

    def _begun(self, key: ObjectId, manifest: Manifest, path: Path, left: int) -> Partial:
        try:
            if not is_small(manifest.size):
                self._space.reserve(path, manifest.size - left)
            partial = Partial(key, manifest, path, self)
        except BaseException:
            self._give_up(path, manifest.size)
            raise
        self._coming[key] = _Coming(path, partial)
        return partial

    def _give_up(self, path: Path, size: int) -> None:
        """Nothing will come of what had begun to arrive there."""
        if is_small(size):
            folders.remove(path)
            self._space.end_own(size)
            self._space.trim_own()
        else:
            self._space.end_place(path)

    def arriving(self, key: ObjectId) -> Partial | None:
        """What is here of an object that a transfer brings."""
        coming = self._coming.get(key)
        return None if coming is None else coming.partial

    def partial_complete(self, partial: Partial) -> None:
        """As the owner of its Partials: one has every chunk."""
        key, size = partial.object_id, partial.manifest.size
        self._entrance.keep(key, partial.path, Layout(partial.manifest), size, reserved=size)
        with self._lock:
            self._ends(partial)

    def partial_released(self, partial: Partial) -> None:
        with self._lock:
            if self._ends(partial):
                if is_resumable(partial.path):
                    with self._ledger.writing():
                        self._ledger.set_room(self._ground.name(partial.path), partial.manifest.size, ours=False)
                else:
                    self._give_up(partial.path, partial.manifest.size)

    def partial_discarded(self, partial: Partial) -> None:
        with self._lock:
            if self._ends(partial):
                self._give_up(partial.path, partial.manifest.size)

    def _ends(self, partial: Partial) -> bool:
        coming = self._coming.get(partial.object_id)
        if coming is None or coming.partial is not partial:
            return False
        del self._coming[partial.object_id]
        return True

    # --- what is made here ---

    def put_bytes(self, key: ObjectId, data: bytes) -> None:
        """Keep a small object; MalformedMessage if the bytes are not the object's."""
        manifest = manifest_of_bytes(data)
        if object_id(manifest) != key:
            raise MalformedMessage(f"{len(data)} bytes that are not object {key}")
        if self.has(key):
            return
        if not is_small(len(data)):
            partial = self.begin(key, manifest)
            for index in range(chunk_count(manifest)):
                partial.write(index, memoryview(data)[index * manifest.chunk_bytes :][: manifest.chunk_bytes])
            partial.commit()
            return
        passage = self._ground.passage()
        try:
            passage.write_bytes(data)
            self._entrance.keep(key, passage, Layout(manifest), len(data))
        except OSError as error:
            raise disk_full_or(error, passage, len(data)) from error
        finally:
            folders.remove(passage)

    def adopt(self, path: Path, manifest: Manifest | None = None, pin: bool = False) -> tuple[ObjectId, Manifest]:
        """Take a file or folder that a task has made into the store; nothing is left at the path.

        `manifest` is for callers that have just hashed it. With `pin` it is pinned from its first moment,
        also where the same content was here before and may go. FileMissing if it is not there,
        FileChanged if something still writes to it, DiskFull if it exceeds the budget.
        """
        passage = self._ground.passage()
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
            self._entrance.keep(key, passage, Layout(manifest), manifest.size, pin=pin)
            return key, manifest
        finally:
            folders.remove(passage)

    def begin_growing(self) -> Growing:
        """A file of which nothing is known yet; its room is reserved as it grows."""
        path = self._ground.passage()
        return Growing(path, lambda size: self._space.reserve(path, size), lambda: self._space.end_place(path))

    def keep_grown(self, growing: Growing) -> tuple[ObjectId, Manifest]:
        """All of it is here: hash it, and keep it as `adopt` with `pin` does. Its room passes to the object."""
        growing.finish()
        manifest, _signature = manifest_of_file(growing.path)
        key, room = object_id(manifest), 0 if is_small(manifest.size) else growing.room
        self._entrance.keep(key, growing.path, Layout(manifest), manifest.size, room, pin=True)
        growing.give_room_back()
        return key, manifest

    def begin_tree(self, key: ObjectId) -> Path:
        """An empty folder in which an archive may be unpacked as this object."""
        with self._lock:
            self._end_tree(key)
            path, _left = self._space.place_for(key, None)
            path.mkdir()
            self._coming[key] = _Coming(path)
        return path

    def place_of_tree(self, key: ObjectId) -> Path:
        """Where it will lie when it is complete."""
        return self._ground.objects / key

    def commit_tree(self, key: ObjectId, contents: Contents) -> None:
        """The archive is unpacked, to this: keep the folder. DiskFull if it exceeds the budget."""
        try:
            self._entrance.keep_unpacked(key, self._coming[key].path, contents)
        finally:
            self.discard_tree(key)

    def is_made_elsewhere(self, key: ObjectId) -> bool:
        """Whether another store is about to make the object of an archive; `find` tells what came of it."""
        with self._ledger.writing():
            return self._space.is_coming_elsewhere(key)

    def discard_tree(self, key: ObjectId) -> None:
        """Unpacking has failed: remove what is there of it."""
        with self._lock:
            self._end_tree(key)

    def _end_tree(self, key: ObjectId) -> None:
        coming = self._coming.get(key)
        if coming is not None and coming.partial is None:
            del self._coming[key]
            self._space.end_place(coming.path)

    # --- what goes ---

    def remove(self, key: ObjectId) -> bool:
        """This store needs an object no more; False if it is pinned, and so stays, or not here.

        It goes if no other store needs it, and so does what a broken transfer left of it.
        """
        if self.has(key) and self._held.is_pinned(key):
            return False
        held = self._held.take(key, even_pinned=False)
        self._maps.forget(key)
        if held is not None and not held.shared:
            self._space.give_back_own(held)
            self._space.trim_own()
            if not held.forever:
                return True
        with self._ledger.writing():
            going = self._space.take_unneeded(key)
        self._space.remove(going)
        return held is not None

    def quarantine(self, key: ObjectId) -> None:
        """An object was altered: no later task may see it, however often it is pinned."""
        held = self._held.take(key, even_pinned=True)
        self._maps.forget(key)
        if held is None:
            return
        if not held.shared:
            self._space.give_back_own(held)
            self._space.trim_own()
            return
        with self._ledger.writing():
            entry = self._ledger.find(key)
            # Another store may have been faster, and a good one have come since.
            if entry is not None and entry.proof.signatures == held.signatures:
                self._space.take_out(key, entry.size, ours=False)

    def _gone(self, key: ObjectId) -> None:
        """It was given up."""
        self._maps.forget(key)
        self.on_evicted()

    # --- the end ---

    def leave(self, keep_all: bool = False) -> bool:
        """End in order; whether anything is left for stores that are opened here later, or are open.

        The last one takes with it what is not kept for ever, unless it is to `keep_all`.
        """
        with self._lock:
            for coming in self._coming.values():
                if coming.partial is not None:
                    coming.partial.close()
            self._coming.clear()
        return self._share.leave(keep_all)

    def abandon(self) -> None:
        """End as one that is killed."""
        self._share.abandon()
