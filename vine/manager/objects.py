"""What does the manager's transfer node serve, and where does it put what it pulls: clients' files, in place."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from vine.content.folders import remove
from vine.content.hashing import chunk_is_good, signature_of_stat
from vine.content.manifest import Extent, Layout, chunk_count
from vine.content.partial import Partial
from vine.errors import FileChanged
from vine.names import ObjectId, TransferId
from vine.wire.parts import Manifest, Signature


@dataclass(frozen=True, slots=True)
class _Served:
    path: Path
    signature: Signature | None
    layout: Layout


class ServedFiles:
    """The objects for which a file or folder of a client, or a staged buffer, stands. Safe for several threads.

    Files are read, not mapped: their owner may cut one short at any time, which kills who has it mapped.
    """

    def __init__(self) -> None:
        self._served: dict[ObjectId, _Served] = {}

    def serve(self, object_id: ObjectId, manifest: Manifest, path: str, signature: Signature | None) -> None:
        self._served[object_id] = _Served(Path(path), signature, Layout(manifest))

    def stop(self, object_id: ObjectId) -> None:
        self._served.pop(object_id, None)

    def chunk_count(self, object_id: ObjectId) -> int:
        """KeyError if no file stands for the object."""
        return chunk_count(self._served[object_id].layout.manifest)

    def read_chunk(self, object_id: ObjectId, index: int) -> bytes:
        """KeyError if no file stands for the object, FileChanged if it is no longer what was declared."""
        served = self._served[object_id]
        data = b"".join(self._read(served, extent) for extent in served.layout.extents(index))
        # A plain file is known by its signature; of a folder only the content can tell.
        if served.signature is None and not chunk_is_good(served.layout.manifest, index, data):
            raise _changed(served.path)
        return data

    def verify(self, object_id: ObjectId) -> str:
        """What is wrong with what stands for the object, if anything is; every byte is read and hashed."""
        try:
            served = self._served[object_id]
            for index in range(chunk_count(served.layout.manifest)):
                if not chunk_is_good(served.layout.manifest, index, self.read_chunk(object_id, index)):
                    raise _changed(served.path)
        except KeyError:
            return ""  # Nobody needs it any more.
        except FileChanged as why:
            return str(why)
        return ""

    def begin(self, object_id: ObjectId, manifest: Manifest) -> Partial:
        raise AssertionError("the manager has no store: every pull of its own names a destination")

    def _read(self, served: _Served, extent: Extent) -> bytes:
        name, offset, length = extent
        path = served.path / name if name else served.path
        try:
            # Without O_NONBLOCK a FIFO that took the file's place would hold the thread for ever.
            descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            try:
                data = _pread(descriptor, offset, length)
                signature = signature_of_stat(os.fstat(descriptor))  # After the read, so that it covers what was read.
            finally:
                os.close(descriptor)
        except OSError as error:
            raise FileChanged(
                f"{path} can no longer be read ({error.strerror}): keep it where it is until the run ends"
            ) from error
        if len(data) < length or (served.signature is not None and served.signature != signature):
            raise _changed(path)
        return data


def landing(transfer_id: TransferId, object_id: ObjectId, manifest: Manifest, destination: Path) -> Partial:
    """An object on its way to a path of the client or of the staging folder; it appears there when complete."""
    try:
        # Of the user's name there might be too much, and others may bring other things into this folder.
        arriving = destination.with_name(f".vine-{object_id[:16]}-{os.getpid()}-{transfer_id}.part")
        destination.parent.mkdir(parents=True, exist_ok=True)
        return Partial(object_id, manifest, arriving, _Lander(destination))
    except (OSError, ValueError) as error:  # A path that is none: without a name, or with a zero in it.
        raise _cannot_write(destination, error) from error


class _Lander:
    """Puts what has arrived where it belongs, with the modes that a program of the user would give."""

    def __init__(self, destination: Path) -> None:
        self._destination = destination

    def partial_complete(self, partial: Partial) -> None:
        destination = self._destination
        try:
            if partial.manifest.tree is None:
                os.chmod(partial.path, 0o666 & ~_umask())
            else:
                _open_tree(partial)
            if partial.manifest.tree is not None and destination.is_dir():
                _merge(partial, destination)
            else:
                os.replace(partial.path, destination)
        except (OSError, ValueError) as error:
            raise _cannot_write(destination, error) from error

    def partial_released(self, partial: Partial) -> None:
        remove(partial.path)  # The next pull of the object has a path of its own.

    def partial_discarded(self, partial: Partial) -> None:
        """Nothing is left, and nobody waits for it here."""


def _open_tree(partial: Partial) -> None:
    allowed = ~_umask()
    os.chmod(partial.path, 0o777 & allowed)
    for entry in partial.manifest.tree or ():
        if entry.target is None:
            wide = 0o777 if entry.mode & 0o100 else 0o666
            os.chmod(partial.path / entry.path, wide & allowed)


def _merge(partial: Partial, destination: Path) -> None:
    """Put a folder's members into one that is there already, whose other members may be dear to the user."""
    for entry in partial.manifest.tree or ():
        if entry.size < 0:
            (destination / entry.path).mkdir(exist_ok=True)
        else:
            os.replace(partial.path / entry.path, destination / entry.path)
    remove(partial.path)


def _umask() -> int:
    """The user's umask. Reading it by setting it would be seen by other threads."""
    with open("/proc/self/status", encoding="ascii") as status:
        for line in status:
            if line.startswith("Umask:"):
                return int(line.split()[1], 8)
    return 0o077


def _pread(descriptor: int, offset: int, length: int) -> bytes:
    data = os.pread(descriptor, length, offset)
    while len(data) < length:
        more = os.pread(descriptor, length - len(data), offset + len(data))
        if not more:
            break
        data += more
    return data


def _changed(path: Path) -> FileChanged:
    return FileChanged(f"{path} changed after it was declared: declare it again, and leave it alone while tasks use it")


def _cannot_write(destination: Path, error: OSError | ValueError) -> OSError:
    why = error.strerror if isinstance(error, OSError) else error
    return OSError(f"{destination} cannot be written ({why}): name another path, or change its permissions")
