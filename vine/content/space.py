"""How is room reserved in a folder that several stores share, and how is it made?"""

from __future__ import annotations

import itertools
import os
import re
import threading
from collections.abc import Callable, Iterable
from pathlib import Path

from vine import config
from vine.content import folders
from vine.content.budget import Budget
from vine.content.eviction import Candidate, choose
from vine.content.ledger import Ledger
from vine.content.locks import Locks
from vine.content.members import Members
from vine.content.table import Held, Table
from vine.names import ObjectId

OBJECT_ID = re.compile(r"[0-9a-f]{64}")


class Ground:
    """The folders, and whose is what in them.

    `objects/` holds what is complete, `partial/` what arrives, `quarantine/` what waits to be removed. What
    one member alone has to do with begins with its name.
    """

    def __init__(self, root: Path, member: str) -> None:
        self.root = root
        self.objects = root / "objects"
        self.partial = root / "partial"
        self.quarantine = root / "quarantine"
        self.own = self.objects / f"own-{member}"
        self.member = member
        self._numbers = itertools.count(1)
        for folder in (self.objects, self.partial, self.quarantine, self.own):
            folder.mkdir(exist_ok=True)

    def name(self, path: Path) -> str:
        """What the ledger calls it."""
        return str(path.relative_to(self.root))

    def passage(self) -> Path:
        """A new place in `partial/` that is nobody else's."""
        return self.partial / f"{self.member}.{next(self._numbers)}"

    def way_out(self) -> Path:
        """A new place in `quarantine/`."""
        return self.quarantine / f"{self.member}.{next(self._numbers)}"


class Space:
    """The room of the folder as one of its members sees it."""

    def __init__(
        self,
        ground: Ground,
        members: Members,
        ledger: Ledger,
        locks: Locks,
        table: Table,
        gone: Callable[[ObjectId], None],
    ) -> None:
        self._ground = ground
        self._members = members
        self._ledger = ledger
        self._locks = locks
        self._table = table
        self._gone = gone  # told what of this store's objects was given up
        self._budget = Budget(ground.root, ledger.totals)
        self._budget_seen = Budget(ground.root, ledger.totals_seen)
        self._counting = threading.Lock()
        self._ahead = False
        self._own_used = 0  # by small objects of this store ...
        self._own_reserved = 0  # ... and what it has reserved for them

    # --- how much there is ---

    def used_bytes(self) -> int:
        """Waits for nobody, as `free_bytes`: each heartbeat tells both, and a mate may have been stopped."""
        seen = self._ledger.totals_seen()[1]
        return max(0, seen - self._own_reserved + self._own_used)  # What is being reserved may not be seen yet.

    def free_bytes(self) -> int:
        return max(0, self._budget_seen.free_bytes() + self._own_reserved - self._own_used)

    def room_bytes(self) -> int:
        """What would fit if all that may go were given up."""
        with self._ledger.writing():
            nobodys = sum(size for _name, size in self._ledger.nobodys_room())
            spare = [one for one in self._ledger.spare() if not self._table.is_pinned(one.key)]
            going = nobodys + sum(one.size for one in (*spare, *self._table.own_spare()))
            return max(0, self._budget.free_bytes() + self._own_reserved - self._own_used + going)

    # --- reserving ---

    def place_for(self, key: ObjectId, size: int | None) -> tuple[Path, int | None]:
        """Where an object may arrive, and how many bytes of room an earlier transfer of that size has left it there."""
        path = self._arrival(key)
        with self._ledger.writing():
            self.forget_the_dead()
            room = self._ledger.room_of(self._ground.name(path))
            if room is not None and room[0] is not None:
                path, room = self._ground.passage(), None  # Another store brings it too; who is first keeps it.
            left = None if room is None or room[1] != size else size
            if left is None:
                folders.remove(path)  # Of an unpacking, or of a transfer that had not come far.
            self._ledger.set_room(self._ground.name(path), left or 0)
        return path, left

    def _arrival(self, key: ObjectId) -> Path:
        assert OBJECT_ID.fullmatch(key), "an id that names a file has been checked before"
        return self._ground.partial / key

    def is_coming_elsewhere(self, key: ObjectId) -> bool:
        """Whether a member that lives has begun to bring the object. Within `writing`."""
        room = self._ledger.room_of(self._ground.name(self._arrival(key)))
        return room is not None and room[0] not in (None, self._ground.member) and self._members.lives(str(room[0]))

    def end_place(self, path: Path) -> None:
        """Nothing will come to lie there."""
        folders.remove(path)
        with self._ledger.writing():
            self._ledger.end_room(self._ground.name(path))

    def reserve(self, place: Path, size: int, on_disk_already: bool = False) -> None:
        """Room for `size` bytes more at the place; what is least needed goes before anything is refused.

        DiskFull if they do not fit the budget or, to be written yet, the disk.
        """
        while True:
            with self._ledger.writing():
                lacking = size - self._budget.free_bytes(on_disk_already)
                if size <= 0 or lacking <= 0:
                    self._reserved(place, size)
                    return
                self.forget_the_dead()
                going, freed = self._take_least_needed(size - self._budget.free_bytes(on_disk_already))
                refusal = self._budget.refusal(size, on_disk_already)
            if not going and not freed:
                raise refusal
            self.remove(going)

    def reserve_own(self, size: int) -> None:
        """Room for a small object of this store's own; it rarely costs a change of the ledger."""
        while True:
            with self._counting:
                lacking = self._own_used + size - self._own_reserved
                if lacking <= 0:
                    self._own_used += size
                    return
            if not self._reserve_ahead():
                self.reserve(self._ground.own, lacking, on_disk_already=True)

    def _reserve_ahead(self) -> bool:
        """For small objects to come; but nothing is given up for them before they are here."""
        with self._ledger.writing():
            fits = self._budget.free_bytes() >= config.own_room_free_bytes
            if fits:
                self._reserved(self._ground.own, config.own_room_bytes)
            self._ahead = fits
            return fits

    def _reserved(self, place: Path, size: int) -> None:
        self._ledger.add_room(self._ground.name(place), size)
        if place == self._ground.own:
            with self._counting:
                self._own_reserved += size

    def give_back_own(self, held: Held) -> None:
        folders.remove(held.path)
        self.end_own(held.size)

    def end_own(self, size: int) -> None:
        with self._counting:
            self._own_used -= size
            assert self._own_used >= 0, "no byte is given back twice"

    def trim_own(self) -> None:
        """Gives back what is reserved for small objects and not needed, if others could miss it."""
        with self._counting:
            spare = self._own_reserved - self._own_used
        if spare > (2 * config.own_room_bytes if self._ahead else 0):
            with self._ledger.writing():
                self._shrink_own()

    def _shrink_own(self) -> int:
        """What was reserved ahead is free for others; returns how much that was."""
        with self._counting:
            freed, self._own_reserved = self._own_reserved - self._own_used, self._own_used
        if freed:
            self._ledger.set_room(self._ground.name(self._ground.own), self._own_used)
        return freed

    # --- making room ---

    def _take_least_needed(self, wanted: int) -> tuple[list[Path], int]:
        """What was altered, then what broken transfers left, then what is spare.

        Returns what is to be removed for it, and how many bytes are free at once.
        """
        freed = self._shrink_own()
        wanted -= freed
        going: list[Path] = []
        for name, size in self._ledger.nobodys_room():
            if wanted > 0:
                going.append(self._take_left(name, size))
                wanted -= size
        if wanted > 0:
            self._ledger.touch(self._table.take_used())
            candidates = [*self._ledger.spare(), *self._table.own_spare()]
            for one in choose(candidates, wanted, self._locks.take, self._locks.give_back):
                going += self._evict(one)
                self._locks.give_back(one.key)
            freed += self._shrink_own()
        return going, freed

    def _take_left(self, name: str, size: int) -> Path:
        left = self._ground.root / name
        path = self._ground.way_out()
        _move(left, path)
        self._ledger.end_room(name)
        self._ledger.set_room(self._ground.name(path), size)
        return path

    def _evict(self, one: Candidate) -> list[Path]:
        if not one.shared:
            held = self._table.give_up_own(one.key)
            if held is not None:
                self.give_back_own(held)
                self._gone(one.key)
            return []
        held = self._table.get(one.key)
        if held is not None and held.shared and self._table.give_up(one.key):
            self._gone(one.key)
        return [self.take_out(one.key, one.size)]

    def take_out(self, key: ObjectId, size: int, ours: bool = True) -> Path:
        """The object is out of everybody's reach. Within `writing`.

        `ours` is for what this store removes at once; of the rest, whoever needs room next does.
        """
        path = self._ground.way_out()
        _move(self._ground.objects / key, path)
        self._ledger.remove(key)
        self._ledger.set_room(self._ground.name(path), size, ours)
        return path

    def take_unneeded(self, key: ObjectId) -> list[Path]:
        """What of an object no member needs or uses, now that this one does not. Within `writing`."""
        going = []
        name = self._ground.name(self._ground.partial / key)
        left = self._ledger.room_of(name)
        if left is not None and left[0] is None:
            going.append(self._take_left(name, left[1]))
        entry = None if self._ledger.disclaim(key) else self._ledger.find(key)
        if entry is not None and self._locks.take(key):
            going.append(self.take_out(key, entry.size))
            self._locks.give_back(key)
        return going

    def remove(self, taken: Iterable[Path]) -> None:
        """Of what was taken out the bytes; only then their room is free."""
        taken = list(taken)
        for path in taken:
            folders.remove(path)
        with self._ledger.writing():
            for path in taken:
                self._ledger.end_room(self._ground.name(path))

    def forget_the_dead(self, known: Iterable[str] = ()) -> None:
        """Gives back what killed members had, those that the ledger knows and others. Within `writing`."""
        dead = [member for member in {*self._ledger.others(), *known} if not self._members.lives(member)]
        for member in dead:
            for name in self.end_member(member):
                self._release(name)
            self._members.forget(member)
        if dead:  # One may have died between putting an object into its place and entering it into the ledger.
            for name in set(os.listdir(self._ground.objects)) - self._ledger.keys():
                if OBJECT_ID.fullmatch(name):
                    self._release(f"objects/{name}")

    def end_member(self, member: str) -> set[str]:
        """The ledger knows it no more; returns what it leaves behind. Within `writing`."""
        names = {
            self._ground.name(path)  # What it was about to take out or to bring in, and what it had taken out.
            for folder in (self._ground.partial, self._ground.quarantine)
            for path in folder.iterdir()
            if path.name.startswith(f"{member}.")
        }
        return {*self._ledger.forget_member(member), *names, f"objects/own-{member}"}

    def _release(self, name: str) -> None:
        """It is nobody's; only an object on its way in is worth to be left where it is."""
        left = self._ground.root / name
        self._ledger.end_room(name)
        path = left if is_resumable(left) else self._ground.quarantine / f"{left.name}.{self._ground.way_out().name}"
        if path != left:
            _move(left, path)
        if path.exists():
            self._ledger.set_room(self._ground.name(path), folders.bytes_in(path), ours=False)


def is_resumable(path: Path) -> bool:
    """Whether whoever wants the object next may go on with what lies there."""
    return path.parent.name == "partial" and OBJECT_ID.fullmatch(path.name) is not None


def _move(source: Path, destination: Path) -> None:
    try:
        folders.open_folder(source)
        os.rename(source, destination)
    except FileNotFoundError:
        return  # Whoever was killed in the middle of this had come so far.
