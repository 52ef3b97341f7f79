"""Which complete objects are here, who uses them, and which were given up: one table for all threads."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass

from vine.content.eviction import Shelf
from vine.content.folders import Signatures
from vine.content.manifest import Layout
from vine.names import ObjectId
from vine.wire.messages import Manifest


@dataclass(slots=True)
class Held:
    """A complete object; what was unpacked here has no layout and is not served."""

    size: int
    signatures: Signatures
    layout: Layout | None
    forever: bool = False  # It outlives the store: whoever opens the folder next finds it.

    @property
    def manifest(self) -> Manifest | None:
        return None if self.layout is None else self.layout.manifest


class Table:
    """The complete objects. Its lock is never held while the disk works, so pinning never waits for long."""

    def __init__(self) -> None:
        self._held: dict[ObjectId, Held] = {}
        self._shelf = Shelf()
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

    def add(self, key: ObjectId, held: Held) -> None:
        with self._lock:
            self._held[key] = held

    def made_again(self, key: ObjectId) -> None:
        """It counts as new: whoever made it again is not yet known to have it, and so it may not go."""
        with self._lock:
            self._shelf.keep(key)

    def take(self, key: ObjectId, even_pinned: bool) -> Held | None:
        """Out of everybody's reach; None if it is not here, or pinned."""
        with self._lock:
            if self._shelf.is_pinned(key) and not even_pinned:
                return None
            self._shelf.keep(key)
            return self._held.pop(key, None)

    def give_up(self, wanted_bytes: int) -> list[tuple[ObjectId, Held]]:
        """Takes out what may go for so much room; nothing if that is not enough.

        Chosen, out of reach and told at one moment: who pins after it hears of it, who pinned before keeps it.
        """
        with self._lock:
            going = [(key, self._held.pop(key)) for key in self._shelf.give_up(wanted_bytes)]
            self._evicted += (key for key, _held in going)
        return going

    def take_evicted(self) -> tuple[ObjectId, ...]:
        if not self._evicted:  # Whoever has pinned before sees without the lock what had gone by then.
            return ()
        with self._lock:
            evicted, self._evicted = tuple(self._evicted), []
        return evicted

    def pin(self, *keys: ObjectId) -> None:
        with self._lock:
            for key in keys:
                self._shelf.pin(key)

    def unpin(self, *keys: ObjectId) -> None:
        with self._lock:
            for key in keys:
                self._shelf.unpin(key)

    def used(self, key: ObjectId) -> None:
        with self._lock:
            self._shelf.used(key)

    def rate(self, key: ObjectId, spare: bool) -> Held | None:
        """Whether it may go; returns it, if it is here."""
        with self._lock:
            held = self._held.get(key)
            if held is not None and spare:
                self._shelf.spare(key, held.size)
            elif held is not None:
                self._shelf.keep(key)
            return held

    @property
    def free_able_bytes(self) -> int:
        with self._lock:
            return self._shelf.free_able_bytes

    def clear(self) -> None:
        with self._lock:
            self._held.clear()
            self._shelf.clear()
            self._evicted.clear()
