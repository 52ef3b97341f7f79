"""Who uses an object, in whichever process: locks that the kernel takes back from whoever dies."""

from __future__ import annotations

import errno
import fcntl
import os
import struct
from pathlib import Path

from vine.errors import UsageError
from vine.names import ObjectId

_FLOCK = struct.Struct("hhqqi4x")  # struct flock of 64-bit Linux: type, whence, start, length, process
_KEY_DIGITS = 15  # of an id, as the offset of its byte: 60 bits, so that two objects practically never share one


class Locks:
    """One lock per object: a byte of one file, at an offset that the object's id gives.

    They are locks of an open file description, so they hold between two stores of one process too, and
    cost a system call; whoever shares one does not wait for who else shares it.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._shared = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        # Of another description, so that our own use of an object stands in the way of our giving it up.
        self._sole = os.open(path, os.O_RDWR | os.O_CLOEXEC)

    def share(self, key: ObjectId) -> bool:
        """Keep others from giving the object up; False if somebody is about to do so."""
        return self._set(self._shared, fcntl.F_RDLCK, key)

    def end_share(self, key: ObjectId) -> None:
        self._set(self._shared, fcntl.F_UNLCK, key)

    def take(self, key: ObjectId) -> bool:
        """Be the only one who has to do with the object; False if anybody uses it, we ourselves too."""
        return self._set(self._sole, fcntl.F_WRLCK, key)

    def give_back(self, key: ObjectId) -> None:
        self._set(self._sole, fcntl.F_UNLCK, key)

    def close(self) -> None:
        """All that was shared or taken is given back."""
        os.close(self._shared)
        os.close(self._sole)

    def _set(self, descriptor: int, kind: int, key: ObjectId) -> bool:
        try:
            fcntl.fcntl(descriptor, fcntl.F_OFD_SETLK, _FLOCK.pack(kind, os.SEEK_SET, int(key[:_KEY_DIGITS], 16), 1, 0))
        except OSError as error:
            if error.errno in (errno.EAGAIN, errno.EACCES):
                return False
            if error.errno in (errno.ENOLCK, errno.EINVAL, errno.ENOSYS):
                why = f"files cannot be locked in {self._path.parent} ({error.strerror})"
                raise UsageError(f"{why}: give the worker a --workspace on a local disk") from error
            raise
        return True
