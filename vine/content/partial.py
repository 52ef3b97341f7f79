"""Which chunks of an object are here while it is still arriving, and where are they put?"""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from vine.content.folders import remove
from vine.content.hashing import Buffer, chunk_is_good
from vine.content.manifest import Layout, chunk_count
from vine.errors import DiskFull
from vine.names import ObjectId
from vine.wire.parts import Manifest

Told = Callable[[int | None], None]  # How many bytes from the beginning are here; None: the rest will not come.


class PartialOwner(Protocol):
    """Who hears how an arrival ended; exactly one of these is called, once."""

    def partial_complete(self, partial: Partial) -> None:
        """Every chunk is at `partial.path`: move that to where it belongs."""

    def partial_released(self, partial: Partial) -> None:
        """The transfer ended early; its chunks are still at `partial.path`, for another one to resume."""

    def partial_discarded(self, partial: Partial) -> None:
        """The object will not come; nothing is left of it."""


class Partial:
    """An object on its way in: chunks are written in any order, by several threads.

    What is written or read after the end is late, and nobody waits for it: it is dropped.
    """

    def __init__(self, object_id: ObjectId, manifest: Manifest, path: Path, owner: PartialOwner) -> None:
        """Reserve the whole size at `path`, keeping what is there already; DiskFull if it does not fit."""
        self.object_id = object_id
        self.manifest = manifest
        self.path = path
        self.present: set[int] = set()
        self._layout = Layout(manifest)
        self._owner = owner
        self._open = True
        self._prefix = 0  # Chunks from the first on without a gap.
        self._growing = threading.Condition()
        self._writers = 0
        self._followers: tuple[Told, ...] = ()
        self._ending = threading.Lock()  # The second of two enders waits until the first is through.
        self._file: _Descriptor | None = None  # Of a single file; the files of a tree are opened as needed.
        try:
            self._reserve()
        except OSError as error:
            remove(self.path)
            raise disk_full_or(error, self.path, self.manifest.size) from error

    @property
    def complete(self) -> bool:
        return len(self.present) == chunk_count(self.manifest)

    def write(self, index: int, data: Buffer) -> None:
        """Put a chunk, whose hash the caller has checked, where it belongs; DiskFull if it does not fit."""
        with self._growing:
            if index in self.present:
                return
            self._writers += 1
        try:
            self._put(index, memoryview(data).cast("B"))
        finally:
            with self._growing:
                self._writers -= 1
                self._growing.notify_all()
        self._grow()

    def _put(self, index: int, view: memoryview) -> None:
        try:
            for name, offset, length in self._layout.extents(index):
                file = self._member(name, os.O_WRONLY)
                _write_all(file.number, view[:length], offset)
                view = view[length:]
        except (KeyError, FileNotFoundError):
            if self._open:
                raise
            return
        except OSError as error:
            raise disk_full_or(error, self.path, self.manifest.size) from error
        assert not view, "a chunk is as long as its span"
        self.present.add(index)

    def read(self, index: int) -> bytes:
        """A chunk that is here, for serving it on; KeyError if it is not."""
        if index not in self.present:
            raise KeyError(index)
        return self._read(index)

    def follow(self, told: Told) -> int | None:
        """Read along: returns a descriptor of the file that stays good when that is moved, to be closed by the caller.

        `told` is called now and whenever there is more, on any thread. None if it does not arrive any more,
        and of a folder, which has no beginning.
        """
        with self._ending:
            if not self._open or self.manifest.tree is not None:
                return None
            descriptor = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
            with self._growing:
                self._followers += (told,)
            told(self._prefix_bytes)
            return descriptor

    def commit(self) -> None:
        """The object is complete: put it where it belongs."""
        assert self.complete, "only a complete object is committed"
        with self._ending:
            if self._open:
                with self._growing:  # A chunk that came twice may still be written: that would alter the object.
                    self._growing.wait_for(lambda: not self._writers)
                self._owner.partial_complete(self)  # Until this returns it can still be read here.
                self.close()

    def release(self) -> None:
        """The transfer has ended early: keep what came for the next one."""
        with self._ending:
            if self._open:
                self.close()
                self._owner.partial_released(self)
                self._tell(None)

    def discard(self) -> None:
        """The object will not come: remove what is here of it."""
        with self._ending:
            if self._open:
                self.close()
                remove(self.path)
                self._owner.partial_discarded(self)
                self._tell(None)

    def close(self) -> None:
        """Let go of the file; for the owner, and then nobody else is told."""
        self._open = False
        self._file = None

    def recheck(self) -> None:
        """Find out which chunks are here already, by hashing what lies at the path."""
        for index in range(chunk_count(self.manifest)):
            if chunk_is_good(self.manifest, index, self._read(index)):
                self.present.add(index)
        self._grow()

    @property
    def _prefix_bytes(self) -> int:
        return min(self._prefix * self.manifest.chunk_bytes, self.manifest.size)

    def _grow(self) -> None:
        with self._growing:
            before = self._prefix
            while self._prefix in self.present:
                self._prefix += 1
            if self._prefix == before:
                return
        self._tell(self._prefix_bytes)

    def _tell(self, here_bytes: int | None) -> None:
        for told in self._followers:
            told(here_bytes)

    def _read(self, index: int) -> bytes:
        pieces = []
        for name, offset, length in self._layout.extents(index):
            file = self._member(name, os.O_RDONLY)
            pieces.append(os.pread(file.number, length, offset))
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _member(self, name: str, flags: int) -> _Descriptor:
        if self.manifest.tree is not None:
            return _Descriptor(os.open(self.path / name, flags | os.O_NOFOLLOW))
        file = self._file
        if file is None:
            raise KeyError(name)
        return file

    def _reserve(self) -> None:
        if self.manifest.tree is None:
            self._file = _open_sized(self.path, self.manifest.size)
            return
        self.path.mkdir(exist_ok=True)
        for entry in self.manifest.tree:
            member = self.path / entry.path
            if entry.size < 0:
                member.mkdir(exist_ok=True)
            elif entry.target is None:
                _open_sized(member, entry.size, program=bool(entry.mode & 0o100))
            elif not member.is_symlink():
                member.symlink_to(entry.target)


class Present:
    """An object that is here already, as a transfer sees it: nothing is left to come."""

    def __init__(
        self,
        manifest: Manifest,
        read: Callable[[int], Buffer],
        is_here: Callable[[], bool],
        unwanted: Callable[[], object],
    ) -> None:
        self.manifest = manifest
        self.present = frozenset(range(chunk_count(manifest)))
        self.read = read
        self._is_here = is_here
        self._unwanted = unwanted  # called if its transfer is given up

    def write(self, index: int, data: Buffer) -> None:
        """It has this chunk."""

    def commit(self) -> None:
        """It is where it belongs; FileNotFoundError if its owner has removed it meanwhile."""
        if not self._is_here():
            raise FileNotFoundError(errno.ENOENT, "it was removed while it was to come")

    def discard(self) -> None:
        self._unwanted()


class _Descriptor:
    """An open file that is closed when the last thread that still uses it lets go.

    Closing it under a writer would let that one write into whatever is opened next.
    """

    __slots__ = ("number",)

    def __init__(self, number: int) -> None:
        self.number = number

    def __del__(self) -> None:
        os.close(self.number)


def disk_full_or(error: OSError, path: Path, size: int) -> Exception:
    """What an error of writing means to the user: DiskFull where it does."""
    if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return error
    return DiskFull(
        f"{path.parent} has no room for {size} bytes ({os.strerror(error.errno)}): free space there, "
        "or give the worker another --workspace"
    )


def _open_sized(path: Path, size: int, program: bool = False) -> _Descriptor:
    """Open a file of exactly this size whose bytes are reserved, keeping what it holds."""
    mode = 0o700 if program else 0o600
    file = _Descriptor(os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, mode))
    if os.fstat(file.number).st_size > size:
        os.ftruncate(file.number, size)
    if size:
        os.posix_fallocate(file.number, 0, size)
    return file


def _write_all(number: int, view: memoryview, offset: int) -> None:
    while view:
        written = os.pwrite(number, view, offset)
        view, offset = view[written:], offset + written
