"""What was verified in a store, told so that a later worker in the same folder can find out what still is?"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import msgspec

from vine.content import folders
from vine.content.folders import Signatures
from vine.content.hashing import manifest_of_file, manifest_of_tree
from vine.content.manifest import object_id
from vine.errors import VineError
from vine.host import boot_id
from vine.names import ObjectId
from vine.wire.messages import Manifest

_VERSION = 1


class Entry(msgspec.Struct, frozen=True, array_like=True):
    """A complete object as it was when its last byte had been checked."""

    version: int
    boot: str
    size: int
    forever: bool
    manifest: Manifest | None  # None for an unpacked archive
    signatures: Signatures


class Ledger:
    """A folder with a file for each object that is worth finding again."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._boot = boot_id()

    def write(self, key: ObjectId, size: int, forever: bool, manifest: Manifest | None, signatures: Signatures) -> None:
        entry = Entry(_VERSION, self._boot, size, forever, manifest, signatures)
        new = self._folder / f"{key}.new"
        new.write_bytes(msgspec.msgpack.encode(entry))
        os.rename(new, self._folder / key)

    def forget(self, key: ObjectId) -> None:
        (self._folder / key).unlink(missing_ok=True)

    def entries(self) -> Iterator[tuple[ObjectId, Entry]]:
        """What was written, last things first; what is none of ours, or of another version, is not told."""
        paths = self._folder.iterdir() if self._folder.is_dir() else ()
        for path in sorted(paths, key=lambda path: path.lstat().st_mtime_ns, reverse=True):
            try:
                entry = msgspec.msgpack.decode(path.read_bytes(), type=Entry)
            except (msgspec.DecodeError, OSError):
                continue
            if entry.version == _VERSION:
                yield ObjectId(path.name), entry

    def is_good(self, key: ObjectId, entry: Entry, path: Path) -> bool:
        """Whether the object at the path is still what was verified.

        While the machine runs, the kernel's times of change tell. What it had not written when it went
        down they do not tell: after that every byte is hashed again, and what has no hashes is not trusted.
        """
        try:
            if entry.boot == self._boot:
                return folders.signatures_of(path) == entry.signatures
            return entry.manifest is not None and has_content(path, key, entry.manifest)
        except (OSError, VineError):
            return False


def has_content(path: Path, key: ObjectId, manifest: Manifest) -> bool:
    """Whether the bytes at the path are the object's: all are hashed. OSError, VineError if they cannot be read."""
    found = manifest_of_file(path)[0] if manifest.tree is None else manifest_of_tree(path)
    return object_id(found) == key
