"""What does a file, folder or buffer hash to: manifests of what lies on this machine."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from blake3 import blake3

from vine import config
from vine.content.manifest import (
    FORMAT_VERSION,
    HASH_BYTES,
    canonical_mode,
    chunk_bytes_for,
    chunk_count,
    chunk_hash,
    chunk_span,
    object_id,
)
from vine.content.paths import is_utf8, leads_out
from vine.errors import FileChanged, FileMissing, UsageError
from vine.names import ObjectId
from vine.wire.parts import Manifest, Signature, TreeEntry

Buffer = bytes | bytearray | memoryview


def signature_of_stat(status: os.stat_result) -> Signature:
    return Signature(status.st_size, status.st_mtime_ns, status.st_ctime_ns)


def signature_of(path: Path) -> Signature:
    """What the file system says of a file's version; FileMissing if it is not there."""
    try:
        return signature_of_stat(os.stat(path))
    except OSError as error:
        raise _missing(path, error) from error


def chunk_is_good(manifest: Manifest, index: int, data: Buffer) -> bool:
    """Whether these bytes are the object's chunk."""
    return len(data) == chunk_span(manifest, index)[1] and blake3(data).digest() == chunk_hash(manifest, index)


def manifest_of_bytes(data: Buffer) -> Manifest:
    """The manifest of a buffer."""
    view = memoryview(data).cast("B")
    chunk_bytes = chunk_bytes_for(len(view))
    if 0 < len(view) <= chunk_bytes:
        return Manifest(FORMAT_VERSION, len(view), chunk_bytes, blake3(view).digest())  # As of most buffers.
    hashes = (blake3(view[at : at + chunk_bytes]).digest() for at in range(0, len(view), chunk_bytes))
    return Manifest(FORMAT_VERSION, len(view), chunk_bytes, b"".join(hashes))


def manifest_of_file(path: Path, settled: bool = False) -> tuple[Manifest, Signature]:
    """The manifest of a file and the version that it belongs to.

    Nobody writes to a `settled` one, though it may be given other names and times meanwhile. Raises FileMissing if it
    is no readable file, FileChanged if it changed while it was read.
    """
    descriptor = _open_file(path)
    try:
        signature = signature_of_stat(os.fstat(descriptor))
        hasher = _ChunkHasher(signature.size)
        hasher.add_file(path, descriptor, signature)
        if not settled:
            _check_unchanged(path, descriptor, signature)
        return _bounded(path, hasher.manifest(None)), signature
    finally:
        os.close(descriptor)


def manifest_of_tree(path: Path) -> Manifest:
    """The manifest of a folder: its members in path order, without owners, times or the umask's bits."""
    tree = tuple(sorted(_members(path), key=lambda entry: entry.path))
    links = {entry.path: entry.target for entry in tree if entry.target is not None}
    for name, target in links.items():
        if leads_out(name, target, links):
            raise UsageError(f"{path}/{name} is a link that leads out of {path}: put a copy of {target} in its place")
    hasher = _ChunkHasher(sum(max(0, entry.size) for entry in tree))
    for entry in tree:
        if entry.target is None and entry.size >= 0:
            member = path / entry.path
            descriptor = _open_file(member, os.O_NOFOLLOW)
            try:
                signature = signature_of_stat(os.fstat(descriptor))
                if signature.size != entry.size:
                    raise _changed(member)
                hasher.add_file(member, descriptor, signature)
                _check_unchanged(member, descriptor, signature)
            finally:
                os.close(descriptor)
    return _bounded(path, hasher.manifest(tree))


class _ChunkHasher:
    """Cuts files that follow each other into chunks and hashes these."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._chunk_bytes = chunk_bytes_for(size)
        self._buffer = memoryview(bytearray(min(self._chunk_bytes, size)))
        self._filled = 0
        self._hashes = bytearray()

    def add_file(self, path: Path, descriptor: int, signature: Signature) -> None:
        left = signature.size
        while left:
            window = self._buffer[self._filled : self._filled + left]
            got = os.readv(descriptor, [window])
            if not got:
                raise _changed(path)
            self._filled += got
            left -= got
            if self._filled == len(self._buffer):
                self._close_chunk()

    def _close_chunk(self) -> None:
        self._hashes += blake3(self._buffer[: self._filled]).digest()
        self._filled = 0

    def manifest(self, tree: tuple[TreeEntry, ...] | None) -> Manifest:
        if self._filled:
            self._close_chunk()
        manifest = Manifest(FORMAT_VERSION, self._size, self._chunk_bytes, bytes(self._hashes), tree)
        assert len(manifest.hashes) == chunk_count(manifest) * HASH_BYTES, "as many hashes as chunks"
        return manifest


def _members(root: Path) -> Iterator[TreeEntry]:
    pending = [""]
    while pending:
        folder = pending.pop()
        for name in _names_in(root / folder):
            path = f"{folder}/{name}" if folder else name
            entry = _member(root, path)
            if entry.size < 0:
                pending.append(path)
            yield entry


def _names_in(folder: Path) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError as error:
        raise _missing(folder, error) from error


def _member(root: Path, path: str) -> TreeEntry:
    full = root / path
    if not is_utf8(path):
        raise UsageError(f"{str(full)!r} has a name that is not UTF-8: rename it")
    try:
        status = os.lstat(full)
        target = os.readlink(full) if stat.S_ISLNK(status.st_mode) else None
    except OSError as error:
        raise _missing(full, error) from error
    if target is not None and not is_utf8(target):
        raise UsageError(f"{full} is a link to a name that is not UTF-8: rename its target")
    folder = stat.S_ISDIR(status.st_mode)
    if target is None and not folder and not stat.S_ISREG(status.st_mode):
        raise UsageError(f"{full} is neither a file, a folder nor a link: leave it out of {root}")
    size = -1 if folder else 0 if target is not None else status.st_size
    return TreeEntry(path, canonical_mode(folder, target, bool(status.st_mode & 0o100)), size, target)


def _open_file(path: Path, flags: int = 0) -> int:
    try:
        # Without O_NONBLOCK a FIFO would hold us here for ever.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | flags)
    except OSError as error:
        raise _missing(path, error) from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise FileMissing(f"{path} is not a plain file: name a file or folder")
    return descriptor


def _bounded(path: Path, manifest: Manifest) -> Manifest:
    members = manifest.tree or ()
    # Each member costs its names and a few bytes of framing.
    described = len(manifest.hashes) + sum(
        len(entry.path.encode()) + len((entry.target or "").encode()) + 16 for entry in members
    )
    if described > config.manifest_bytes_max:
        raise UsageError(
            f"{path} ({manifest.size} bytes, {len(members)} members) is too large to be described in one message: "
            "make a tar archive of it and use declare_untar, or split it"
        )
    return manifest


def _missing(path: Path, error: OSError) -> FileMissing:
    if error.errno == errno.ENOENT:
        return FileMissing(f"{path} does not exist: make it before you declare it")
    return FileMissing(f"{path} cannot be read ({error.strerror}): check its permissions")


def _check_unchanged(path: Path, descriptor: int, signature: Signature) -> None:
    if signature_of_stat(os.fstat(descriptor)) != signature:
        raise _changed(path)


def _changed(path: Path) -> FileChanged:
    return FileChanged(f"{path} changed while it was read: declare it when it is complete")


def has_content(path: Path, key: ObjectId, manifest: Manifest) -> bool:
    """Whether the bytes at the path are the object's: all are hashed. OSError, VineError if they cannot be read."""
    found = manifest_of_file(path)[0] if manifest.tree is None else manifest_of_tree(path)
    return object_id(found) == key
