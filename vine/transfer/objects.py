"""What does a transfer node need of whoever keeps the objects?"""

from __future__ import annotations

from collections.abc import Callable, Set
from typing import Protocol

from vine.names import ObjectId
from vine.wire.parts import Manifest

Buffer = bytes | bytearray | memoryview


class PartialObject(Protocol):
    """An object on its way in. Chunks are written in any order, by several threads, after their hash was checked."""

    @property
    def present(self) -> Set[int]:
        """The chunks that are here."""

    def write(self, index: int, data: Buffer, /) -> None:
        """Keep a chunk; DiskFull if it does not fit."""

    def read(self, index: int, /) -> Buffer:
        """A chunk that is here; KeyError if it is not."""

    def commit(self) -> None:
        """All chunks are here: the object is complete."""

    def discard(self) -> None:
        """The object will not come: remove what is here of it."""


BeginPartial = Callable[[ObjectId, Manifest], PartialObject]


class ObjectSource(Protocol):
    """The objects that a node serves, and where those go that it fetches."""

    def chunk_count(self, object_id: ObjectId, /) -> int:
        """Of a complete object; KeyError if it is not here. Called on the socket thread: it must not block."""

    def read_chunk(self, object_id: ObjectId, index: int, /) -> Buffer:
        """A chunk of a complete object, which stays as it is while it is sent.

        KeyError if the object is not here (any more), FileChanged or FileMissing if it is no longer what it was.
        """

    def begin(self, object_id: ObjectId, manifest: Manifest, /) -> PartialObject:
        """Make room for an object; DiskFull if there is none, MalformedMessage if the manifest is not the object's."""
