"""How is a file read while it still arrives: from its beginning, as far as that is verified?"""

from __future__ import annotations

import io
import os
import struct
import threading
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

_NOTE = struct.Struct(">Q")  # How many bytes from the beginning may be read by now.
_BUFFER_BYTES = 256 << 10


def note_of(here_bytes: int) -> bytes:
    """What the process that reads an arriving file is told by whoever verifies it."""
    return _NOTE.pack(here_bytes)


def listen(notes: int, file: PrefixFile) -> None:
    """Let the file be read as far as the notes from this descriptor say; returns when nobody is left to write them."""
    rest = b""
    while heard := os.read(notes, 512 * _NOTE.size):
        rest += heard
        whole = len(rest) - len(rest) % _NOTE.size
        if whole:  # Only the last one counts: a prefix never shrinks.
            file.reaches(_NOTE.unpack_from(rest, whole - _NOTE.size)[0])
            rest = rest[whole:]


class PrefixFile(io.RawIOBase):
    """A file of known size of which a prefix is here; reading beyond that waits, whoever calls `reaches` ends it.

    The descriptor is the file's from now on. It stays good when the file is moved to another place.
    """

    def __init__(self, descriptor: int, size: int, here_bytes: int = 0) -> None:
        self.size = size
        self._descriptor = descriptor
        self._here_bytes = here_bytes
        self._position = 0
        self._stopped = False
        self._changed = threading.Condition()

    def reaches(self, here_bytes: int) -> None:
        """So many bytes from the beginning are here by now; on any thread."""
        with self._changed:
            self._here_bytes = max(self._here_bytes, min(here_bytes, self.size))
            self._changed.notify_all()

    def stop(self) -> None:
        """Nobody wants more of it: a thread that waits in a read finds the end of the file; on any thread."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self.size}[whence]
        self._position = base + offset
        return self._position

    def readinto(self, buffer: WriteableBuffer) -> int:
        wanted = min(memoryview(buffer).nbytes, self.size - self._position)
        if wanted <= 0:
            return 0
        with self._changed:
            self._changed.wait_for(lambda: self._stopped or self._here_bytes > self._position)
            if self._stopped:
                return 0
        view = memoryview(buffer)[: min(wanted, self._here_bytes - self._position)]
        read = os.preadv(self._descriptor, [view], self._position)
        self._position += read
        return read

    def close(self) -> None:
        if not self.closed:
            os.close(self._descriptor)
        super().close()


class PrefixReader(io.BufferedReader):
    """The buffered reader of a prefix file: `read(n)` gives n bytes, or fewer at the end of the file."""

    def __init__(self, file: PrefixFile) -> None:
        super().__init__(file, _BUFFER_BYTES)
        self.size = file.size
        self._file = file

    def stop(self) -> None:
        """Nobody wants more of it, and nobody may wait for more; on any thread."""
        self._file.stop()


def open_whole(path: Path) -> PrefixReader:
    """A file that is complete; OSError if it cannot be opened."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    size = os.fstat(descriptor).st_size
    return PrefixReader(PrefixFile(descriptor, size, here_bytes=size))
