"""How does a store come to share a folder with others, what does it find there, and what does the last one leave?"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from vine.content import folders, ledger, members
from vine.content.ledger import Entry, Ledger, Proof
from vine.content.locks import Locks
from vine.content.manifest import Layout
from vine.content.members import Members, gate
from vine.content.space import OBJECT_ID, Ground, Space, is_resumable
from vine.content.table import Held, Table
from vine.host import boot_id
from vine.names import ObjectId


class Share:
    """One store's membership: what it needs to use the folder beside others."""

    def __init__(self, root: Path, capacity_bytes: int | None, gone: Callable[[ObjectId], None]) -> None:
        self._root = root
        with gate(root):
            self._members = Members(root)
            self.ground = Ground(root, self._members.join())
            alone = not self._members.living()
            path = root / "ledger.sqlite"
            if alone and not ledger.is_sound(path):
                ledger.remove(path)
            self.locks = Locks(root / "objects.lock")
            self.ledger = Ledger(path, self.ground.member)
            self.table = Table(self.locks)
            self.space = Space(self.ground, self._members, self.ledger, self.locks, self.table, gone)
            with self.ledger.writing():
                # Behind the gate nobody is about to join: who is not in the ledger was killed while it joined.
                self.space.forget_the_dead(self._members.others())
                if alone:
                    self._take_over(capacity_bytes)
                self.ledger.join(capacity_bytes)
                self.ledger.claim_what_nobody_claims()
                entries = self.ledger.entries()
            for entry in entries:
                self._find(entry)

    # --- what is found ---

    def _take_over(self, capacity_bytes: int | None) -> None:
        """Keep what earlier ones left and is still what was verified, as far as it fits.

        What had been arriving is hashed when it is wanted again.
        """
        members.remove_what_was_going(self._root)
        left = 2**63 - 1 if capacity_bytes is None else capacity_bytes
        kept = {self.ground.own.name}
        for entry in self.ledger.entries():
            if entry.size <= left and self._is_good(entry):
                kept.add(entry.key)
                left -= entry.size
            else:
                self.ledger.remove(entry.key)
        for name in set(os.listdir(self.ground.objects)) - kept:
            folders.remove(self.ground.objects / name)
        folders.remove_members(self.ground.quarantine)
        self.ledger.end_all_room()
        for path in list(self.ground.partial.iterdir()):
            size = folders.bytes_in(path)
            if is_resumable(path) and size <= left:
                left -= size
                self.ledger.set_room(self.ground.name(path), size, ours=False)
            else:
                folders.remove(path)

    def _is_good(self, entry: Entry) -> bool:
        path = self.ground.objects / entry.key
        if not OBJECT_ID.fullmatch(entry.key) or not entry.proof.holds(entry.key, path):
            return False
        if not entry.proof.is_of_this_boot:
            self.ledger.prove(entry.key, Proof(boot_id(), entry.proof.manifest, folders.signatures_of(path)))
        return True

    def _find(self, entry: Entry) -> None:
        """Take an object for what it is said to be, if it looks so; others may do anything to it meanwhile."""
        if entry.proof.is_of_this_boot and entry.proof.holds(entry.key, self.ground.objects / entry.key):
            self._know(entry)
        else:
            with self.ledger.writing():
                self.find(entry.key)

    def find(self, key: ObjectId) -> Held | None:
        """What the folder has under this id, as it was verified; what was altered goes. Within `writing`."""
        entry = self.ledger.find(key)
        if entry is None:
            return None
        known = self.table.get(key)
        if known is not None and known.is_there():
            return known
        if self._is_unaltered(entry):
            return self._know(entry)
        self.space.take_out(key, entry.size, ours=False)
        return None

    def _is_unaltered(self, entry: Entry) -> bool:
        """Within `writing`. Tens of thousands of files take their time, so most are not looked at without need."""
        if entry.sure and entry.proof.is_of_this_boot and self.ledger.all_harmless():
            return self._held(entry).is_there()
        good = entry.proof.holds(entry.key, self.ground.objects / entry.key)
        if good and not entry.sure:
            self.ledger.make_sure(entry.key)
        return good

    def _know(self, entry: Entry) -> Held:
        held = self._held(entry)
        self.table.add(entry.key, held)
        return held

    def _held(self, entry: Entry) -> Held:
        layout = None if entry.proof.manifest is None else Layout(entry.proof.manifest)
        return Held(self.ground.objects / entry.key, entry.size, entry.proof.signatures, layout, entry.forever)

    # --- the end ---

    def leave(self, keep_all: bool) -> bool:
        """Go, in order; whether anything is left in the folder.

        The last one leaves what is kept for ever, or `keep_all`, and a folder in which nothing is left goes.
        """
        with gate(self._root):
            with self.ledger.writing():
                last = not self._members.living()
                for name in self.space.end_member(self.ground.member):
                    self._end_room(name, keep_all or not last)
                self.space.forget_the_dead()
                if last and not keep_all:
                    self._remove_all_but_forever()
                left = bool(self.ledger.entries())
            self._members.leave()
            self._close()
            if last and not left:
                members.remove(self._root, self.ground.member)
            return not last or left

    def _end_room(self, name: str, keep: bool) -> None:
        path = self._root / name
        if keep and is_resumable(path):
            return  # It is nobody's now.
        folders.remove(path)
        self.ledger.end_room(name)

    def _remove_all_but_forever(self) -> None:
        kept = {self.ground.own.name}
        for entry in self.ledger.entries():
            if entry.forever:
                kept.add(entry.key)
            else:
                self.ledger.remove(entry.key)
        for name in set(os.listdir(self.ground.objects)) - kept:
            folders.remove(self.ground.objects / name)
        for folder in (self.ground.partial, self.ground.quarantine):
            folders.remove_members(folder)
        self.ledger.end_all_room()

    def abandon(self) -> None:
        """Go as one who is killed: others find out."""
        self._members.close()
        self._close()

    def _close(self) -> None:
        self.ledger.close()
        self.locks.close()
