"""How does what lies somewhere become an object, of one store or of all that share the folder?"""

from __future__ import annotations

import os
import threading
from pathlib import Path

from vine import config
from vine.content import folders
from vine.content.folders import Contents
from vine.content.ledger import Entry, Proof
from vine.content.manifest import Layout
from vine.content.sharing import Share
from vine.content.table import Held
from vine.errors import DiskFull
from vine.host import boot_id
from vine.names import ObjectId


class Entrance:
    """The way of complete objects into the folder and into what this store knows."""

    def __init__(self, share: Share) -> None:
        self._share = share
        self._ground, self._ledger, self._space, self._held = share.ground, share.ledger, share.space, share.table
        self._entering = threading.Lock()  # of this store's own objects

    def keep(self, key: ObjectId, path: Path, layout: Layout, size: int, reserved: int = 0, pin: bool = False) -> None:
        """Make what lies at the path the object: read-only, with its version noted.

        Of its bytes some have been reserved; DiskFull if the others do not fit.
        """
        held = Held(path, size, folders.protect(path), layout, shared=not is_small(size))
        if held.shared:
            self._keep_shared(key, held, reserved, pin)
        else:
            self._keep_own(key, held, reserved, pin)

    def keep_unpacked(self, key: ObjectId, path: Path, contents: Contents) -> None:
        """Make the folder at the path, whose contents are read-only, the object of an archive: it has no layout."""
        self._keep_shared(key, Held(path, contents.size, dict(contents.versions), None), reserved=0, pin=False)

    def learn(self, key: ObjectId) -> Held | None:
        """What the folder has is known from now on, and stays until more is heard of it. Within `writing`."""
        held = self._share.find(key)
        if held is not None:
            held.spare = False
            self._ledger.claim(key, spare=False, forever=held.forever)
        return held

    def keep_copy(self, key: ObjectId, held: Held) -> bool:
        """A small object is to outlive this store, by a copy that is everybody's; False if it has no room."""
        passage = self._ground.passage()
        try:
            folders.copy(held.path, passage)
            folders.protect(passage)
            self._keep_shared(key, Held(passage, held.size, {}, held.layout, forever=True), 0, pin=False)
        except DiskFull:
            return False
        finally:
            folders.remove(passage)
        return True

    def _keep_shared(self, key: ObjectId, held: Held, reserved: int, pin: bool) -> None:
        passage = held.path
        with self._ledger.writing():
            known = self.learn(key)  # Nothing is given up for a second copy.
            if known is not None:
                self._ledger.end_room(self._ground.name(passage))
                if pin:
                    self._held.pin(key)
        if known is None:
            self._space.reserve(passage, held.size - reserved, on_disk_already=True)
            with self._ledger.writing():
                if self.learn(key) is None:
                    self._enter(key, held)
                if pin:
                    self._held.pin(key)
                self._ledger.end_room(self._ground.name(passage))
        folders.remove(passage)

    def _enter(self, key: ObjectId, held: Held) -> None:
        """For all stores it is complete at one moment. Within `writing`."""
        place = self._ground.objects / key
        folders.remove(place)  # Of one who was killed in the middle of this.
        os.rename(held.path, place)
        held.path, held.signatures[""] = place, folders.seal(place)
        proof = Proof(boot_id(), held.manifest, held.signatures)
        self._ledger.add(Entry(key, held.size, held.forever, proof), held.used_at)
        self._ledger.claim(key, spare=False, forever=held.forever)
        known = self._held.get(key)
        if known is None or known.shared:  # What is known as shared was given up by another store: nobody has told us.
            self._held.add(key, held)  # Else it is the copy of a small one.

    def _keep_own(self, key: ObjectId, held: Held, reserved: int, pin: bool) -> None:
        with self._entering:
            known = self._held.get(key)
            if known is not None and known.shared:  # The copy of a small one: others may give it up, or have done so.
                with self._ledger.writing():
                    known = self.learn(key)
            if known is None:
                self._space.reserve_own(held.size - reserved)
                place = self._ground.own / key
                os.rename(held.path, place)
                held.path, held.signatures[""] = place, folders.seal(place)
                self._held.add(key, held)
            else:  # Content is the same. Whoever has made it again is not known to have it, so it stays.
                known.spare = False
                self._space.end_own(reserved)
            if pin:
                self._held.pin(key)
        if known is not None:
            folders.remove(held.path)
            self._space.trim_own()


def is_small(size: int) -> bool:
    """Whether each store has its own copy: such objects come again faster than they are entered and checked."""
    return size <= config.inline_bytes_max
