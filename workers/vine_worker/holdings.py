"""Where do the bytes of this worker's objects lie, and which of them does its transfer node serve?"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from vine.content.growing import Growing
from vine.content.hashing import manifest_of_bytes, manifest_of_file
from vine.content.manifest import chunk_count, chunk_span, object_id
from vine.content.partial import Partial, Present
from vine.content.store import Store
from vine.errors import DiskFull, MalformedMessage
from vine.names import ObjectId
from vine.transfer.objects import Buffer
from vine.wire.parts import InlineObject, Manifest
from vine_worker.actions import Kept


@dataclass(frozen=True, slots=True)
class _Value:
    path: Path
    manifest: Manifest


class Holdings:
    """The store, and the outbox: long results on their way out, which are neither cached nor shared.

    Used by the worker's loop, by the transfer node and by the threads that collect outputs.
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        self.on_begun: Callable[[ObjectId], None] = lambda key: None  # Called on any thread.
        self._outbox_changes = 0  # of where an object is looked for first
        self._outbox: dict[ObjectId, _Value] = {}
        self._manifests: dict[ObjectId, Manifest] = {}  # of what may be served
        for key in store.held():
            manifest = store.manifest(key)
            if manifest is not None:
                self._manifests[key] = manifest

    def path(self, key: ObjectId) -> Path:
        """Where a complete object lies; KeyError if it is not here."""
        value = self._outbox.get(key)
        return self.store.path(key) if value is None else value.path

    @property
    def moves(self) -> int:
        """Grows whenever something may lie elsewhere than it has."""
        return self._outbox_changes + self.store.arrivals

    # --- as the transfer node's source ---

    def chunk_count(self, key: ObjectId) -> int:
        value = self._outbox.get(key)
        if value is not None:
            return chunk_count(value.manifest)
        if not self.store.has(key):
            raise KeyError(key)
        return chunk_count(self._manifests[key])

    def read_chunk(self, key: ObjectId, index: int) -> Buffer:
        value = self._outbox.get(key)
        if value is None:
            return self.store.read_chunk(key, self._manifests[key], index)
        offset, length = chunk_span(value.manifest, index)
        descriptor = os.open(value.path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            return os.pread(descriptor, length, offset)
        finally:
            os.close(descriptor)

    def begin(self, key: ObjectId, manifest: Manifest) -> Partial | Present:
        partial = self.store.begin(key, manifest)
        self._manifests[key] = manifest
        self.on_begun(key)
        return partial

    # --- what is made here ---

    def keep(self, item: InlineObject) -> Kept:
        """Puts a small object into the store."""
        try:
            self.store.put_bytes(item.object_id, item.data)
        except (DiskFull, MalformedMessage, OSError) as why:
            return Kept(item.object_id, str(why) or type(why).__name__, disk_full=isinstance(why, DiskFull))
        self._manifests[item.object_id] = manifest_of_bytes(item.data)
        return Kept(item.object_id)

    def adopt(self, path: Path) -> tuple[ObjectId, Manifest]:
        """Takes an output into the store, where it is pinned until the core knows of it."""
        key, manifest = self.store.adopt(path, pin=True)
        self._manifests[key] = manifest
        return key, manifest

    def keep_grown(self, growing: Growing) -> tuple[ObjectId, Manifest]:
        """Takes what has been downloaded into the store, where it is pinned until the core knows of it."""
        key, manifest = self.store.keep_grown(growing)
        self._manifests[key] = manifest
        return key, manifest

    def post(self, path: Path) -> tuple[ObjectId, Manifest]:
        """Puts a long result into the outbox, where it lies until the manager has it."""
        manifest, _signature = manifest_of_file(path)
        key = object_id(manifest)
        former = self._outbox.get(key)
        self._outbox[key] = _Value(path, manifest)
        self._outbox_changes += 1
        if former is not None and former.path != path:
            former.path.unlink()
        return key, manifest

    def evicted(self, key: ObjectId) -> None:
        """The store has given it up; but it may have come again before that was told."""
        if not self.store.has(key):
            self._manifests.pop(key, None)

    def remove(self, key: ObjectId) -> None:
        value = self._outbox.pop(key, None)
        if value is not None:
            self._outbox_changes += 1
            value.path.unlink(missing_ok=True)
        self.store.remove(key)
        self._manifests.pop(key, None)
