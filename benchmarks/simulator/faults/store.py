"""What does a simulated worker keep, where room is scarce and disks forget?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from benchmarks.simulator.content import some_bytes
from benchmarks.simulator.faults.weather import Weather
from benchmarks.simulator.machine import Machine
from benchmarks.simulator.store import SimulatedPartial, SimulatedStore
from vine import config
from vine.content.manifest import chunk_count, chunk_span
from vine.errors import DiskFull
from vine.names import ObjectId
from vine.transfer.objects import Buffer, PartialObject
from vine.wire.parts import Manifest

_DAMAGED = memoryview(b"\1" * config.chunk_bytes_max)  # Where all good bytes are 0.


def damaged(length: int) -> memoryview:
    """So many bytes that are not what they were."""
    return _DAMAGED[:length]


class _FaultyPartial(SimulatedPartial):
    """An object on its way in, for which room was reserved."""

    def __init__(self, store: FaultyStore, object_id: ObjectId, manifest: Manifest, kept: bool) -> None:
        super().__init__(store, object_id, manifest, kept)
        self._faulty = store
        self._size = manifest.size
        self._key = object_id

    def write(self, index: int, data: Buffer, /) -> None:
        self._faulty.maybe_full()
        if len(data) and data[0]:
            self._faulty.damaged.add(self._key)
        super().write(index, data)

    def read(self, index: int, /) -> Buffer:
        data = super().read(index)
        return damaged(len(data)) if self._key in self._faulty.damaged else data

    def commit(self) -> None:
        assert self._key not in self._faulty.damaged, f"{self._key} was taken with bytes that are not its own"
        self._faulty.reserved -= self._size
        super().commit()

    def discard(self) -> None:
        self._faulty.reserved -= self._size
        self._faulty.damaged.discard(self._key)
        super().discard()
        self._faulty.on_discarded(self._key)


class _OfMate:
    """An object that another worker of the host has: workers of one host share what they keep."""

    def __init__(self, store: FaultyStore, mate: FaultyStore, object_id: ObjectId, manifest: Manifest) -> None:
        self._store = store
        self._mate = mate
        self._object_id = object_id
        self._manifest = manifest
        self.present = frozenset(range(chunk_count(manifest)))

    def write(self, index: int, data: Buffer, /) -> None:
        """It has this chunk."""

    def read(self, index: int, /) -> Buffer:
        return self._mate.read_chunk(self._object_id, index)

    def commit(self) -> None:
        key = self._object_id
        if key not in self._mate.manifests:
            raise FileNotFoundError("it was removed while it was to come")
        self._store.put(key, self._manifest)
        for marks, theirs in ((self._store.rotten, self._mate.rotten), (self._store.altered, self._mate.altered)):
            marks.update(theirs & {key})

    def discard(self) -> None:
        """It stays the mate's."""


class FaultyStore(SimulatedStore):
    """A store of so many bytes. It gives up what is spare and not pinned, and its disk may be full at any time."""

    def __init__(self, machine: Machine, weather: Weather, capacity_bytes: int) -> None:
        super().__init__(machine)
        self._weather = weather
        self.capacity_bytes = capacity_bytes
        self.reserved = 0
        self.spare: set[ObjectId] = set()
        self.forever: set[ObjectId] = set()
        self.pins: Counter[ObjectId] = Counter()
        self.rotten: set[ObjectId] = set()  # with a bit that has flipped on the disk
        self.damaged: set[ObjectId] = set()  # made of bytes that nobody can have checked
        self.altered: set[ObjectId] = set()  # into which a body has written, and nobody has seen that yet
        self.evicted: list[ObjectId] = []  # not told yet
        self.mates: Callable[[], list[FaultyStore]] = list  # those of the host's other workers
        self.on_quarantined: Callable[[ObjectId], None] = lambda key: None  # by a mate
        self.on_evicted: Callable[[], None] = lambda: None
        self.on_discarded: Callable[[ObjectId], None] = lambda key: None  # what had come of an object is gone

    def used_bytes(self) -> int:
        return self.reserved + sum(manifest.size for manifest in self.manifests.values())

    def maybe_full(self) -> None:
        """Others use this disk, too."""
        if self._weather.strikes(self._weather.rates.disk_full_share):
            raise DiskFull("no space left on device")

    def begin(self, object_id: ObjectId, manifest: Manifest, /) -> PartialObject:
        mate = next((mate for mate in self.mates() if object_id in mate.manifests), None)
        if mate is not None:
            return _OfMate(self, mate, object_id, manifest)
        self.maybe_full()
        while self.used_bytes() + manifest.size > self.capacity_bytes:
            if not self.give_up_one():
                raise DiskFull(f"{manifest.size} bytes have no room here")
        self.reserved += manifest.size
        if self.on_begun is not None:
            self.on_begun(object_id)
        return _FaultyPartial(self, object_id, manifest, kept=True)

    def begin_elsewhere(self, object_id: ObjectId, manifest: Manifest, /) -> PartialObject:
        self.maybe_full()
        self.reserved += manifest.size
        return _FaultyPartial(self, object_id, manifest, kept=False)

    def give_up_one(self) -> bool:
        """Remove the oldest object that may go; False if none may."""
        key = next((key for key in self.manifests if key in self.spare and not self.pins[key]), None)
        if key is None:
            return False
        self.remove(key)
        self.evicted.append(key)
        self.on_evicted()
        return True

    def remove(self, object_id: ObjectId) -> None:
        super().remove(object_id)
        for marks in (self.spare, self.forever, self.rotten, self.damaged, self.altered):
            marks.discard(object_id)

    def put(self, object_id: ObjectId, manifest: Manifest, *, cold: bool = False) -> None:
        if object_id not in self.manifests:
            self.spare.discard(object_id)
            self.rotten.discard(object_id)
        super().put(object_id, manifest, cold=cold)

    def rate(self, object_ids: tuple[ObjectId, ...], spare: bool, forever: bool) -> None:
        for key in object_ids:
            if key in self.manifests:
                (self.spare.add if spare else self.spare.discard)(key)
                (self.forever.add if forever else self.forever.discard)(key)

    def read_chunk(self, object_id: ObjectId, index: int, /) -> Buffer:
        data = super().read_chunk(object_id, index)
        spoilt = object_id in self.rotten or object_id in self.damaged or object_id in self.altered
        return damaged(len(data)) if spoilt else data

    def is_good(self, manifest: Manifest, index: int, data: Buffer) -> bool:
        return super().is_good(manifest, index, data) and bytes(data[:1]) == bytes(some_bytes(len(data))[:1])

    def alter(self, key: ObjectId) -> None:
        """A body writes into the object, which all workers of the host share."""
        for store in [store for store in (self, *self.mates()) if key in store.manifests]:
            store.altered.add(key)

    def quarantine(self, key: ObjectId) -> None:
        """It was found to be altered: it is out of the reach of all."""
        self.remove(key)
        for mate in [mate for mate in self.mates() if key in mate.altered]:
            mate.remove(key)
            mate.on_quarantined(key)

    def rot(self) -> ObjectId | None:
        """A bit flips in one of the objects here."""
        large = [key for key, manifest in self.manifests.items() if chunk_span(manifest, 0)[1] > 0]
        if not large:
            return None
        key = self._weather.dice.choice(large)
        self.rotten.add(key)
        return key
