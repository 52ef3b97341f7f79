"""What is an object made of: chunks, their hashes, the files that they cover, and the identity of the whole."""

from __future__ import annotations

import bisect

import msgpack
from blake3 import blake3

from vine import config
from vine.content.paths import fault_of_name, leads_out, parent_of
from vine.errors import MalformedMessage
from vine.names import ObjectId
from vine.wire.parts import Manifest, TreeEntry

FORMAT_VERSION = 1  # The chunk sizes below belong to it.
HASH_BYTES = 32

# Identity knows no umask: a member is a folder, a link, a program or plain data.
FOLDER_MODE = 0o755
LINK_MODE = 0o777
PROGRAM_MODE = 0o755
DATA_MODE = 0o644

Extent = tuple[str, int, int]  # Path within the object ("" for a single file), offset, length.


def chunk_bytes_for(size: int) -> int:
    """The chunk size of an object of `size` bytes."""
    if size < config.small_object_bytes:
        return config.chunk_bytes_small
    return config.chunk_bytes_medium if size <= config.medium_object_bytes else config.chunk_bytes_max


def object_id(manifest: Manifest) -> ObjectId:
    """The identity of what the manifest describes."""
    tree = manifest.tree
    members = None if tree is None else [(entry.path, entry.mode, entry.size, entry.target) for entry in tree]
    fields = ("object", manifest.version, manifest.size, manifest.chunk_bytes, manifest.hashes, members)
    return ObjectId(blake3(msgpack.packb(fields)).hexdigest())


def derived_id(recipe: str, source: ObjectId) -> ObjectId:
    """The identity of what a recipe (such as "untar") makes of an object, known before it is made."""
    return ObjectId(blake3(msgpack.packb(("derived", recipe, source))).hexdigest())


def chunk_count(manifest: Manifest) -> int:
    """How many chunks the object has; an empty one has none."""
    return -(-manifest.size // manifest.chunk_bytes)


def chunk_span(manifest: Manifest, index: int) -> tuple[int, int]:
    """Offset and length of a chunk within the object's bytes."""
    if not 0 <= index < chunk_count(manifest):
        raise IndexError(f"chunk {index} of an object with {chunk_count(manifest)}")
    offset = index * manifest.chunk_bytes
    return offset, min(manifest.chunk_bytes, manifest.size - offset)


def chunk_hash(manifest: Manifest, index: int) -> bytes:
    """What the chunk's bytes must hash to."""
    return manifest.hashes[index * HASH_BYTES : (index + 1) * HASH_BYTES]


class Layout:
    """Where an object's bytes lie among its files; made once an object, as trees have many files."""

    def __init__(self, manifest: Manifest) -> None:
        self.manifest = manifest
        self._paths: list[str] = []
        self._starts: list[int] = []
        self._sizes: list[int] = []
        offset = 0
        members = (("", manifest.size),) if manifest.tree is None else _files(manifest.tree)
        for path, size in members:
            if size > 0:
                self._paths.append(path)
                self._starts.append(offset)
                self._sizes.append(size)
                offset += size

    def extents(self, index: int) -> list[Extent]:
        """Which bytes of which files a chunk is, in order."""
        offset, left = chunk_span(self.manifest, index)
        at = bisect.bisect_right(self._starts, offset) - 1
        extents: list[Extent] = []
        while left:
            within = offset - self._starts[at]
            length = min(left, self._sizes[at] - within)
            extents.append((self._paths[at], within, length))
            offset, left, at = offset + length, left - length, at + 1
        return extents


def extents(manifest: Manifest, index: int) -> list[Extent]:
    """Which bytes of which files a chunk is; for many chunks of a tree keep a `Layout`."""
    return Layout(manifest).extents(index)


def check_manifest(manifest: Manifest) -> None:
    """Raise MalformedMessage unless the manifest's parts agree and its names stay inside the object."""
    if manifest.version != FORMAT_VERSION:
        raise MalformedMessage(f"manifest version {manifest.version}, here {FORMAT_VERSION}")
    if manifest.chunk_bytes != chunk_bytes_for(manifest.size):
        raise MalformedMessage(f"chunks of {manifest.chunk_bytes} bytes for an object of {manifest.size}")
    chunks = chunk_count(manifest)
    if chunks > config.chunks_per_object_max:
        raise MalformedMessage(f"{chunks} chunks, at most {config.chunks_per_object_max}")
    if len(manifest.hashes) != chunks * HASH_BYTES:
        raise MalformedMessage(f"{len(manifest.hashes)} bytes of hashes for {chunks} chunks")
    if manifest.tree is not None:
        _check_tree(manifest.tree, manifest.size)


def check_object(name: ObjectId, manifest: Manifest) -> None:
    """Raise MalformedMessage unless the manifest is sound and that of the object called so."""
    check_manifest(manifest)
    if object_id(manifest) != name:
        raise MalformedMessage("the object's name is not the hash of its manifest")


def canonical_mode(entry_is_folder: bool, target: str | None, executable: bool) -> int:
    """The mode by which a member enters the manifest."""
    if target is not None:
        return LINK_MODE
    if entry_is_folder:
        return FOLDER_MODE
    return PROGRAM_MODE if executable else DATA_MODE


def _files(tree: tuple[TreeEntry, ...]) -> list[tuple[str, int]]:
    return [(entry.path, entry.size) for entry in tree if entry.target is None and entry.size >= 0]


def _check_tree(tree: tuple[TreeEntry, ...], size: int) -> None:
    folders = {""}
    previous = ""
    total = 0
    for entry in tree:
        fault = fault_of_name(entry.path)
        if fault is not None:
            raise MalformedMessage(f"the member name {entry.path!r} {fault}")
        if entry.path <= previous:
            raise MalformedMessage(f"the member {entry.path!r} is out of order or there twice")
        if parent_of(entry.path) not in folders:
            raise MalformedMessage(f"the member {entry.path!r} lies in no folder of the object")
        if entry.mode != canonical_mode(entry.size < 0, entry.target, bool(entry.mode & 0o100)):
            raise MalformedMessage(f"the member {entry.path!r} has the mode {entry.mode:o}")
        if entry.target is not None and entry.size != 0:
            raise MalformedMessage(f"the link {entry.path!r} has the size {entry.size}")
        if entry.size < 0:
            folders.add(entry.path)
        else:
            total += entry.size
        previous = entry.path
    if total != size:
        raise MalformedMessage(f"members of {total} bytes in an object of {size}")
    check_links({entry.path: entry.target for entry in tree if entry.target is not None})


def check_links(links: dict[str, str]) -> None:
    """Raise MalformedMessage if any link leads out of the object."""
    for path, target in links.items():
        if "\0" in target or leads_out(path, target, links):
            raise MalformedMessage(f"the link {path!r} to {target!r} leads out of the object")
