"""Which complete objects does this store know, which of them are in use, and which were given up?"""

from __future__ import annotations

import os
import threading
import time
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from vine.content import folders
from vine.content.eviction import Candidate
from vine.content.folders import Signatures
from vine.content.hashing import has_content, signature_of_stat
from vine.content.locks import Locks
from vine.content.manifest import Layout
from vine.errors import VineError
from vine.names import ObjectId
from vine.wire.parts import Manifest


@dataclass(slots=True)
class Held:
    """A complete object; what was unpacked here has no layout and is not served."""

    path: Path
    size: int
    signatures: Signatures
    layout: Layout | None
    forever: bool = False  # It outlives the store: whoever opens the folder next finds it.
    shared: bool = True  # Other stores know of it; if not, it is small, and this store's own.
    spare: bool | None = None  # What this store has said last: whether it may go; None: nothing yet.
    used_at: int = field(default_factory=time.time_ns)

    @property
    def manifest(self) -> Manifest | None:
        return None if self.layout is None else self.layout.manifest

    def is_altered(self) -> bool:
        """Whether its file, or any member of its folder, was written to, added, replaced or removed."""
        try:
            return folders.signatures_of(self.path) != self.signatures
        except FileNotFoundError:
            return True

    def is_verified(self, key: ObjectId) -> bool:
        """Whether its bytes are still its own; all are hashed. What was unpacked has times only."""
        if self.manifest is None:
            return not self.is_altered()
        try:
            return has_content(self.path, key, self.manifest)
        except (OSError, VineError):
            return False

    def is_there(self) -> bool:
        """Whether it lies in its place, and is the one that is meant: another store may have given it up."""
        try:
            return signature_of_stat(os.lstat(self.path)) == self.signatures[""]
        except FileNotFoundError:
            return False


class Table:
    """The complete objects that this store knows. Its lock is never held while the disk works.

    What is in use is locked against all stores of the folder, from its first pin to its last unpin. An object
    that another store has given up is found out when it is pinned, or by `look`.
    """

    def __init__(self, locks: Locks) -> None:
        self._locks = locks
        self.arrivals = 0
        self._held: dict[ObjectId, Held] = {}
        self._pins: Counter[ObjectId] = Counter()
        self._locked: set[ObjectId] = set()
        self._used_at: dict[ObjectId, int] = {}  # of shared ones; not told yet
        self._evicted: list[ObjectId] = []
        self._lock = threading.Lock()

    def __contains__(self, key: ObjectId) -> bool:
        return key in self._held

    def __getitem__(self, key: ObjectId) -> Held:
        return self._held[key]

    def __iter__(self) -> Iterator[ObjectId]:
        with self._lock:
            return iter(list(self._held))

    def get(self, key: ObjectId) -> Held | None:
        return self._held.get(key)

    # --- they come and go ---

    def add(self, key: ObjectId, held: Held) -> None:
        """It is complete. Called while no store can give anything up."""
        with self._lock:
            self._held[key] = held
            self.arrivals += 1
            if key in self._pins:
                self._secure(key)

    def take(self, key: ObjectId, even_pinned: bool) -> Held | None:
        """Out of this store's reach; None if it is not known, or pinned."""
        with self._lock:
            return None if key in self._pins and not even_pinned else self._held.pop(key, None)

    def give_up(self, key: ObjectId) -> bool:
        """Out of reach, and told to be: another store or this one needs its room. False if it was not known.

        Whoever pins it after this hears of it.
        """
        with self._lock:
            return self._lose(key)

    def give_up_own(self, key: ObjectId) -> Held | None:
        """The same of what is this store's own, unless it is in use."""
        with self._lock:
            held = self._held.get(key)
            return held if key not in self._pins and self._lose(key) else None

    def _lose(self, key: ObjectId) -> bool:
        if self._held.pop(key, None) is None:
            return False
        self._evicted.append(key)
        return True

    def look(self, present: Collection[ObjectId]) -> tuple[ObjectId, ...]:
        """Gives up what no store has any more; `present` are the shared ones.

        Returns what is gone though it is pinned: another store has found it altered.
        """
        altered = []
        with self._lock:
            known = [(key, held) for key, held in self._held.items() if held.shared and key not in present]
            for key, held in known:
                if held.is_there():
                    continue  # It came after `present` was looked up.
                if key in self._pins:
                    del self._held[key]
                    altered.append(key)
                else:
                    self._lose(key)
        return tuple(altered)

    def take_evicted(self) -> tuple[ObjectId, ...]:
        if not self._evicted:  # Whoever has pinned before sees without the lock what had gone by then.
            return ()
        with self._lock:
            evicted, self._evicted = tuple(self._evicted), []
        return evicted

    # --- use ---

    def pin(self, *keys: ObjectId) -> None:
        self.pin_often(Counter(keys))

    def pin_often(self, times: Mapping[ObjectId, int]) -> None:
        """As `pin` of each, so many times: many calls that come together have the same inputs."""
        with self._lock:
            for key, number in times.items():
                before = self._pins[key]
                self._pins[key] = before + number
                if not before:
                    self._secure(key)

    def _secure(self, key: ObjectId) -> None:
        held = self._held.get(key)
        if held is not None and not held.shared:
            return  # Nobody else can give it up.
        if key not in self._locked:
            if not self._locks.share(key):
                self._lose(key)  # It is about to go.
                return
            self._locked.add(key)
        if held is not None and not held.is_there():
            self._lose(key)

    def unpin(self, *keys: ObjectId) -> None:
        self.unpin_often(Counter(keys))

    def unpin_often(self, times: Mapping[ObjectId, int]) -> None:
        with self._lock:
            for key, number in times.items():
                assert self._pins[key] >= number, "every unpin follows its pin"
                self._pins[key] -= number
                if self._pins[key]:
                    continue
                del self._pins[key]
                self._use(key)  # Until now.
                if key in self._locked:
                    self._locked.discard(key)
                    self._locks.end_share(key)

    def is_pinned(self, key: ObjectId) -> bool:
        return key in self._pins

    def used(self, key: ObjectId) -> None:
        """Others have been waiting for longer."""
        with self._lock:
            self._use(key)

    def _use(self, key: ObjectId) -> None:
        held = self._held.get(key)
        if held is not None:
            held.used_at = max(held.used_at + 1, time.time_ns())
            if held.shared:
                self._used_at[key] = held.used_at

    def take_used(self) -> dict[ObjectId, int]:
        """When shared ones were used; each use is told once."""
        with self._lock:
            used_at, self._used_at = self._used_at, {}
        return used_at

    def own_spare(self) -> list[Candidate]:
        """What of this store's own objects may go."""
        with self._lock:
            return [
                Candidate(key, held.size, held.used_at, shared=False)
                for key, held in self._held.items()
                if held.spare and not held.shared and key not in self._pins
            ]
