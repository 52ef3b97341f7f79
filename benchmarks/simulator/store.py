"""Which objects does a simulated node keep, and what does it cost to read and write them?"""

from __future__ import annotations

from collections.abc import Callable

from benchmarks.simulator.content import some_bytes
from benchmarks.simulator.machine import Machine
from vine.content.manifest import chunk_count, chunk_span
from vine.names import ObjectId
from vine.transfer.objects import Buffer, PartialObject
from vine.wire.parts import Manifest


class SimulatedPartial:
    """An object on its way in."""

    def __init__(self, store: SimulatedStore, object_id: ObjectId, manifest: Manifest, kept: bool) -> None:
        self._store = store
        self._object_id = object_id
        self._manifest = manifest
        self._kept = kept
        self.present: set[int] = set()

    def write(self, index: int, data: Buffer, /) -> None:
        self._store.machine.moved += len(data)
        self.present.add(index)

    def read(self, index: int, /) -> Buffer:
        """What was written a moment ago is in the page cache still: it costs the disk nothing."""
        if index not in self.present:
            raise KeyError(index)
        return some_bytes(chunk_span(self._manifest, index)[1])

    def commit(self) -> None:
        assert len(self.present) == chunk_count(self._manifest), "an object was committed without all its chunks"
        if self._kept:
            self._store.put(self._object_id, self._manifest)

    def discard(self) -> None:
        self.present.clear()


class SimulatedStore:
    """The objects of one node, as its transfer node sees them. It is never full."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.manifests: dict[ObjectId, Manifest] = {}
        self._cold: set[ObjectId] = set()  # never read: they come from the disk
        self.on_begun: Callable[[ObjectId], None] | None = None  # told of each object that begins to arrive

    def put(self, object_id: ObjectId, manifest: Manifest, *, cold: bool = False) -> None:
        self.manifests[object_id] = manifest
        if cold:
            self._cold.add(object_id)

    def remove(self, object_id: ObjectId) -> None:
        self.manifests.pop(object_id, None)
        self._cold.discard(object_id)

    # --- as the transfer node's source ---

    def chunk_count(self, object_id: ObjectId, /) -> int:
        return chunk_count(self.manifests[object_id])

    def read_chunk(self, object_id: ObjectId, index: int, /) -> Buffer:
        length = chunk_span(self.manifests[object_id], index)[1]
        if object_id in self._cold:
            self.machine.moved += length
        return some_bytes(length)

    def begin(self, object_id: ObjectId, manifest: Manifest, /) -> PartialObject:
        if self.on_begun is not None:
            self.on_begun(object_id)
        return SimulatedPartial(self, object_id, manifest, kept=True)

    def begin_elsewhere(self, object_id: ObjectId, manifest: Manifest, /) -> PartialObject:
        """For what does not go into the store: the manager's own pulls."""
        return SimulatedPartial(self, object_id, manifest, kept=False)

    def is_good(self, manifest: Manifest, index: int, data: Buffer) -> bool:
        """Whether these are the chunk's bytes: here, whether they are as many."""
        self.machine.hashed += len(data)
        return len(data) == chunk_span(manifest, index)[1]
